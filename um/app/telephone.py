"""The telephony role: calls from the trusted cores to voicemail and fax."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

from fax.spandsp import SpanDSPToneDetector
from um.app.applications import Applications
from um.app.certificates import TwistedContext, client_options
from um.app.edges import Bound
from um.app.router import ServiceRouter
from um.app.services import Services
from um.config import Config, ConfigurationError
from um.service.numbers import normal_number
from um.telephony.codec import Codecs
from um.telephony.g729 import installed
from um.telephony.media_sockets import PolledSockets
from um.telephony.mwi_desk import MessageWaitingDesk
from um.telephony.registrations import Registrations
from um.telephony.rtp.g711 import G711
from um.telephony.server import TelephonyServer
from um.telephony.settings import TelephonySettings
from um.telephony.sip.credentials import Credential
from um.telephony.sip.digest import Verifier
from um.telephony.sip.events import OtherEvent, PeerLost, RequestAnswered
from um.telephony.sip.registration import Binding, parse_registrar
from um.telephony.transport import SipPort, parse_networks

DRAIN_SECONDS = 30.0
"""What callers who are speaking when we stop have to finish; then what they said is kept."""


class TelephoneEdge:
    """[telephony] `listen`. `reactor` is Twisted's, which has no useful type."""

    def __init__(
        self,
        services: Services,
        applications: Applications,
        tls: TwistedContext | None,
        reactor: Any,
    ) -> None:
        ports = services.ports
        self._server = TelephonyServer(
            telephony_settings(ports.config),
            router=ServiceRouter(services.call_door, ports.metrics),
            applications=applications.factories,
            announcements=applications.voicemail.announcement,
            normalise=partial(normal_number, region=services.settings.default_region),
            clock=ports.clock,
            metrics=ports.metrics,
            reactor=reactor,
            sockets=PolledSockets(ports.clock),
            randomness=SystemRandom(),
            codecs=Codecs((*G711, *installed())),
            tones=SpanDSPToneDetector,
            tls=tls,
            tls_client=client_options(ports.config.telephony.tls_ca_file),
            credentials=credentials(ports.config),
            verifier=core_verifier(ports.config),
        )
        self._registrations = Registrations(
            bindings(ports.config),
            trusted=parse_networks(tuple(map(str, ports.config.telephony.trusted_cores))),
            clock=ports.clock,
            metrics=ports.metrics,
            reactor=reactor,
            randomness=SystemRandom(),
        )
        self._desk = MessageWaitingDesk(
            services.message_waiting,
            ports.bus,
            targets=ports.config.telephony.mwi_targets,
            domain=ports.config.server.domain,
            clock=ports.clock,
            metrics=ports.metrics,
            reactor=reactor,
            randomness=SystemRandom(),
        )
        self._server.outside_calls(self._received)

    async def start(self) -> Bound:
        """Listen. Raises CannotListenError if an address is taken."""
        self._server.start()
        self._desk.start(self._server.sip_ports)
        self._registrations.start(self._server.sip_ports)
        return _by_transport(self._server.addresses)

    async def stop(self) -> None:
        """Ask for no more calls, refuse new ones, let the others end, at most DRAIN_SECONDS."""
        await self._registrations.stop()
        await self._server.drain(DRAIN_SECONDS)
        await self._desk.stop()
        self._server.stop()

    def _received(self, port: SipPort, event: OtherEvent) -> None:
        """Requests outside calls are lamps' business, answers that of who asked."""
        self._desk.received(port, event)
        if isinstance(event, RequestAnswered | PeerLost):
            self._registrations.received(port, event)


def _by_transport(addresses: Sequence[str]) -> Bound:
    """`sip` is UDP, `sip-tcp` and `sip-tls` the others; each where it is listened to."""
    bound: dict[str, list[str]] = {}
    for address in addresses:
        transport = address.partition(":")[0]
        bound.setdefault("sip" if transport == "udp" else f"sip-{transport}", []).append(address)
    return bound


def core_verifier(config: Config) -> Verifier | None:
    """Of [[telephony.core]]; None when there is none. Raises ConfigurationError."""
    cores = config.telephony.core
    if not cores:
        return None
    passwords = {core.username: _password(core.password_file, core.name) for core in cores}
    if len(passwords) < len(cores):
        raise ConfigurationError("telephony.core: two cores have the same username")
    return Verifier(config.server.domain, passwords, SystemRandom())


def bindings(config: Config) -> list[Binding]:
    """Of [[telephony.registration]]."""
    return [
        Binding(
            registrar=parse_registrar(each.registrar),
            username=each.username,
            contact_user=each.contact_user or each.username,
            expires_seconds=each.expires_seconds,
        )
        for each in config.telephony.registration
    ]


def credentials(config: Config) -> tuple[Credential, ...]:
    """What challenges to our requests are answered with. Raises ConfigurationError."""
    known = [
        Credential(each.username, _password(each.password_file, each.realm), realm=each.realm)
        for each in config.telephony.credentials
    ]
    for each in config.telephony.registration:
        password = _password(each.password_file, each.registrar)
        known.append(Credential(each.username, password, host=parse_registrar(each.registrar).host))
    return tuple(known)


def _password(path: Path, name: str) -> str:
    """The first line of the file of `name`."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"telephony: {path} of {name} cannot be read") from error
    if not lines or not lines[0]:
        raise ConfigurationError(f"telephony: {path} of {name} is empty")
    return lines[0]


def telephony_settings(config: Config) -> TelephonySettings:
    """What the configuration says about calls."""
    telephony = config.telephony
    return TelephonySettings(
        listen=tuple(f"{each.transport}:{each}" for each in telephony.listen),
        rtp_ports=telephony.rtp_ports,
        trusted_cores=tuple(map(str, telephony.trusted_cores)),
        mailbox_from=telephony.mailbox_from,
        max_call_seconds=telephony.max_call_seconds,
        takes_t38=config.fax.enable_t38,
        session_expires_seconds=telephony.session_expires_seconds,
        send_silence=telephony.send_silence,
    )

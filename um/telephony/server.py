"""The telephone server of one process: SIP ports, calls in progress, the beat of their media.

`um.app` builds it with a router (whose mailbox) and a registry of applications (what is done with
the call); this module knows neither voicemail nor fax. It runs on Twisted over the asyncio loop.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import structlog

from um.core.errors import InvalidError
from um.core.ports import Clock, Metrics
from um.mime.clean import clean_text
from um.telephony.announcement import Announcement
from um.telephony.application import (
    ApplicationFactory,
    CallInfo,
    EndReason,
    Refusal,
    Route,
    Router,
    ToneDetector,
)
from um.telephony.beats import Beats, Member
from um.telephony.call import LiveCall, Local
from um.telephony.codec import Codecs
from um.telephony.media_sockets import MediaSockets
from um.telephony.randomness import Randomness
from um.telephony.routing import call_info, candidates
from um.telephony.rtp.g711 import G711
from um.telephony.rtp.session import TICK_SECONDS
from um.telephony.settings import TelephonySettings
from um.telephony.sip.credentials import Credential
from um.telephony.sip.digest import Verifier
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.events import (
    CallAcknowledged,
    CallCancelled,
    CallEnded,
    CallOffered,
    DigitSignalled,
    End,
    Event,
    MediaOffered,
    OfferAnswered,
    OfferRefused,
    OtherEvent,
    PeerLost,
    RequestAnswered,
    RequestOffered,
    TransferEnded,
)
from um.telephony.sip.guard import Guard
from um.telephony.stream_transport import StreamPort
from um.telephony.ticker import Ticker
from um.telephony.transport import (
    ListenAddress,
    MediaPorts,
    Reactor,
    SipPort,
    UdpPort,
    parse_listen,
    parse_networks,
    reachable_address,
)

log = structlog.get_logger(__name__)

_BYE_GRACE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05
_ENDS: Final = {
    End.BYE: EndReason.CALLER,
    End.NO_ACK: EndReason.FAILURE,
    End.EXPIRED: EndReason.EXPIRED,
    End.TRANSFERRED: EndReason.TRANSFERRED,
}


class TelephonyServer:
    """Takes calls.

    Args:
        settings: addresses and limits.
        router: finds the mailbox of a call.
        applications: by the name that a `Route` or a `HandOver` carries.
        announcements: samples of an announcement by its name and language; b"" if it cannot be
            spoken.
        normalise: a caller's number to E.164 where possible, else unchanged.
        clock: monotonic time of all engines.
        metrics: see docs/protocols/sip.md for the names.
        reactor: Twisted's, over the running asyncio loop.
        sockets: of the media.
        randomness: unpredictable in production (`random.SystemRandom()`).
        codecs: what is spoken, the most wanted first.
        tones: makes a detector for a call whose keys can only be heard; None: they are not.
        tls: Twisted's context factory with our certificate; needed for `tls:` addresses only.
        tls_client: makes Twisted's options for a connection of ours to a name or an address.
        credentials: what challenges to our requests are answered with.
        verifier: knows the cores that may call from other than trusted networks; None: none may.
    """

    def __init__(
        self,
        settings: TelephonySettings,
        *,
        router: Router,
        applications: Mapping[str, ApplicationFactory],
        announcements: Callable[[str, str], bytes],
        normalise: Callable[[str], str] = str,
        clock: Clock,
        metrics: Metrics,
        reactor: Reactor,
        sockets: MediaSockets,
        randomness: Randomness,
        codecs: Codecs = G711,
        tones: Callable[[], ToneDetector] | None = None,
        tls: Any = None,
        tls_client: Callable[[str], Any] | None = None,
        credentials: tuple[Credential, ...] = (),
        verifier: Verifier | None = None,
    ) -> None:
        self.settings = settings
        self.applications = applications
        self.clock = clock
        self.metrics = metrics
        self.reactor = reactor
        self.randomness = randomness
        self.codecs = codecs
        self.tones = tones
        self._tls = tls
        self._tls_client = tls_client
        self._credentials = credentials
        self._guard = Guard(verifier, randomness, metrics) if verifier is not None else None
        self._router = router
        self._announcements = announcements
        self._normalise = normalise
        self._trusted = parse_networks(settings.trusted_cores)
        self.ports = MediaPorts(
            settings.rtp_ports, sockets=sockets, randomness=randomness, metrics=metrics
        )
        self._sockets = sockets
        self.beats = Beats()
        self._sip_ports: dict[SipPort, tuple[ListenAddress, Local]] = {}
        self._calls: dict[str, LiveCall] = {}
        self._routing: set[asyncio.Task[None]] = set()
        self._others: Callable[[SipPort, OtherEvent], None] | None = None
        self._ticker = Ticker(
            self._beat, interval_seconds=TICK_SECONDS, reactor=reactor, clock=clock
        )

    @property
    def addresses(self) -> list[str]:
        """Where it listens, with true ports: `udp:127.0.0.1:5070`."""
        return [str(address) for address, _ in self._sip_ports.values()]

    @property
    def sip_ports(self) -> list[tuple[SipPort, ListenAddress]]:
        """The ports that listen, with their addresses."""
        return [(port, address) for port, (address, _) in self._sip_ports.items()]

    def outside_calls(self, user: Callable[[SipPort, OtherEvent], None]) -> None:
        """Let `user` have the requests and answers that belong to no call."""
        self._others = user

    @property
    def calls(self) -> int:
        """How many calls are in progress."""
        return len(self._calls)

    def start(self) -> None:
        """Listen. Raises InvalidError for a bad setting, CannotListenError for a taken port."""
        for text in self.settings.listen:
            self._listen(parse_listen(text))

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - the brief moment of a shutdown
        """Refuse new calls with 503, let those in progress end, hang up at the time-out."""
        for port in self._sip_ports:
            port.endpoint.draining = True
        await self._wait(timeout, lambda: not self._calls)
        for call in list(self._calls.values()):
            call.end(EndReason.DRAIN)
        await self._wait(_BYE_GRACE_SECONDS, self._is_quiet)

    def stop(self) -> None:
        """Close all sockets; calls that are still there end at once."""
        for call in list(self._calls.values()):
            call.end(EndReason.DRAIN)
        for task in self._routing:
            task.cancel()
        for port in self._sip_ports:
            port.close()
        self._sip_ports.clear()
        self._ticker.stop()

    def forget(self, call: LiveCall) -> None:
        """A call is over (`CallHouse`)."""
        self._calls.pop(call.name, None)
        self.metrics.gauge("calls_in_progress", len(self._calls))
        if not self._calls:
            self._ticker.stop()

    # ---- the network

    def _listen(self, address: ListenAddress) -> None:
        advertised = self.settings.advertised or reachable_address(address.host, self._trusted)
        placeholder = EndpointSettings(
            advertised,
            address.port,
            transport=address.transport.upper(),
            server=self.settings.server_name,
            session_expires_seconds=self.settings.session_expires_seconds,
            min_session_expires_seconds=self.settings.min_session_expires_seconds,
        )
        endpoint = Endpoint(
            placeholder, self.randomness, self.metrics, credentials=self._credentials
        )
        port = self._port(address.transport, endpoint)
        address = replace(address, port=port.listen(address.host, address.port))
        endpoint.settings = replace(placeholder, port=address.port)
        self._sip_ports[port] = (address, Local(address.host, advertised))
        log.info("telephony.listening", address=str(address), advertised=advertised)

    def _port(self, transport: str, endpoint: Endpoint) -> SipPort:
        make: Callable[..., SipPort] = UdpPort
        if transport == "tls" and self._tls is None:
            raise InvalidError("Listening on tls: needs a certificate")
        if transport != "udp":
            tls = self._tls if transport == "tls" else None
            make = partial(StreamPort, tls=tls, tls_client=self._tls_client)
        port = make(
            endpoint,
            self._on_event,
            trusted=self._trusted,
            reactor=self.reactor,
            clock=self.clock,
            metrics=self.metrics,
        )
        port.guard = self._guard
        return port

    def _on_event(self, port: SipPort, event: Event) -> None:
        if isinstance(event, RequestOffered | RequestAnswered | PeerLost):
            self._outside_calls(port, event)
            return
        if isinstance(event, CallOffered):
            self._offered(port, event)
            return
        call = self._calls.get(event.call)
        if call is None:
            return
        if isinstance(event, CallCancelled | CallEnded) and event.reasons:
            reasons = [clean_text(str(each)) for each in event.reasons]
            log.info("telephony.reason", call=call.info.call_id, reasons=reasons)
        match event:
            case CallCancelled():
                call.cancelled(elsewhere=any(each.elsewhere for each in event.reasons))
            case CallAcknowledged():
                call.acknowledged(event.body, first=event.first)
            case MediaOffered():
                call.offers.offered(event.body)
            case OfferAnswered():
                call.offers.answered(event.body)
            case OfferRefused():
                call.offers.refused(event.status)
            case TransferEnded():
                call.transfer_ended(done=event.done, status=event.status)
            case DigitSignalled():
                call.signalled(event.digit)
            case CallEnded():
                call.lost(_ENDS[event.reason])

    def _outside_calls(self, port: SipPort, event: OtherEvent) -> None:
        if self._others is not None:
            self._others(port, event)
        elif isinstance(event, RequestOffered):
            port.endpoint.respond(event.name, 489, "Bad Event", self.clock.monotonic())

    def _beat(self, now: float) -> None:
        """Speak first: what hundreds of callers say must not make the others' prompts late."""
        for media in self.beats.begin():
            self._in_beat(media, media.speak, now)
        self._sockets.read(now)
        for media in self.beats.listeners():
            self._in_beat(media, media.listen, now)

    def _in_beat(self, media: Member, step: Callable[[float], None], now: float) -> None:
        """What goes wrong with one call must not hold up the others."""
        try:
            step(now)
        except Exception:
            self.metrics.count("telephony_event_failures")
            log.exception("telephony.beat-failed", call=media.name)

    # ---- new calls

    def _offered(self, port: SipPort, event: CallOffered) -> None:
        if len(self._calls) >= self.settings.max_calls:
            self.metrics.count("calls_refused_overload")
            port.endpoint.reject(
                event.call,
                503,
                "Service Unavailable",
                self.clock.monotonic(),
                fields=(("retry-after", "10"),),
            )
            return
        names = candidates(event.request, self.settings.mailbox_from)
        info = call_info(
            event.request,
            dialled=names[0] if names else "",
            peer=event.source.address[0],
            normalise=self._normalise,
        )
        local = self._sip_ports[port][1]
        call = LiveCall(self, port, event, info, local=local)
        self._calls[call.name] = call
        self.metrics.count("calls_offered")
        self.metrics.gauge("calls_in_progress", len(self._calls))
        self._ticker.start()
        log.info(
            "telephony.call-offered",
            call=info.call_id,
            dialled=names,
            caller=info.caller_number,
            cause=info.cause.value,
            peer=info.peer,
        )
        task = asyncio.ensure_future(self._route(call, names, info))
        self._routing.add(task)
        task.add_done_callback(self._routing.discard)

    async def _route(self, call: LiveCall, names: list[str], info: CallInfo) -> None:
        try:
            decision = await self._router.route(names, info)
        except Exception:
            log.exception("telephony.router-failed", call=info.call_id)
            decision = Refusal(500, "Server Internal Error")
        if isinstance(decision, Refusal):
            self._refuse(call, decision)
            return
        call.info = replace(info, dialled=self._chosen(names, decision) or info.dialled)
        call.begin(decision.application, decision.account, decision.number)

    def _chosen(self, names: list[str], route: Route) -> str | None:
        """The candidate that the router must have followed."""
        return next((name for name in names if self._normalise(name) == route.number.e164), None)

    def _refuse(self, call: LiveCall, refusal: Refusal) -> None:
        samples = self._samples(refusal.announcement, refusal.language)
        log.info("telephony.call-refused", call=call.info.call_id, status=refusal.status)
        if samples:
            call.begin_with(partial(Announcement, samples=samples))
        else:
            call.reject(refusal.status, refusal.reason)

    def _samples(self, announcement: str | None, language: str) -> bytes:
        """What cannot be spoken is said by the status alone."""
        if announcement is None:
            return b""
        try:
            return self._announcements(announcement, language)
        except Exception:
            log.exception("telephony.announcement-failed", announcement=announcement)
            return b""

    # ---- the end

    async def _wait(self, seconds: float, done: Callable[[], bool]) -> None:
        deadline = self.clock.monotonic() + seconds
        # Engines have nothing to await.
        while not done() and self.clock.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    def _is_quiet(self) -> bool:
        return not self._calls and not any(port.endpoint.asking for port in self._sip_ports)

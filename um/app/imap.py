"""The imap role: mailboxes over Twisted, in clear with STARTTLS and with implicit TLS."""

import asyncio
from typing import Any

from imap_server.capabilities import ClientMask
from imap_server.factory import ImapFactory, ImapSettings
from imap_server.transport import listen
from imap_server.wire.limits import Limits
from um.app.certificates import TwistedContext
from um.app.edges import Bound
from um.app.services import Services
from um.config import Config, Listen

BYE_SECONDS = 5.0


class ImapEdge:
    """[imap] `listen` and `listen_tls`. `reactor` is Twisted's, which has no useful type."""

    def __init__(self, services: Services, tls: TwistedContext, reactor: Any) -> None:
        ports = services.ports
        self._config = ports.config.imap
        self._tls = tls
        self._reactor = reactor
        self._listening: list[Any] = []
        self._factory = ImapFactory(
            imap_settings(ports.config),
            authenticator=services.authenticator,
            mailboxes=services.mailboxes,
            bus=ports.bus,
            clock=ports.clock,
            metrics=ports.metrics,
            tls_context_factory=tls,
        )

    async def start(self) -> Bound:
        """Listen. Raises CannotListenError if an address is taken."""
        plain = [self._listen(each) for each in self._config.listen]
        implicit = [self._listen(each, self._tls) for each in self._config.listen_tls]
        return {"imap": plain, "imaps": implicit}

    async def stop(self) -> None:
        """Listen no more, say BYE to all, cut who does not go."""
        closed = [port.stopListening() for port in self._listening]
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(each.asFuture(loop) for each in closed if each is not None))
        await self._factory.stop(seconds=BYE_SECONDS)

    def _listen(self, address: Listen, tls: TwistedContext | None = None) -> str:
        port = listen(self._factory, address.host, address.port, reactor=self._reactor, tls=tls)
        self._listening.append(port)
        return str(Listen(address.host, port.getHost().port))


def imap_settings(config: Config) -> ImapSettings:
    """What the configuration says about IMAP."""
    return ImapSettings(
        allow_plaintext_login=config.imap.allow_plaintext_login,
        max_connections_per_account=config.imap.max_connections_per_account,
        max_connections_per_address=config.imap.max_connections_per_address,
        compress=config.imap.compress,
        disabled_capabilities=frozenset(config.imap.disabled_capabilities),
        client_masks=tuple(
            ClientMask(client.name, frozenset(client.disabled_capabilities))
            for client in config.imap.client
        ),
        limits=Limits(literal_minus=config.imap.literal_minus),
    )

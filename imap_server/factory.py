"""The IMAP server as `um.app` starts it: a Twisted factory over the services."""

import asyncio

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory

from imap_server.protocol import ImapProtocol
from imap_server.registry import Registry
from imap_server.services import Services
from imap_server.session import Session
from imap_server.settings import ImapSettings
from um.core.events import AccountChanged, MailboxChanged
from um.core.ports import Clock, EventBus, Metrics, NoMetrics
from um.service.authentication import Authenticator
from um.service.mailboxes import MailboxService

__all__ = ["ImapFactory", "ImapSettings"]


class ImapFactory(ServerFactory):
    """Makes a protocol for each connection.

    Serve it in clear (STARTTLS is offered if there is a context factory) and, for implicit TLS, by
    an endpoint that wraps it in TLS: a connection sees by its transport which of the two it is.
    The loop must be asyncio's (`AsyncioSelectorReactor`).
    """

    noisy = False

    def __init__(
        self,
        settings: ImapSettings,
        *,
        authenticator: Authenticator,
        mailboxes: MailboxService,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics | None = None,
        tls_context_factory: object | None = None,
    ) -> None:
        self.settings = settings
        self.tls_context_factory = tls_context_factory
        """What `startTLS` takes, e.g. `twisted.internet.ssl.CertificateOptions`; None: no TLS."""
        self.services = Services(
            settings=settings,
            authenticator=authenticator,
            mailboxes=mailboxes,
            clock=clock,
            metrics=metrics or NoMetrics(),
            registry=Registry(),
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        registry = self.services.registry
        self._unsubscribe = (
            bus.subscribe(MailboxChanged, registry.on_mailbox_changed),
            bus.subscribe(AccountChanged, registry.on_account_changed),
        )

    def buildProtocol(self, addr: IAddress | None) -> ImapProtocol:
        """A protocol for a connection from `addr`."""
        host = getattr(addr, "host", None) or "local"
        protocol = ImapProtocol(self, str(host).removeprefix("::ffff:"))
        protocol.factory = self
        return protocol

    def admit(self, session: Session, address: str) -> bool:
        """Whether a connection from `address` may begin."""
        registry = self.services.registry
        if self._stopping or len(registry.sessions) >= self.settings.max_connections:
            return False
        limit = self.settings.max_connections_per_address
        if not registry.connect(session.context, address, limit=limit):
            self.services.metrics.count("imap_connections_refused")
            return False
        self.services.metrics.count("imap_connections_accepted")
        self.services.metrics.gauge("imap_connections", len(registry.sessions))
        return True

    def began(self, task: "asyncio.Task[None]") -> None:
        """Remember the task of a session until it ends."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def dismiss(self, session: Session, address: str) -> None:
        """The session is over."""
        registry = self.services.registry
        registry.disconnect(session.context, address)
        self.services.metrics.gauge("imap_connections", len(registry.sessions))

    async def stop(self, *, seconds: float = 5.0) -> None:
        """Say BYE to all and wait for them, at most `seconds`; then cut those that are left."""
        self._stopping = True
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        for session in tuple(self.services.registry.sessions):
            session.end("Server is shutting down")
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

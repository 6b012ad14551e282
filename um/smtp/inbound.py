"""Mail in: LMTP for the provider's mail server, SMTP for whoever has mail for our customers.

Laws:
- Both listeners run in the loop they are given; nothing here has a thread or loop of its own.
- LMTP talks to `trusted_clients` only. SMTP takes ordinary mail for our accounts from anyone, as
  any mail exchanger does; an invoice it takes from trusted clients only. Nobody can relay.
- Delivery reports for our own envelope senders are noted, and never answered.
- `stop` lets messages that are being received or delivered end, then closes.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Collection, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, TypeVar

import structlog

from um.core.ports import Clock, Metrics, NoMetrics
from um.core.steps import Steps, no_steps
from um.smtp.limits import ConnectionLimit, MemoryBudget
from um.smtp.protocol import LmtpProtocol, MailProtocol
from um.smtp.reception import Deliveries, Limits, Reception, RecipientDirectory, ReturnedMail

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundSettings:
    """What the operator decides, and bounds with their defaults."""

    domain: str
    invoice_senders: Collection[str] = ()
    """Envelope senders whose mail is an invoice when a trusted client brings it."""
    trusted_clients: Collection[IPv4Network | IPv6Network] = ()
    max_size_octets: int = 25 * 1024 * 1024
    memory_octets: int = 256 * 1024 * 1024
    """Of all messages in flight together."""
    max_connections: int = 500
    max_connections_per_address: int = 50
    """Of a client that is not trusted."""
    max_messages_per_connection: int = 1000
    max_recipients: int = 100
    """RFC 5321 §4.5.3.1.8: no fewer."""
    max_unknown_recipients: int = 20
    """In one connection of a client that is not trusted; then it is sent away."""
    max_received: int = 30
    max_line_octets: int = 64 * 1024
    """Far above the 998 of RFC 5322: an invoice with long lines is better read than refused."""
    command_timeout_seconds: float = 300
    """RFC 5321 §4.5.3.2.7."""
    data_timeout_seconds: float = 600
    """For one whole message, however steadily it trickles."""

    def command_limits(self) -> dict[str, int]:
        """How often each command may come in one connection; beyond it 421."""
        messages = self.max_messages_per_connection
        return {
            "*": 100,
            "MAIL": messages,
            "DATA": messages,
            "RSET": messages * 2,
            "NOOP": messages * 2,
            "RCPT": messages * self.max_recipients,
        }


class MailIn:
    """The listeners of one process."""

    def __init__(
        self,
        settings: InboundSettings,
        directory: RecipientDirectory,
        delivery: Deliveries,
        clock: Clock,
        metrics: Metrics | None = None,
        *,
        returned: ReturnedMail | None = None,
        tls_context: ssl.SSLContext | None = None,
        steps: Steps = no_steps,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or NoMetrics()
        self.steps = steps
        self.budget = MemoryBudget(settings.memory_octets)
        self.reception = Reception(
            directory,
            delivery,
            clock,
            self.metrics,
            domain=settings.domain,
            invoice_senders=settings.invoice_senders,
            limits=Limits(settings.max_received, settings.max_line_octets),
            returned=returned,
        )
        self._tls_context = tls_context
        # aiosmtpd logs each command and address at INFO, and at WARNING a line that is no command:
        # after a refused AUTH LOGIN that is a password. What we want known we log ourselves.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        self._limit = ConnectionLimit(
            total=settings.max_connections, per_address=settings.max_connections_per_address
        )
        self._connections: set[MailProtocol] = set()
        self._deliveries: set[asyncio.Task[Any]] = set()
        self._servers: list[asyncio.Server] = []
        self._quiet = asyncio.Event()
        """Set when the last connection has gone."""

    async def listen(
        self, loop: asyncio.AbstractEventLoop, host: str, port: int, *, lmtp: bool
    ) -> asyncio.Server:
        """Open a listener. Port 0 takes a free one (`server.sockets[0].getsockname()`)."""
        server = await loop.create_server(lambda: self.protocol(loop, lmtp=lmtp), host, port)
        self._servers.append(server)
        return server

    def protocol(self, loop: asyncio.AbstractEventLoop, *, lmtp: bool) -> MailProtocol:
        """A protocol object for one connection."""
        kind = LmtpProtocol if lmtp else MailProtocol
        return kind(self, loop=loop, tls_context=self._tls_context)

    async def stop(self, *, grace_seconds: float = 30) -> None:
        """Listen no more; let running messages end within the grace, then close the rest."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in tuple(self._connections):
            connection.shut_down()
        if self._connections:
            self._quiet.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), grace_seconds)
        for connection in tuple(self._connections):
            connection.abort()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=grace_seconds)

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` so that it goes on to its end if the caller is cancelled."""
        task = asyncio.ensure_future(work)
        self._deliveries.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def is_trusted(self, address: str) -> bool:
        """Whether a client of that IP address belongs to the provider."""
        try:
            client = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        client = getattr(client, "ipv4_mapped", None) or client
        return any(client in network for network in self.settings.trusted_clients)

    def connected(self, connection: MailProtocol) -> bool:
        """A connection came in; False if there is no room for it."""
        admitted = self._limit.admit(connection.peer_address, trusted=connection.trusted)
        if not admitted:
            self.metrics.count("smtp_connections_refused")
        self._connections.add(connection)
        self.metrics.gauge("smtp_connections", self._limit.open)
        return admitted

    def disconnected(self, connection: MailProtocol) -> None:
        """A connection is gone; harmless when it is told twice."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        if connection.admitted:
            self._limit.release(connection.peer_address)
        self.metrics.gauge("smtp_connections", self._limit.open)
        if not self._connections:
            self._quiet.set()

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._deliveries.discard(task)
        if not task.cancelled():
            task.exception()  # it was told to whoever waited; if nobody did, the mail comes again

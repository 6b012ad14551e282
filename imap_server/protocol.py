"""One connection on Twisted: moves octets between the transport and a session.

Laws:
- Nothing is decided here. Octets go into the engine, the session's task is woken, octets come out.
- Memory is bounded both ways: a client that reads slowly pauses the session (`drain`), one that
  sends faster than it is served is not read from (`throttle`).
- A client that closes its own side only gets all its answers; TLS cannot be closed so (Twisted answers
  a close_notify with its own and drops what is written after it, as TLS 1.2 asks).
- The session's task is never cancelled by a lost connection: what it does in the store is finished.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import structlog
from twisted.internet import protocol
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from imap_server.deflate import BrokenStreamError, Deflate
from imap_server.errors import LinkLostError, SessionOverError
from imap_server.session import Session
from imap_server.wire import responses

if TYPE_CHECKING:
    from imap_server.factory import ImapFactory

log = structlog.get_logger(__name__)

TURN_SECONDS = 0.0005
"""How long one session may keep the loop before others get a turn."""
TURNS_FOR_OTHERS = 3
"""The loop runs who waits already, then reads what has come, and in its next turn wakes whom it is
for: who keeps the loop is the last again only after that, so that a neighbour waits for one turn of
`TURN_SECONDS` instead of three."""
SEND_OCTETS = 16 * 1024
"""So much is sent without waiting for more: each sending wakes the client up."""
READ_HIGH_OCTETS = 256 * 1024
READ_LOW_OCTETS = 64 * 1024
CLOSE_SECONDS = 15.0
"""What a client has to take the last octets before the connection is cut."""


class Transport(Protocol):
    """What we use of Twisted's TCP and TLS transports (their interfaces are not typed)."""

    def write(self, data: bytes) -> None: ...

    def writeSequence(self, iovec: Sequence[bytes]) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def registerProducer(self, producer: object, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def setTcpKeepAlive(self, enabled: bool) -> None: ...

    def startTLS(self, context: object) -> None: ...


@implementer(IPushProducer, IHalfCloseableProtocol)
class ImapProtocol(protocol.Protocol):
    """`imap_server.link.Link` on a Twisted transport."""

    def __init__(self, factory: "ImapFactory", peer: str) -> None:
        self._factory = factory
        self._peer = peer
        self._session: Session | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        """One for all waits, since nearly all of them end long before it goes off."""
        self._room: asyncio.Future[bool] | None = None
        self._woken = False
        self._lost = False
        self._write_paused = False
        self._read_paused = False
        self._input_ended = False
        self._closing = False
        self._turn_began = 0.0
        self._unsent: list[bytes] = []
        self._unsent_octets = 0
        self._deflate: Deflate | None = None

    # -- Twisted --------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin a session, or say why there is none."""
        transport = self._wire
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
            transport.setTcpKeepAlive(True)
        session = Session(self._factory.services, self)
        if not self._factory.admit(session, self._peer):
            transport.write(responses.status(b"*", b"BYE", "Too many connections"))
            transport.loseConnection()
            return
        self._session = session
        transport.registerProducer(self, True)
        self._factory.began(asyncio.get_running_loop().create_task(self._run(session)))

    async def _run(self, session: Session) -> None:
        try:
            await session.run()
        except Exception:
            log.exception("session failed", peer=self._peer)
            self.abort()
        finally:
            self._factory.dismiss(session, self._peer)

    def dataReceived(self, data: bytes) -> None:
        """Pass octets on."""
        if self._session is None or self._closing:
            return
        if self._deflate is None:
            self._session.context.receive_data(data)
        else:
            self._deflate.receive(data)
            self._unfold()

    def _unfold(self) -> None:
        """Pass on what was folded, as much as there is room for; `throttle` asks for the rest."""
        while self._session is not None and self._deflate is not None and not self._closing:
            if self._read_paused:
                return
            try:
                piece = self._deflate.unfold()
            except BrokenStreamError:
                log.info("compressed stream is broken", peer=self._peer)
                self.abort()
                return
            if not piece:
                self._pass_end_on()
                return
            self._session.context.receive_data(piece)

    def readConnectionLost(self) -> None:
        """The client has closed its side: what it sent before is served, then the connection ends."""
        self._input_ended = True
        if self._deflate is None:
            self._pass_end_on()
        else:
            self._unfold()

    def _pass_end_on(self) -> None:
        if self._input_ended and self._session is not None:
            self._session.context.receive_end()

    def writeConnectionLost(self) -> None:
        """We never close our side alone."""

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:  # noqa: ARG002 - Twisted's name
        """Let everything that waits know."""
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for future in (self._waiter, self._room):
            if future is not None and not future.done():
                future.set_result(False)

    def pauseProducing(self) -> None:
        """The client reads too slowly."""
        self._write_paused = True

    def resumeProducing(self) -> None:
        """There is room again."""
        self._write_paused = False
        if self._room is not None and not self._room.done():
            self._room.set_result(True)

    def stopProducing(self) -> None:
        """The connection is going: `connectionLost` follows."""

    @property
    def _wire(self) -> Transport:
        return cast("Transport", self.transport)

    # -- Link -----------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._peer

    @property
    def secure(self) -> bool:
        """Whether TLS is on."""
        return bool(ISSLTransport.providedBy(self.transport))

    @property
    def can_start_tls(self) -> bool:
        """Whether STARTTLS is on offer."""
        return self._factory.tls_context_factory is not None and not self.secure

    def start_tls(self) -> None:
        """Begin the handshake behind what is written."""
        self._send()
        if not self._lost:
            self._wire.startTLS(self._factory.tls_context_factory)

    @property
    def compressed(self) -> bool:
        """Whether COMPRESS is on."""
        return self._deflate is not None

    def start_deflate(self) -> None:
        """Fold from here on."""
        self._send()
        self._deflate = Deflate()

    def write(self, data: bytes) -> None:
        """Send octets to the client: small ones together, when the session next waits."""
        self._unsent.append(data)
        self._unsent_octets += len(data)
        if self._unsent_octets >= SEND_OCTETS:
            self._send()

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """Send several pieces one after another."""
        self._unsent += pieces
        self._send()

    def _send(self) -> None:
        pieces, self._unsent, self._unsent_octets = self._unsent, [], 0
        if not pieces or self._lost or self._closing:
            return
        if self._deflate is not None:
            self._wire.write(self._deflate.fold(b"".join(pieces)))
        elif len(pieces) == 1:
            self._wire.write(pieces[0])
        else:
            self._wire.writeSequence(pieces)

    def throttle(self, buffered: int) -> None:
        """Stop or go on reading from the client."""
        if self._lost or self._closing:
            return
        if buffered > READ_HIGH_OCTETS and not self._read_paused:
            self._read_paused = True
            self._wire.pauseProducing()
        elif buffered < READ_LOW_OCTETS and self._read_paused:
            self._read_paused = False
            if not self._input_ended:
                self._wire.resumeProducing()
            if self._deflate is not None:
                asyncio.get_running_loop().call_soon(self._unfold)

    async def drain(self) -> None:
        """Wait for a slow client, and give the neighbours a turn."""
        self._send()
        if self._lost:
            raise LinkLostError
        loop = asyncio.get_running_loop()
        while self._write_paused:
            self._room = loop.create_future()
            if not await _within(self._room, self._factory.settings.stall_timeout_seconds):
                if self._lost:
                    raise LinkLostError
                self.abort()
                raise SessionOverError("You read nothing for too long")
        now = loop.time()
        if now - self._turn_began > TURN_SECONDS:
            for _ in range(TURNS_FOR_OTHERS):
                await asyncio.sleep(0)
            self._turn_began = loop.time()

    async def wait(self, seconds: float) -> bool:
        """Wait for `wake`."""
        self._send()
        if self._lost:
            raise LinkLostError
        if self._woken or seconds <= 0:
            woken, self._woken = self._woken, False
            return woken
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        self._wait_until(loop.time() + seconds)
        woken = await self._waiter
        self._waiter = None
        self._turn_began = loop.time()
        if self._lost:
            raise LinkLostError
        return woken

    def _wait_until(self, deadline: float) -> None:
        """Let the timer end this wait; one that goes off too early is wound up again then."""
        self._deadline = deadline
        if self._timer is not None and self._timer.when() > deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if asyncio.get_running_loop().time() < self._deadline:
            self._wait_until(self._deadline)
        else:
            self._waiter.set_result(False)

    def wake(self) -> None:
        """Let `wait` return, now or when it is called."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)
        else:
            self._woken = True

    async def pause(self, seconds: float) -> None:
        """Wait, whatever happens."""
        self._send()
        await asyncio.sleep(seconds)
        if self._lost:
            raise LinkLostError

    def close(self) -> None:
        """Send what is written, then close; cut a client that does not take it."""
        if self._lost or self._closing:
            return
        self._send()
        self._closing = True
        if self._read_paused and not self._input_ended:
            self._wire.resumeProducing()
        self._wire.unregisterProducer()
        self._wire.loseConnection()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.abort)

    def abort(self) -> None:
        """Cut the connection."""
        self._closing = True
        if not self._lost:
            self._wire.abortConnection()


async def _within(future: "asyncio.Future[bool]", seconds: float) -> bool:
    """The future's result, or False after `seconds`."""
    timer = asyncio.get_running_loop().call_later(seconds, _expire, future)
    try:
        return await future
    finally:
        timer.cancel()


def _expire(future: "asyncio.Future[bool]") -> None:
    if not future.done():
        future.set_result(False)

"""How long a client of ours may take, and how many connections it may hold: uvicorn sets no limits to it.

Laws:
- A request's head comes whole within HEAD_SECONDS of the connection, or of its first octet on a kept
  one, however it trickles; so does the rest of a body that nobody reads.
- Who does not read an answer, so that nothing of it leaves for READING_SECONDS, is cut.
- One address (one /64 of IPv6) holds `per_address` connections of a listener at most, those that have
  not begun TLS among them; proxies and machines of the operator's (`trusted`) any number.
- Bodies that are read have limits of their own (`um.web.bodies`); answers that stream have none.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from um.core.origin import origin
from um.core.ports import Metrics, NoMetrics

HANDSHAKE_SECONDS = 10.0
HEAD_SECONDS = 15.0
READING_SECONDS = 60.0
PER_ADDRESS = 200
"""A household behind one address has some browsers, each with a few connections; an office more."""
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 15\r\n"
    b"content-length: 0\r\n\r\n"
)
_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def nobody(_: str) -> bool:
    """Trusts no address."""
    return False


@dataclass(slots=True)
class Patience:
    """The limits of one listener, and what its clients hold."""

    per_address: int = PER_ADDRESS
    head_seconds: float = HEAD_SECONDS
    reading_seconds: float = READING_SECONDS
    trusted: Callable[[str], bool] = nobody
    metrics: Metrics = field(default_factory=NoMetrics)
    _open: Counter[str] = field(default_factory=Counter, repr=False)

    @property
    def open_connections(self) -> int:
        """Those that are counted now."""
        return self._open.total()

    def admit(self, address: str) -> bool:
        """Count one more connection in, or say no."""
        where = origin(address)
        if self._open[where] >= self.per_address and not self.trusted(address):
            self.metrics.count("http_connections_refused")
            return False
        self._open[where] += 1
        return True

    def release(self, address: str) -> None:
        """One admitted connection is gone."""
        where = origin(address)
        self._open[where] -= 1
        if self._open[where] <= 0:
            del self._open[where]


class PatientProtocol(H11Protocol):
    """uvicorn's protocol over h11, which loses its patience."""

    def __init__(self, patience: Patience, *, at_door: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience
        self._at_door = at_door
        """`TlsDoor` has counted the connection, and counts it out."""
        self._address = ""
        self._admitted = False
        self._made = False
        self._early = b""
        self._head: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection in, or send it away."""
        self._made = True
        self._address = _address(transport)
        self._admitted = self._at_door or self._patience.admit(self._address)
        if not self._admitted:
            transport.write(_BUSY)
            transport.close()
            return
        super().connection_made(transport)
        self._watch()
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it out."""
        self._rest()
        self._stop_reading_watch()
        if self._admitted:
            self._admitted = False
            super().connection_lost(exc)
            if not self._at_door:
                self._patience.release(self._address)

    def data_received(self, data: bytes) -> None:
        """A piece of a request, however small."""
        if not self._made:
            self._early += data  # TLS has shaken hands, and we are told in a moment
        elif self._admitted and not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """An answer has gone: the next request may begin."""
        super().on_response_complete()
        self._rest()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        self._watch_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """It has read."""
        self._stop_reading_watch()
        super().resume_writing()

    def _watch(self) -> None:
        """Wait for a head, or for the end of a body that nobody reads; one deadline for all of it."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        answered = cycle is None or cycle.response_complete
        if not answered or self.transport.is_closing():
            self._rest()
        elif self._head is None and self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._head = self.loop.call_later(self._patience.head_seconds, self._late)

    def _rest(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _late(self) -> None:
        self._head = None
        self._patience.metrics.count("http_timeouts")
        if self.conn.our_state is h11.IDLE:
            self.transport.write(_LATE)
        self.transport.close()

    def _watch_reading(self, waiting_octets: int) -> None:
        again = partial(self._check_reading, waiting_octets)
        self._reading = self.loop.call_later(self._patience.reading_seconds, again)

    def _check_reading(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._watch_reading(waiting)
            return
        self._patience.metrics.count("http_timeouts")
        self.transport.abort()

    def _stop_reading_watch(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


class TlsDoor(asyncio.Protocol):
    """Counts a connection before its TLS begins, which has HANDSHAKE_SECONDS.

    Args:
        patience: of the listener.
        tls: the listener's.
        make: the protocol behind it, told that it is counted here.
        handshake_seconds: how long the handshake may take.
    """

    def __init__(
        self,
        patience: Patience,
        tls: ssl.SSLContext,
        make: Callable[[], PatientProtocol],
        *,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._patience = patience
        self._tls = tls
        self._make = make
        self._seconds = handshake_seconds
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in, or cut it: there is no saying why in clear."""
        assert isinstance(transport, asyncio.Transport)
        address = _address(transport)
        if not self._patience.admit(address):
            transport.abort()
            return
        transport.pause_reading()  # what comes now is TLS's
        self._task = asyncio.get_running_loop().create_task(self._open(transport, address))

    async def _open(self, transport: asyncio.Transport, address: str) -> None:
        """Shake hands and pass on; the connection is counted out when its socket is gone."""
        loop, inner = asyncio.get_running_loop(), self._make()
        counted = _Counted(inner, partial(self._patience.release, address))
        try:
            opened = await loop.start_tls(
                transport,
                counted,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=self._seconds,
            )
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError
            transport.abort()
            counted.release()
            return
        if opened is not None:
            inner.connection_made(opened)


class _Counted(asyncio.Protocol):
    """Passes on what TLS tells; the end is counted once, whether the handshake succeeded or not."""

    def __init__(self, inner: PatientProtocol, release: Callable[[], None]) -> None:
        self._inner = inner
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> None:
        self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.release()
        self._inner.connection_lost(exc)


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""

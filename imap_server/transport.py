"""Twisted's TCP connection, sending at once what the kernel takes.

Twisted queues every write and sends it when the loop next finds the socket writable: one turn of the
loop and two system calls more for each answer. Here a write goes to the kernel first; only what it
does not take is queued, so that order and back-pressure stay Twisted's.
"""

import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import ServerFactory
from twisted.protocols.tls import TLSMemoryBIOFactory

BACKLOG = 128


class DirectConnection(tcp.Server):
    """A server's side of a connection."""

    socket: socket.socket

    def write(self, data: bytes) -> None:
        """Send `data`, or queue it behind what waits (or hand it to TLS after STARTTLS)."""
        sent = self._send([data]) if self._is_idle() else 0
        if sent < len(data):
            self._queue.write(data[sent:] if sent else data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send all of `iovec` with one system call, without joining it."""
        pieces = list(iovec)
        if self._is_idle():
            sent = self._send(pieces)
            pieces = _left(pieces, sent)
        if pieces:
            self._queue.writeSequence(pieces)

    @property
    def _queue(self) -> Any:
        """Twisted's own writing, which has no types."""
        return super()

    def _is_idle(self) -> bool:
        """Whether nothing waits to be sent and the socket is ours to write to."""
        return bool(
            self.connected
            and not self.TLS
            and not self.disconnecting
            and not self._tempDataLen
            and self.offset == len(self.dataBuffer)
        )

    def _send(self, pieces: list[bytes]) -> int:
        """How much the kernel took. What is wrong with the socket the queue will find out."""
        try:
            return self.socket.sendmsg(pieces)
        except OSError:
            return 0


def _left(pieces: list[bytes], sent: int) -> list[bytes]:
    for place, piece in enumerate(pieces):
        if sent < len(piece):
            return [piece[sent:] if sent else piece, *pieces[place + 1 :]]
        sent -= len(piece)
    return []


class DirectPort(tcp.Port):
    """A listening port that makes such connections."""

    transport = DirectConnection


def listen(
    factory: ServerFactory, host: str, port: int, *, reactor: IReactorFDSet, tls: Any = None
) -> Any:
    """Listen in clear, or with implicit TLS by the context factory `tls`. Raises CannotListenError."""
    served: Any = factory
    if tls is not None:
        served = TLSMemoryBIOFactory(tls, False, served)
    listening = DirectPort(port, served, BACKLOG, host, reactor)
    listening.startListening()
    return listening

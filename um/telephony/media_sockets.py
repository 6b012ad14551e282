"""The UDP sockets that carry media, read together at each beat instead of one by one as packets come.

Laws:
- Nothing is read between beats: what comes waits in the kernel, 20 ms at most. That is one wake-up
  of the loop for the packets of all calls, where one each costs more than all that is done with them.
- What waits for the beat when a call ends was said before its end: `take_last` gives it out.
- A socket gives at most MOST_ROUNDS datagrams a beat, so that a flood on one starves no other.
- What goes wrong with one datagram holds up no other.
"""

from collections.abc import Callable
from select import EPOLLIN, epoll
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Final, Protocol

import structlog

from um.telephony.sip.layer import Address

log = structlog.get_logger(__name__)

MOST_ROUNDS: Final = 16
"""In 20 ms a sender of 10 ms packets has two; a stall of the process is made good in a few beats."""
MOST_LAST: Final = 512
"""More than the kernel keeps for a socket by default."""
MOST_READY: Final = 4096
MAX_OCTETS: Final = 2048

Receive = Callable[[bytes, Address, float], None]
"""Takes a datagram, its source, and the time of the beat that read it."""


class MediaSocket(Protocol):
    """One bound socket."""

    def send(self, data: bytes, address: Address) -> None:
        """Raises OSError."""
        ...

    def take_last(self, now: float) -> None:
        """Give out all that has come and waits for the next beat, which will not be."""
        ...

    def close(self) -> None:
        """Harmless a second time."""
        ...

    def detach(self) -> socket:
        """The socket itself, for another process; nothing is read from it here any more."""
        ...


class MediaSockets(Protocol):
    """Where media ports get their sockets."""

    def bind(self, host: str, port: int, receive: Receive) -> MediaSocket:
        """A socket whose datagrams go to `receive`. Raises OSError if the port is taken."""
        ...

    def read(self, now: float) -> None:
        """Give out all that has come until `now`."""
        ...


class PolledSockets:
    """`MediaSockets` of the kernel, through one epoll of their own."""

    def __init__(self) -> None:
        self._poll = epoll()
        self._bound: dict[int, _Bound] = {}

    def bind(self, host: str, port: int, receive: Receive) -> MediaSocket:
        """See `MediaSockets`."""
        bound = _Bound(self, host, port, receive)
        self._bound[bound.descriptor] = bound
        self._poll.register(bound.descriptor, EPOLLIN)
        return bound

    def forget(self, descriptor: int) -> None:
        """Read nothing of it any more."""
        del self._bound[descriptor]
        self._poll.unregister(descriptor)

    def read(self, now: float) -> None:
        """See `MediaSockets`."""
        for _ in range(MOST_ROUNDS):
            ready = self._poll.poll(0, MOST_READY)
            if not ready:
                return
            for descriptor, _events in ready:
                bound = self._bound.get(descriptor)  # closed by what an earlier one brought
                if bound is not None:
                    bound.read(now)


class _Bound:
    """One of `PolledSockets`."""

    def __init__(self, sockets: PolledSockets, host: str, port: int, receive: Receive) -> None:
        self._sockets = sockets
        self._receive = receive
        self._long_addresses = ":" in host
        self._socket = socket(AF_INET6 if self._long_addresses else AF_INET, SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.descriptor = self._socket.fileno()
        self._is_ours = True

    def read(self, now: float) -> bool:
        """Give out one datagram; False if there was none."""
        try:
            data, address = self._socket.recvfrom(MAX_OCTETS)
        except OSError:  # also where a bad checksum leaves nothing to be read
            return False
        try:
            self._receive(data, address[:2] if self._long_addresses else address, now)
        except Exception:
            log.exception("telephony.datagram-failed", address=address)
        return True

    def take_last(self, now: float) -> None:
        """See `MediaSocket`."""
        for _ in range(MOST_LAST):
            if not self._is_ours or not self.read(now):
                return

    def send(self, data: bytes, address: Address) -> None:
        """See `MediaSocket`."""
        self._socket.sendto(data, address)

    def close(self) -> None:
        """See `MediaSocket`."""
        if self._is_ours:
            self.detach().close()

    def detach(self) -> socket:
        """See `MediaSocket`."""
        self._is_ours = False
        self._sockets.forget(self.descriptor)
        return self._socket

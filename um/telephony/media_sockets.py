"""The UDP sockets that carry media, read together at each beat instead of one by one as packets come.

Laws:
- Nothing is read between beats: what comes waits in the kernel, 20 ms at most. That is one wake-up
  of the loop for the packets of all calls, where one each costs more than all that is done with them.
- A socket that rests is not even read then, but when `take` is called: five packets in one call of the
  kernel's cost little more than one.
- What waits when a call ends was said before its end: `take` gives it out.
- A socket gives at most MOST_AT_ONCE datagrams a beat, so that a flood on one starves no other.
- What goes wrong with the datagrams of one socket holds up no other socket.
"""

from collections.abc import Callable, Sequence
from errno import EBADF
from select import EPOLLIN, epoll
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Final, Protocol

import structlog

from um.core.ports import Clock
from um.telephony.datagrams import MOST_AT_ONCE, Datagram, Mail, stamp_arrivals
from um.telephony.sip.layer import Address

log = structlog.get_logger(__name__)

MOST_LAST: Final = 512
"""More than the kernel keeps for a socket by default."""
MOST_READY: Final = 4096

Receive = Callable[[Sequence[Datagram]], None]
"""Takes datagrams of one socket, in order."""


class MediaSocket(Protocol):
    """One bound socket."""

    def send(self, data: bytes, address: Address) -> None:
        """Raises OSError."""
        ...

    def take(self, now: float, most: int = MOST_LAST) -> bool:
        """Give out at once what has come, at most `most`; whether that was all."""
        ...

    def rest(self, *, resting: bool) -> None:
        """Whether only `take` gives out what comes, and no beat."""
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

    def __init__(self, clock: Clock) -> None:
        self._poll = epoll()
        self._bound: dict[int, _Bound] = {}
        self.mail = Mail(clock)

    def bind(self, host: str, port: int, receive: Receive) -> MediaSocket:
        """See `MediaSockets`."""
        bound = _Bound(self, host, port, receive)
        self._bound[bound.descriptor] = bound
        self.listen(bound.descriptor)
        return bound

    def listen(self, descriptor: int) -> None:
        """Read it at each beat."""
        self._poll.register(descriptor, EPOLLIN)

    def ignore(self, descriptor: int) -> None:
        """Do not, until `listen`."""
        self._poll.unregister(descriptor)

    def forget(self, descriptor: int, *, listening: bool) -> None:
        """Read nothing of it any more."""
        del self._bound[descriptor]
        if listening:
            self.ignore(descriptor)

    def read(self, now: float) -> None:
        """See `MediaSockets`."""
        self.mail.set_clock()
        for descriptor, _events in self._poll.poll(0, MOST_READY):
            bound = self._bound.get(descriptor)  # closed by what an earlier one brought
            if bound is not None:
                bound.take(now, MOST_AT_ONCE)


class _Bound:
    """One of `PolledSockets`."""

    def __init__(self, sockets: PolledSockets, host: str, port: int, receive: Receive) -> None:
        self._sockets = sockets
        self._mail = sockets.mail
        self._receive = receive
        self._socket = socket(AF_INET6 if ":" in host else AF_INET, SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            stamp_arrivals(self._socket)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.descriptor = self._socket.fileno()
        self._is_ours = True
        self._rests = False

    def take(self, now: float, most: int = MOST_LAST) -> bool:
        """See `MediaSocket`."""
        while most > 0:
            wanted = min(most, MOST_AT_ONCE)
            datagrams = self._mail.take(self.descriptor, wanted, now) if self._is_ours else []
            if datagrams:
                self._give_out(datagrams)
            if len(datagrams) < wanted:
                return True
            most -= wanted
        return False

    def _give_out(self, datagrams: Sequence[Datagram]) -> None:
        try:
            self._receive(datagrams)
        except Exception:
            log.exception("telephony.datagrams-failed", address=datagrams[0][1])

    def rest(self, *, resting: bool) -> None:
        """See `MediaSocket`."""
        if not self._is_ours or resting == self._rests:
            return
        self._rests = resting
        if resting:
            self._sockets.ignore(self.descriptor)
        else:
            self._sockets.listen(self.descriptor)

    def send(self, data: bytes, address: Address) -> None:
        """See `MediaSocket`."""
        if not self._is_ours:  # its number may be another file's by now
            raise OSError(EBADF, "The media socket is closed")
        self._mail.send(self.descriptor, data, address)

    def close(self) -> None:
        """See `MediaSocket`."""
        if self._is_ours:
            self.detach().close()

    def detach(self) -> socket:
        """See `MediaSocket`."""
        self._is_ours = False
        self._sockets.forget(self.descriptor, listening=not self._rests)
        return self._socket

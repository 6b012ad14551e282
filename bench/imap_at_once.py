"""Clients at once, as cheap as they can be: one thread, one epoll, whole answers, nothing parsed.

Each sends a command, waits for its tagged answer and sends the next; what is measured is the server.
"""

import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.imap_wire import READ_OCTETS, TAIL_OCTETS, Wire, ends

Commands = Callable[[int], bytes]
"""The n-th command of a client, without tag and CRLF."""


@dataclass(frozen=True, slots=True)
class Run:
    """What some clients did together."""

    commands: int
    seconds: float
    """From the first command to the last answer."""
    client_seconds: float
    """Processor time that the clients themselves took."""


class _Client:
    """One connection and what it waits for."""

    def __init__(self, wire: Wire, commands: Commands) -> None:
        self.wire, self.commands = wire, commands
        self.sent = 0
        self._tail = b""
        self._tag = b""

    def send(self) -> None:
        self._tag = self.wire.send(self.commands(self.sent))
        self._tail = b""
        self.sent += 1

    def answered(self, space: memoryview) -> bool:
        """Read what is there; whether the tagged answer is. Raises if it is not OK."""
        count = self.wire.socket.recv_into(space)
        if not count:
            raise ConnectionError("the server closed the connection")
        self._tail = (self._tail + bytes(space[max(0, count - TAIL_OCTETS) : count]))[-TAIL_OCTETS:]
        return ends(self._tail, self._tag)


def drive(
    wires: Sequence[Wire],
    commands: Sequence[Commands],
    *,
    seconds: float = 3600.0,
    most: int | None = None,
) -> Run:
    """Let each of `wires` (plain, not TLS) send its commands until time is up, or `most` of them."""
    clients = {
        wire.socket.fileno(): _Client(wire, its) for wire, its in zip(wires, commands, strict=True)
    }
    space = memoryview(bytearray(READ_OCTETS))
    done = 0
    with select.epoll() as poll:
        for number in clients:
            poll.register(number, select.EPOLLIN)
        spent, start = time.process_time(), time.perf_counter()
        for client in clients.values():
            client.send()
        waiting = len(clients)
        while waiting:
            for number, _ in poll.poll():
                client = clients[number]
                if not client.answered(space):
                    continue
                done += 1
                over = client.sent == most or time.perf_counter() - start > seconds
                if over:
                    waiting -= 1
                    poll.unregister(number)
                else:
                    client.send()
        return Run(done, time.perf_counter() - start, time.process_time() - spent)

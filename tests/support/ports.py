"""Ports for peers that must be told one before they run: none is given out twice on this machine.

A port that was bound for a moment and let go may be anybody's by the time the peer binds it. So a
process reserves a block of ports below the system's ephemeral ones by holding an abstract unix
socket of the block's name, and gives each port of it out once. Other test processes, of this run or
of another beside it, then take other blocks. The reservation ends with the process, however it ends.
"""

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"
FIRST, END, BLOCK = 9_000, 20_000, 100
"""Below um's own RTP ports (20,000) and Linux's ephemeral ones (32,768), above those sipp tries."""


class Ports:
    """The ports that this process has reserved, and those of them that are still to be had."""

    def __init__(self) -> None:
        self._reservations = ExitStack()
        self._left = range(0)

    def take(self, count: int) -> range:
        """Consecutive ports, the first even, that are ours alone, for UDP and for TCP.

        Raises RuntimeError when so many are not to be had.
        """
        while True:
            if len(self._left) < count:
                self._left = self._reserve(-(-count // BLOCK))
            ports, self._left = self._left[:count], self._left[count + count % 2 :]
            if all(map(_is_unused, ports)):
                return ports

    def _reserve(self, count: int) -> range:
        """So many neighbouring blocks that nobody has reserved."""
        for blocks in _neighbours(count):
            with ExitStack() as stack:
                try:
                    for first in blocks:
                        name = stack.enter_context(socket.socket(socket.AF_UNIX))
                        name.bind(f"\0um-test-ports-{first}")
                except OSError:
                    continue
                self._reservations.push(stack.pop_all())
                return range(blocks[0], blocks[-1] + BLOCK)
        raise RuntimeError("too many ports are reserved by running tests")


_OURS = Ports()


def free_port() -> int:
    """A port that nobody has, and that no other test is given."""
    return _OURS.take(1)[0]


def free_ports(count: int) -> range:
    """Consecutive ports, the first even."""
    return _OURS.take(count)


def _neighbours(count: int) -> Iterator[range]:
    """The beginnings of `count` neighbouring blocks, from a random place on.

    Random, because what a peer that has just ended still holds is best left alone for a while.
    """
    last = END - count * BLOCK
    starts = [*range(FIRST, last + 1, BLOCK)]
    turn = random.SystemRandom().randrange(len(starts))
    for start in starts[turn:] + starts[:turn]:
        yield range(start, start + count * BLOCK, BLOCK)


def _is_unused(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True

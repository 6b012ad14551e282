"""A bad network, seeded: what it does to each datagram, and a relay that does it to real ones.

`Network` is pure (times in, times out), so that an engine is tested with a clock moved by hand;
`RtpRelay` puts the same network between a telephone and a server, in a thread of its own.
"""

import heapq
import itertools
import random
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self

from tests.support.media_socket import MediaSocket

Address = tuple[str, int]
_PACKET_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Profile:
    """What a network does; shares of 1, seconds."""

    loss: float = 0.0
    burst: float = 1.0
    """Mean number of packets that are lost together."""
    reorder: float = 0.0
    """Share of packets that others overtake."""
    reorder_by: int = 5
    """At most so many packets overtake one."""
    jitter_seconds: float = 0.0
    """Each packet is late by up to so much, evenly spread."""
    duplicate: float = 0.0
    new_ssrc_after: int | None = None
    """From this packet on the stream has another SSRC, sequence and timestamp."""
    stall_at: float | None = None
    """At this time (from the first packet) the network stands still."""
    stall_seconds: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class Network:
    """One direction of a bad line."""

    profile: Profile
    passed: int = 0
    lost: int = 0
    _random: random.Random = field(init=False)
    _losing: int = 0
    _first: float | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.profile.seed)

    def carry(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """When, and how often, a datagram that is sent now arrives."""
        profile, dice = self.profile, self._random
        self._first = now if self._first is None else self._first
        self.passed += 1
        if self._is_lost():
            self.lost += 1
            return []
        delay = dice.uniform(0, profile.jitter_seconds)
        if dice.random() < profile.reorder:
            delay += _PACKET_SECONDS * (dice.randint(1, profile.reorder_by) + 0.5)
        at = now + delay
        if profile.stall_at is not None:
            begins = self._first + profile.stall_at
            if begins <= at < begins + profile.stall_seconds:
                at = begins + profile.stall_seconds
        data = self._changed(data)
        if dice.random() < profile.duplicate:
            return [(at, data), (at + dice.uniform(0, 0.06), data)]
        return [(at, data)]

    def _is_lost(self) -> bool:
        if self._losing:
            self._losing -= 1
            return True
        if self._random.random() >= self.profile.loss / self.profile.burst:
            return False
        if self.profile.burst > 1:
            self._losing = self._random.randint(1, round(2 * self.profile.burst - 1)) - 1
        return True

    def _changed(self, data: bytes) -> bytes:
        """The packet as a core that swaps its source sends it (RFC 3550 §8.2)."""
        limit = self.profile.new_ssrc_after
        if limit is None or self.passed <= limit or len(data) < 12:
            return data
        sequence = int.from_bytes(data[2:4], "big") + 20_000 & 0xFFFF
        timestamp = int.from_bytes(data[4:8], "big") + 0x4000_0000 & 0xFFFF_FFFF
        ssrc = int.from_bytes(data[8:12], "big") ^ 0x5555_5555
        head = sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big")
        return data[:2] + head + data[12:]


class RtpRelay:
    """Carries the media of one call: telephone <-> this <-> server.

    The telephone sends to `address`; the server's media address is set when its answer is known.
    What the telephone sends is impaired, what the server sends is not. Use it as a context manager.
    """

    def __init__(self, profile: Profile, *, host: str = "127.0.0.1") -> None:
        self.network = Network(profile)
        self._near = _bound(host)
        self._far = MediaSocket(host)
        self._far.setblocking(True)
        self._server: Address | None = None
        self._telephone: Address | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> Address:
        """Where the telephone sends to."""
        return self._near.getsockname()

    @property
    def offered(self) -> Address:
        """What stands in the telephone's offer."""
        return self._far.getsockname()

    def connect(self, server: Address, telephone: Address) -> None:
        """Both ends are known."""
        self._telephone = telephone
        self._server = server

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)
        self._near.close()
        self._far.close()

    def _run(self) -> None:
        waiting: list[tuple[float, int, bytes]] = []
        numbers = itertools.count()
        while not self._stop.is_set():
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                data = heapq.heappop(waiting)[2]
                if self._server is not None:
                    self._far.sendto(data, self._server)
            due = min(0.02, waiting[0][0] - now) if waiting else 0.02
            readable, _, _ = select.select([self._near, self._far], [], [], max(0.0, due))
            now = time.monotonic()
            if self._near in readable:
                for at, data in self.network.carry(self._near.recv(2048), now):
                    heapq.heappush(waiting, (at, next(numbers), data))
            if self._far in readable:
                data = self._far.recv(2048)
                if self._telephone is not None:
                    self._near.sendto(data, self._telephone)


def _bound(host: str) -> socket.socket:
    each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    each.bind((host, 0))
    return each

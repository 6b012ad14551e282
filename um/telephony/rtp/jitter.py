"""The order of what arrives: packets in sequence, late and double ones dropped.

`ReorderBuffer` waits a bounded while for a packet that is missing.
"""

from dataclasses import dataclass, field
from typing import Final

from um.telephony.rtp.packet import RtpPacket

CLOCK_RATE: Final = 8000
MAX_WAIT_SECONDS: Final = 0.1
"""How long a gap holds up what follows it, if whoever listens says nothing else."""
MAX_HELD: Final = 32
MAX_DISORDER: Final = 1000
"""A jump in sequence beyond this is a restarted sender (RFC 3550 A.1: MAX_DROPOUT is 3000)."""
_HALF_SEQUENCE: Final = 1 << 15
_HALF_TIMESTAMP: Final = 1 << 31


def sequence_distance(new: int, old: int) -> int:
    """`new - old` in 16-bit sequence arithmetic: -32768..32767."""
    return (new - old + _HALF_SEQUENCE) % (2 * _HALF_SEQUENCE) - _HALF_SEQUENCE


def timestamp_distance(new: int, old: int) -> int:
    """`new - old` in 32-bit arithmetic."""
    return (new - old + _HALF_TIMESTAMP) % (2 * _HALF_TIMESTAMP) - _HALF_TIMESTAMP


@dataclass(slots=True)
class ReorderBuffer:
    """Packets of one source in sequence; a change of SSRC starts anew (RFC 3550 §8.2).

    A jump of the sequence starts anew only if a second packet follows it (RFC 3550 A.1), so that
    one stray packet does not disturb a stream.
    """

    wait_seconds: float = MAX_WAIT_SECONDS
    dropped: int = 0
    """Late, double and stray packets."""
    lost: int = 0
    """Sequence numbers given up."""
    _ssrc: int | None = None
    _next: int = 0
    _held: dict[int, tuple[RtpPacket, float]] = field(default_factory=dict, repr=False)
    _jumped: RtpPacket | None = None

    @property
    def holds(self) -> bool:
        """Whether packets wait behind a gap."""
        return bool(self._held)

    def is_next(self, ssrc: int, sequence: int) -> bool:
        """Whether a packet has its turn and holds nothing up."""
        return sequence == self._next and ssrc == self._ssrc and not self._held

    def follow(self) -> None:
        """Take the next packet without looking at it."""
        self._next = (self._next + 1) % (2 * _HALF_SEQUENCE)

    def put(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        """Take a packet; returns those whose turn has come, in order."""
        if packet.ssrc != self._ssrc:
            return self._restart([packet], now)
        if packet.sequence == self._next and not self._held:
            self.follow()
            return [packet]
        distance = sequence_distance(packet.sequence, self._next)
        if abs(distance) > MAX_DISORDER:
            return self._jump(packet, now)
        if distance < 0 or packet.sequence in self._held:
            self.dropped += 1
            return []
        self._held[packet.sequence] = (packet, now)
        return self.take(now)

    def take(self, now: float) -> list[RtpPacket]:
        """Those that may go: in sequence, or behind a gap that was waited for long enough."""
        ready: list[RtpPacket] = []
        while self._held:
            if self._next not in self._held and not self._skip_gap(now):
                break
            ready.append(self._held.pop(self._next)[0])
            self._next = (self._next + 1) % (2 * _HALF_SEQUENCE)
        return ready

    def flush(self) -> list[RtpPacket]:
        """All that is held, in order, gaps given up."""
        in_order = sorted(self._held, key=lambda number: sequence_distance(number, self._next))
        ready = [self._held.pop(number)[0] for number in in_order]
        if ready:
            self._next = (ready[-1].sequence + 1) % (2 * _HALF_SEQUENCE)
        return ready

    def _restart(self, packets: list[RtpPacket], now: float) -> list[RtpPacket]:
        ready = self.flush()
        self._jumped = None
        self._ssrc, self._next = packets[0].ssrc, packets[0].sequence
        self._held = {packet.sequence: (packet, now) for packet in packets}
        return ready + self.take(now)

    def _jump(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        before, self._jumped = self._jumped, packet
        if before is not None and sequence_distance(packet.sequence, before.sequence) == 1:
            return self._restart([before, packet], now)
        self.dropped += 1
        return []

    def _skip_gap(self, now: float) -> bool:
        nearest = min(self._held, key=lambda number: sequence_distance(number, self._next))
        waited = now - min(arrival for _, arrival in self._held.values())
        if len(self._held) <= MAX_HELD and waited < self.wait_seconds:
            return False
        self.lost += sequence_distance(nearest, self._next)
        self._next = nearest
        return True

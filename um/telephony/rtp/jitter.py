"""Order and time of what arrives: late and double packets dropped, gaps measured.

`ReorderBuffer` gives packets in sequence, waiting a bounded while for one that is missing.
`Timeline` says how much silence belongs before a packet, so that what is heard has the call's true
length: by RTP timestamps (losses, DTX, key presses), never by more than has really passed.
"""

from dataclasses import dataclass, field
from typing import Final

from um.telephony.rtp.packet import RtpPacket

CLOCK_RATE: Final = 8000
MAX_WAIT_SECONDS: Final = 0.1
"""How long a gap may hold up what follows it: recordings need no low delay."""
MAX_HELD: Final = 32
MAX_DISORDER: Final = 1000
"""A jump in sequence beyond this is a restarted sender (RFC 3550 A.1: MAX_DROPOUT is 3000)."""
STALL_SECONDS: Final = 0.5
"""Nothing heard for so long: silence is made up, so that the application's time goes on."""
SLACK_SAMPLES: Final = CLOCK_RATE
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
    """Packets of one source in sequence; a change of SSRC starts anew (RFC 3550 §8.2)."""

    dropped: int = 0
    """Late and double packets."""
    lost: int = 0
    """Sequence numbers given up."""
    _ssrc: int | None = None
    _next: int = 0
    _held: dict[int, tuple[RtpPacket, float]] = field(default_factory=dict, repr=False)

    def put(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        """Take a packet; returns those whose turn has come, in order."""
        ready: list[RtpPacket] = []
        distance = sequence_distance(packet.sequence, self._next)
        if packet.ssrc != self._ssrc or abs(distance) > MAX_DISORDER:
            ready = self.flush()
            self._ssrc, self._next = packet.ssrc, packet.sequence
        elif distance < 0 or packet.sequence in self._held:
            self.dropped += 1
            return []
        self._held[packet.sequence] = (packet, now)
        return ready + self.take(now)

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

    def _skip_gap(self, now: float) -> bool:
        nearest = min(self._held, key=lambda number: sequence_distance(number, self._next))
        waited = now - min(arrival for _, arrival in self._held.values())
        if len(self._held) <= MAX_HELD and waited < MAX_WAIT_SECONDS:
            return False
        self.lost += sequence_distance(nearest, self._next)
        self._next = nearest
        return True


@dataclass(slots=True)
class Timeline:
    """How much silence must stand between what is heard. All results are in samples."""

    started: float
    """When listening began."""
    _heard_at: float = field(init=False)
    _next: int | None = None
    _ssrc: int | None = None
    _ahead: int = 0
    """Silence made up in a stall, to be deducted from the gap that ends it."""
    _total: int = 0

    def __post_init__(self) -> None:
        self._heard_at = self.started

    def gap_before(self, packet: RtpPacket, length: int, now: float) -> int:
        """Silence due before `packet`, which holds `length` samples."""
        gap = 0
        if self._next is not None and packet.ssrc == self._ssrc:
            gap = max(0, timestamp_distance(packet.timestamp, self._next))
        due = max(0, min(gap - self._ahead, self._allowance(now) - length))
        self._ahead = max(0, self._ahead - gap)
        self._ssrc = packet.ssrc
        self._next = (packet.timestamp + length) % (2 * _HALF_TIMESTAMP)
        self._heard_at = now
        self._total += due + length
        return due

    def stalled(self, now: float) -> int:
        """Silence to make up because nothing has been heard for a while."""
        passed = int((now - self._heard_at - STALL_SECONDS) * CLOCK_RATE)
        due = passed - self._ahead
        if due <= 0:
            return 0
        self._ahead += due
        self._total += due
        return due

    def _allowance(self, now: float) -> int:
        """How much may be heard until now and no more, whatever the timestamps say."""
        passed = int((now - self.started) * CLOCK_RATE)
        return max(0, passed + SLACK_SAMPLES - self._total)

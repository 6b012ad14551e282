"""What came and what did not: loss, jitter, duplicates (RFC 3550 §6.4.1, A.1, A.3, A.8)."""

from dataclasses import dataclass

from um.telephony.rtp.jitter import CLOCK_RATE, MAX_DISORDER, sequence_distance
from um.telephony.rtp.packet import RtpPacket

_CYCLE = 1 << 16


@dataclass(slots=True)
class Reception:
    """One stream as it arrives. Sequence numbers are extended by their wraps."""

    ssrc: int
    first: int
    highest: int
    received: int = 0
    jitter: float = 0.0
    """In clock units."""
    _transit: float | None = None
    _expected_before: int = 0
    _received_before: int = 0

    @classmethod
    def of(cls, packet: RtpPacket) -> "Reception":
        """Begin with a stream's first packet (which is not counted by this)."""
        return cls(packet.ssrc, packet.sequence, packet.sequence)

    def count(self, packet: RtpPacket, now: float, *, timed: bool) -> None:
        """Take a packet. `timed`: its timestamp is that of its sending (not of a key press)."""
        distance = sequence_distance(packet.sequence, self.highest % _CYCLE)
        if abs(distance) > MAX_DISORDER:  # a restarted sender
            self.first = self.highest = packet.sequence
            self.received, self._transit = 0, None
            self._expected_before = self._received_before = 0
        elif distance > 0:
            self.highest += distance
        self.received += 1
        if timed:
            self._measure(packet.timestamp, now)

    def is_next(self, ssrc: int, sequence: int) -> bool:
        """Whether a packet comes right behind the highest."""
        return ssrc == self.ssrc and sequence == (self.highest + 1) % _CYCLE

    def follow(self, timestamp: int, now: float) -> None:
        """Count the next packet."""
        self.highest += 1
        self.received += 1
        self._measure(timestamp, now)

    def _measure(self, timestamp: int, now: float) -> None:
        transit = now * CLOCK_RATE - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < CLOCK_RATE * 10:  # else the timestamps jumped
                self.jitter += (change - self.jitter) / 16
        self._transit = transit

    @property
    def expected(self) -> int:
        """Packets that must have been sent."""
        return self.highest - self.first + 1

    @property
    def lost(self) -> int:
        """Packets that did not come; negative with duplicates (A.3)."""
        return self.expected - self.received

    def interval_fraction_lost(self) -> int:
        """Share lost since this was asked last, in 1/256."""
        expected = self.expected - self._expected_before
        received = self.received - self._received_before
        self._expected_before, self._received_before = self.expected, self.received
        lost = expected - received
        return 0 if expected <= 0 or lost <= 0 else min(255, (lost << 8) // expected)


@dataclass(frozen=True, slots=True)
class MediaStatistics:
    """How the media of one call went, for the log."""

    codec: str
    sent: int
    received: int
    lost: int
    """Packets that never came or came too late."""
    discarded: int
    """Double and late ones."""
    foreign: int
    """From elsewhere."""
    jitter_ms: float
    source_changes: int
    remote_lost: int | None
    """Packets of ours that the other side missed; None if it never said."""
    round_trip_ms: float | None

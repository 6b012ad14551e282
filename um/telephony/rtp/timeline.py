"""True length: how much silence belongs before a packet, and when to make time go on without one.

Laws:
- Within a stream the timestamps count (losses, discontinuous transmission, key presses).
- Between streams (a new SSRC, a sender that jumps) the clock counts: the least transit time seen
  of each stream says when its samples were due, so jitter does not add up.
- No timestamps can add more than has really passed, and a second.
- Silence that was made up in a stall of the network is owed: deducted from the gap that ends the
  stall or, if what was stalled arrives after all, from pauses in it (`owed`, `pay`).
"""

from dataclasses import dataclass, field
from typing import Final

from um.telephony.rtp.jitter import CLOCK_RATE, timestamp_distance
from um.telephony.rtp.packet import RtpPacket

STALL_SECONDS: Final = 1.0
"""Nothing heard for so long: silence is made up, so that the application's time goes on."""
SLACK_SAMPLES: Final = CLOCK_RATE
_JUMP_SECONDS: Final = 1.0
_STREAMS: Final = 2
"""The present one and one that may follow it."""


@dataclass(slots=True)
class _Transit:
    """When a stream's timestamps are due here, by its quickest packet."""

    timestamp: int
    at: float

    def due(self, timestamp: int) -> float:
        return self.at + timestamp_distance(timestamp, self.timestamp) / CLOCK_RATE


@dataclass(slots=True)
class Timeline:
    """One call's hearing. All results are in samples."""

    started: float
    """When listening began."""
    _heard_at: float = field(init=False)
    _end_at: float = field(init=False)
    """When the last sample was over, by its stream's transit."""
    _next: int = 0
    _ssrc: int | None = None
    _owed: int = 0
    _total: int = 0
    _transits: dict[int, _Transit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heard_at = self._end_at = self.started

    def arrived(self, packet: RtpPacket, now: float) -> None:
        """A packet came, in whatever order: learn how quick its stream can be."""
        transit = self._transits.get(packet.ssrc)
        if transit is None:
            if len(self._transits) >= _STREAMS:
                del self._transits[next(key for key in self._transits if key != self._ssrc)]
            self._transits[packet.ssrc] = _Transit(packet.timestamp, now)
            return
        early = transit.due(packet.timestamp) - now
        if early > _JUMP_SECONDS:
            self._transits[packet.ssrc] = _Transit(packet.timestamp, now)
        elif early > 0:
            transit.at -= early

    def is_next(self, ssrc: int, timestamp: int) -> bool:
        """Whether a packet follows without a gap, and nothing is owed."""
        return timestamp == self._next and ssrc == self._ssrc and not self._owed

    def follow(self, timestamp: int, length: int, now: float) -> None:
        """`arrived` and `gap_before` of a packet that `is_next`."""
        transit = self._transits[self._ssrc or 0]
        due = transit.due(timestamp)
        if due > now:
            transit.timestamp, transit.at, due = timestamp, now, now
        self._next = (timestamp + length) % (1 << 32)
        self._end_at = due + length / CLOCK_RATE
        self._heard_at = now
        self._total += length

    def gap_before(self, packet: RtpPacket, length: int, now: float) -> int:
        """Silence due before `packet`, which holds `length` samples and has its turn now."""
        transit = self._transits.get(packet.ssrc)
        if transit is None:
            transit = self._transits[packet.ssrc] = _Transit(packet.timestamp, now)
        due = 0
        if packet.timestamp != self._next or packet.ssrc != self._ssrc or self._owed:
            due = self._silence_before(packet, length, transit, now)
            self._ssrc = packet.ssrc
        self._next = (packet.timestamp + length) % (1 << 32)
        self._end_at = transit.due(packet.timestamp) + length / CLOCK_RATE
        self._heard_at = now
        self._total += due + length
        return due

    def _silence_before(self, packet: RtpPacket, length: int, transit: _Transit, now: float) -> int:
        """Where a packet does not follow the last one, or what was made up is owed."""
        gap = timestamp_distance(packet.timestamp, self._next)
        possible = (now - self._end_at + _JUMP_SECONDS) * CLOCK_RATE
        if packet.ssrc != self._ssrc or not -SLACK_SAMPLES < gap < possible:
            gap = self._gap_by_clock(packet, transit, now)
            if self._ssrc is None:
                gap -= length  # it was said before it was sent
        gap = max(0, gap)
        due = max(0, min(gap - self._owed, self._allowance(now) - length))
        self._owed = max(0, self._owed - gap)
        return due

    def stalled(self, now: float) -> int:
        """Silence to make up because nothing has been heard for a while: a second behind `now`."""
        passed = now - self._heard_at - STALL_SECONDS
        return self._make_up(passed) if passed > 0 else 0

    def caught_up(self, now: float, *, patience_seconds: float) -> int:
        """Silence that brings hearing up to `now`, because something new begins here.

        Nothing if something was heard within `patience_seconds`: what is missing is on its way.
        """
        passed = now - self._heard_at
        return self._make_up(passed) if passed >= patience_seconds else 0

    def _make_up(self, seconds: float) -> int:
        """As much of so much silence as has not been made up yet."""
        due = int(seconds * CLOCK_RATE) - self._owed
        if due <= 0:
            return 0
        self._owed += due
        self._total += due
        return due

    @property
    def owed(self) -> int:
        """Samples too many: what was made up, and came after all."""
        return self._owed

    def pay(self, samples: int) -> None:
        """So many samples of a pause are left out."""
        self._owed = max(0, self._owed - samples)
        self._total -= samples

    def _gap_by_clock(self, packet: RtpPacket, transit: _Transit, now: float) -> int:
        """For a stream that begins, or whose timestamps jumped."""
        begins = transit.due(packet.timestamp)
        if not 0 <= now - begins <= _JUMP_SECONDS:
            transit.timestamp, transit.at, begins = packet.timestamp, now, now
        return round((begins - self._end_at) * CLOCK_RATE)

    def _allowance(self, now: float) -> int:
        """How much may be heard until now and no more, whatever the timestamps say."""
        passed = int((now - self.started) * CLOCK_RATE)
        return max(0, passed + SLACK_SAMPLES - self._total)

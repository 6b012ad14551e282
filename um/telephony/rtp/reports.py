"""RTCP of one call (RFC 3550 §6): when to report what, and what the other side says.

Laws: a compound packet about every 5 s (half to one and a half of it, §6.2), never before media was
sent or heard; a goodbye at the end. What comes is read for statistics, for the time that sender
reports carry, and for a goodbye; it never changes where media goes.
"""

from dataclasses import dataclass, field
from typing import Final

from um.telephony.rtp.reception import Reception
from um.telephony.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    description,
    middle,
    ntp_time,
    parse_compound,
)

INTERVAL_SECONDS: Final = 5.0
_UNITS: Final = 65_536


@dataclass(slots=True)
class Reporter:
    """Our side of a call's RTCP."""

    ssrc: int
    """Of our stream; also spreads the reports of many calls over time."""
    next_at: float
    sent: int = 0
    sent_octets: int = 0
    remote_lost: int | None = None
    round_trip_seconds: float | None = None
    _dice: int = field(init=False)
    _last: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Middle NTP bits and arrival of the newest sender report, of one SSRC."""

    def __post_init__(self) -> None:
        self._dice = self.ssrc
        self.next_at += self._pause() / 2

    def count(self, payload_octets: int) -> None:
        """One RTP packet was sent."""
        self.sent += 1
        self.sent_octets += payload_octets

    def receive(self, data: bytes, now: float) -> list[int]:
        """Take a datagram; returns the SSRCs that say goodbye. Raises RtpError."""
        ended: list[int] = []
        for report in parse_compound(data):
            if isinstance(report, Goodbye):
                ended += report.ssrcs
                continue
            if isinstance(report, SenderReport):
                self._last = {report.ssrc: (middle(report.ntp), now)}
            for block in report.blocks:
                if block.ssrc == self.ssrc:
                    self._learn(block, now)
        return ended

    def due(self, reception: Reception | None, timestamp: int, now: float) -> bytes | None:
        """A compound packet if it is time for one."""
        if now < self.next_at:
            return None
        self.next_at = now + self._pause()
        if not self.sent and reception is None:
            return None
        return self._compound(reception, timestamp, now)

    def farewell(self, reception: Reception | None, timestamp: int, now: float) -> bytes:
        """The last compound packet, with BYE (§6.6)."""
        return self._compound(reception, timestamp, now) + Goodbye((self.ssrc,)).encode()

    def _compound(self, reception: Reception | None, timestamp: int, now: float) -> bytes:
        blocks = () if reception is None else (self._block(reception, now),)
        report: SenderReport | ReceiverReport
        if self.sent:
            octets = self.sent_octets & 0xFFFFFFFF
            report = SenderReport(self.ssrc, ntp_time(now), timestamp, self.sent, octets, blocks)
        else:
            report = ReceiverReport(self.ssrc, blocks)
        return report.encode() + description(self.ssrc)

    def _block(self, reception: Reception, now: float) -> ReportBlock:
        last, arrival = self._last.get(reception.ssrc, (0, now))
        return ReportBlock(
            reception.ssrc,
            reception.interval_fraction_lost(),
            reception.lost,
            reception.highest & 0xFFFFFFFF,
            int(reception.jitter),
            last,
            int((now - arrival) * _UNITS) & 0xFFFFFFFF,
        )

    def _learn(self, block: ReportBlock, now: float) -> None:
        self.remote_lost = block.lost
        if block.last_report:  # §6.4.1: how long our report and its answer were under way
            passed = middle(ntp_time(now)) - block.last_report - block.delay & 0xFFFFFFFF
            if passed < 60 * _UNITS:
                self.round_trip_seconds = passed / _UNITS

    def _pause(self) -> float:
        self._dice = (1_103_515_245 * self._dice + 12_345) & 0x7FFFFFFF
        return INTERVAL_SECONDS * (0.5 + self._dice / 0x7FFFFFFF)

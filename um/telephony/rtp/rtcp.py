"""RTCP packets (RFC 3550 §6.4-6.6): reports and goodbyes, octets to values and back.

Any octets give a list of what we understand, or `RtpError`. What is well framed and means nothing
to us (descriptions, feedback, extended reports) is passed over.
"""

import struct
from dataclasses import dataclass
from typing import Final

from um.telephony.rtp.packet import RtpError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202
GOODBYE: Final = 203
MAX_PACKETS: Final = 32
_HEAD: Final = struct.Struct(">BBH")
_SENDER: Final = struct.Struct(">IQIII")
_BLOCK: Final = struct.Struct(">IIIIII")
_CNAME: Final = 1
_NTP_UNITS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one stream."""

    ssrc: int
    fraction_lost: int
    """Since the last report, in 1/256."""
    lost: int
    """Packets, since the beginning; negative with duplicates."""
    highest: int
    """Extended sequence number."""
    jitter: int
    """In clock units."""
    last_report: int = 0
    """Middle 32 bits of the last sender report's NTP time; 0 if none came."""
    delay: int = 0
    """Since then, in 1/65536 s."""

    def encode(self) -> bytes:
        lost = max(-(1 << 23), min(self.lost, (1 << 23) - 1)) & 0xFFFFFF
        second = self.fraction_lost << 24 | lost
        return _BLOCK.pack(
            self.ssrc, second, self.highest, self.jitter, self.last_report, self.delay
        )


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What a sender says of its stream, and of ours."""

    ssrc: int
    ntp: int
    """64 bits: seconds and fraction of its clock."""
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()

    def encode(self) -> bytes:
        facts = _SENDER.pack(self.ssrc, self.ntp, self.timestamp, self.packets, self.octets)
        return _framed(SENDER_REPORT, len(self.blocks), facts + _encoded(self.blocks))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What one who does not send says of our stream."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    def encode(self) -> bytes:
        facts = self.ssrc.to_bytes(4, "big") + _encoded(self.blocks)
        return _framed(RECEIVER_REPORT, len(self.blocks), facts)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Streams that end."""

    ssrcs: tuple[int, ...]

    def encode(self) -> bytes:
        return _framed(GOODBYE, len(self.ssrcs), b"".join(n.to_bytes(4, "big") for n in self.ssrcs))


Report = SenderReport | ReceiverReport | Goodbye


def ntp_time(now: float) -> int:
    """Our clock as 64 bits: not the time of day, which nobody needs to know (§4)."""
    return int(now * _NTP_UNITS) & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The 32 bits by which reports name a time (§4)."""
    return ntp >> 16 & 0xFFFFFFFF


def description(ssrc: int) -> bytes:
    """SDES with the CNAME that each compound packet must have (§6.1); it says nothing of us."""
    name = f"{ssrc:08x}".encode()
    items = bytes([_CNAME, len(name)]) + name
    padding = bytes(4 - len(items) % 4)
    return _framed(SOURCE_DESCRIPTION, 1, ssrc.to_bytes(4, "big") + items + padding)


def parse_compound(data: bytes) -> list[Report]:
    """The reports and goodbyes in one datagram, in order. Raises RtpError (§A.2)."""
    reports: list[Report] = []
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEAD.size or len(reports) > MAX_PACKETS:
            raise RtpError
        first, kind, words = _HEAD.unpack_from(data, offset)
        end = offset + 4 + 4 * words
        if first & 0xC0 != 0x80 or end > len(data):
            raise RtpError
        report = _read(kind, first & 0x1F, data[offset + 4 : end])
        if report is not None:
            reports.append(report)
        offset = end
    if not data:
        raise RtpError
    return reports


def _read(kind: int, count: int, body: bytes) -> Report | None:
    if kind == SENDER_REPORT:
        if len(body) < _SENDER.size:
            raise RtpError
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        blocks = _blocks(body[_SENDER.size :], count)
        return SenderReport(ssrc, ntp, timestamp, packets, octets, blocks)
    if kind == RECEIVER_REPORT:
        if len(body) < 4:
            raise RtpError
        return ReceiverReport(int.from_bytes(body[:4], "big"), _blocks(body[4:], count))
    if kind == GOODBYE:
        if len(body) < 4 * count:
            raise RtpError
        return Goodbye(struct.unpack_from(f">{count}I", body))
    return None


def _blocks(body: bytes, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < _BLOCK.size * count:
        raise RtpError
    return tuple(_block(*_BLOCK.unpack_from(body, _BLOCK.size * number)) for number in range(count))


def _block(ssrc: int, second: int, *rest: int) -> ReportBlock:
    lost = second & 0xFFFFFF
    return ReportBlock(ssrc, second >> 24, lost - (1 << 24) if lost >> 23 else lost, *rest)


def _encoded(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join(block.encode() for block in blocks)


def _framed(kind: int, count: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body

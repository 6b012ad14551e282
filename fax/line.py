"""The RTP of one fax call: G.711 both ways, the caller's packets in order and gaps told as gaps.

Pure: packets in, pieces of audio out. A modem wants every sample once and in order, and would
rather coast over a gap than hear a repair; so nothing is concealed here (unlike voice).
RFC 3550 §5.1, RFC 3551 §4.5.14. Bad packets are dropped and counted.
"""

import audioop
import struct
from dataclasses import dataclass

PCMU, PCMA = 0, 8
SAMPLES_PER_TICK = 160
_HEADER = struct.Struct("!BBHII")
_MAX_EARLY = 4
"""Packets that may wait for a late one: 80 ms at 20 ms each."""
_MAX_GAP_PACKETS = 100
"""A greater jump of the sequence is a new stream, not a loss (RFC 3550 A.1 uses 3000 at any rate)."""
_QUIET_TICKS = 5
"""After 100 ms without a packet time goes on by itself (silence suppression, dead network)."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Samples, 16-bit linear."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """Lost samples."""

    count: int


class RtpLine:
    """See the module. Sequence, timestamp and SSRC go on where the call's own RTP stopped."""

    def __init__(self, payload_type: int, *, sequence: int, timestamp: int, ssrc: int) -> None:
        self._payload_type = payload_type
        self._sequence = sequence & 0xFFFF
        self._timestamp = timestamp & 0xFFFFFFFF
        self._ssrc = ssrc & 0xFFFFFFFF
        self._peer_ssrc: int | None = None
        self._expected = 0
        self._early: dict[int, bytes] = {}
        self._last_size = SAMPLES_PER_TICK
        self._quiet_ticks = 0
        self._filled = 0
        self.bad_packets = 0
        self.lost_samples = 0

    def packet(self, samples: bytes) -> bytes:
        """The next packet to be sent, of these 16-bit samples."""
        coded = (
            audioop.lin2alaw(samples, 2)
            if self._payload_type == PCMA
            else audioop.lin2ulaw(samples, 2)
        )
        header = _HEADER.pack(0x80, self._payload_type, self._sequence, self._timestamp, self._ssrc)
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + len(coded) & 0xFFFFFFFF
        return header + coded

    def tick(self) -> list[Audio | Gap]:
        """Let 20 ms pass: where the caller has fallen silent, so much time is reported as a gap."""
        self._quiet_ticks += 1
        if self._quiet_ticks <= _QUIET_TICKS:
            return []
        self._filled += SAMPLES_PER_TICK
        return [Gap(SAMPLES_PER_TICK)]

    def receive(self, data: bytes) -> list[Audio | Gap] | None:
        """Take one packet; returns what is in order now, or None if it is no RTP of this call."""
        parsed = _parse(data)
        if parsed is None:
            self.bad_packets += 1
            return None
        kind, sequence, ssrc, payload = parsed
        if ssrc != self._peer_ssrc or not self._is_near(sequence):
            self._begin(ssrc, sequence)
        ahead = sequence - self._expected & 0xFFFF
        if ahead >= 0x8000 or ahead > _MAX_GAP_PACKETS:
            return []  # late or double
        self._quiet_ticks = 0
        # Comfort noise and telephone events take a place in the sequence and no sound.
        self._early[sequence] = payload if kind == self._payload_type else b""
        return self._in_order()

    def _is_near(self, sequence: int) -> bool:
        distance = sequence - self._expected & 0xFFFF
        return distance <= _MAX_GAP_PACKETS or distance >= 0x10000 - _MAX_GAP_PACKETS

    def _begin(self, ssrc: int, sequence: int) -> None:
        self._peer_ssrc = ssrc
        self._expected = sequence
        self._early.clear()
        self._filled = 0

    def _in_order(self) -> list[Audio | Gap]:
        out: list[Audio | Gap] = []
        while self._early:
            payload = self._early.pop(self._expected, None)
            if payload is None:
                if len(self._early) < _MAX_EARLY:
                    break
                out += self._give_up_on_missing()
                continue
            self._expected = self._expected + 1 & 0xFFFF
            self._filled = 0
            if payload:
                self._last_size = len(payload)
                out.append(Audio(self._linear(payload)))
        return out

    def _give_up_on_missing(self) -> list[Audio | Gap]:
        """Skip to the earliest packet that is there; what ticks filled already is not told twice."""
        ahead = min(number - self._expected & 0xFFFF for number in self._early)
        self._expected = self._expected + ahead & 0xFFFF
        missing = max(ahead * self._last_size - self._filled, 0)
        self._filled = 0
        self.lost_samples += missing
        return [Gap(missing)] if missing else []

    def _linear(self, payload: bytes) -> bytes:
        if self._payload_type == PCMA:
            return audioop.alaw2lin(payload, 2)
        return audioop.ulaw2lin(payload, 2)


def _parse(data: bytes) -> tuple[int, int, int, bytes] | None:
    """Payload type, sequence, SSRC and payload of an RTP packet; None if it is none."""
    if len(data) < 12 or data[0] >> 6 != 2 or len(data) > 4096:
        return None
    first, second, sequence, _stamp, ssrc = _HEADER.unpack_from(data)
    if 64 <= second & 0x7F < 96:
        return None  # RTCP on the RTP port (RFC 5761 §4)
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if start > end:
        return None
    return second & 0x7F, sequence, ssrc, data[start:end]

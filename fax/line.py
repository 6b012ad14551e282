"""The RTP of one fax call: G.711 both ways, the caller's packets in order and gaps told as gaps.

Pure: packets in, pieces of audio out. A modem wants every sample once and in order, and would
rather coast over a gap than hear a repair; so nothing is concealed here, and unlike for voice the
sequence numbers count, not the timestamps. Bad packets are dropped and counted.
"""

from dataclasses import dataclass

from um.telephony.rtp.g711 import LAWS
from um.telephony.rtp.jitter import ReorderBuffer, sequence_distance
from um.telephony.rtp.packet import RtpError, RtpPacket, is_rtcp, parse_packet

SAMPLES_PER_TICK = 160
_LONGEST_GAP_PACKETS = 100
"""Two seconds: after more the modems have lost each other anyway."""
_QUIET_SECONDS = 0.12
"""After so long without a packet time goes on by itself (silence suppression, dead network)."""


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
        self._law = LAWS[payload_type]
        self._payload_type = payload_type
        self._sequence = sequence & 0xFFFF
        self._timestamp = timestamp & 0xFFFFFFFF
        self._ssrc = ssrc & 0xFFFFFFFF
        self._order = ReorderBuffer()
        self._last: RtpPacket | None = None
        self._heard_at: float | None = None
        self._filled = 0
        """Samples that ticks told as a gap since the last packet."""
        self.bad_packets = 0

    @property
    def heard_ssrc(self) -> int | None:
        """Of the last packet that came."""
        return self._last.ssrc if self._last is not None else None

    def resumed(self, payload_type: int) -> "RtpLine":
        """A line that goes on sending where this one stopped, and has heard nothing yet."""
        return RtpLine(
            payload_type, sequence=self._sequence, timestamp=self._timestamp, ssrc=self._ssrc
        )

    def change_law(self, payload_type: int) -> None:
        """Go on in the other law of G.711, both ways."""
        self._law, self._payload_type = LAWS[payload_type], payload_type

    def packet(self, samples: bytes) -> bytes:
        """The next packet to be sent, of these 16-bit samples."""
        packet = RtpPacket(
            payload_type=self._payload_type,
            marker=False,
            sequence=self._sequence,
            timestamp=self._timestamp,
            ssrc=self._ssrc,
            payload=self._law.encode(samples),
        )
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = self._timestamp + len(packet.payload) & 0xFFFFFFFF
        return packet.encode()

    def receive(self, data: bytes, now: float) -> list[Audio | Gap] | None:
        """Take one packet; returns what is in order now, or None if it is no RTP."""
        if is_rtcp(data):
            return None
        try:
            packet = parse_packet(data)
        except RtpError:
            self.bad_packets += 1
            return None
        self._heard_at = now
        return self._pieces(self._order.put(packet, now))

    def tick(self, now: float) -> list[Audio | Gap]:
        """Let 20 ms pass: give up on what is missing; time without packets is told as a gap."""
        pieces = self._pieces(self._order.take(now))
        if self._heard_at is None:
            self._heard_at = now
        if now - self._heard_at > _QUIET_SECONDS:
            self._filled += SAMPLES_PER_TICK
            pieces.append(Gap(SAMPLES_PER_TICK))
        return pieces

    def _pieces(self, packets: list[RtpPacket]) -> list[Audio | Gap]:
        pieces: list[Audio | Gap] = []
        for packet in packets:
            missing = self._missing_before(packet)
            if missing > 0:
                pieces.append(Gap(missing))
            self._last, self._filled = packet, 0
            # Comfort noise and telephone events take a place in the sequence and no sound.
            if packet.payload and packet.payload_type == self._payload_type:
                pieces.append(Audio(self._law.decode(packet.payload)))
        return pieces

    def _missing_before(self, packet: RtpPacket) -> int:
        last = self._last
        if last is None or last.ssrc != packet.ssrc:
            return 0
        packets = sequence_distance(packet.sequence, last.sequence) - 1
        if not 0 < packets <= _LONGEST_GAP_PACKETS:
            return 0
        size = len(packet.payload) or SAMPLES_PER_TICK
        return packets * size - self._filled

"""The sending side of one call's media: queued samples in, RTP packets out, one beat in 20 ms.

Laws: sequence and timestamp never jump, silence is sent where nothing is queued, and as much leaves
as time passes: with 30 ms packets some beats send none.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from um.telephony.codec import Coder
from um.telephony.rtp.jitter import CLOCK_RATE
from um.telephony.rtp.packet import RtpPacket

TICK_SAMPLES: Final = 160


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where our own stream stands, for whoever goes on with it."""

    sequence: int
    timestamp: int
    ssrc: int


class Speaker:
    """Our stream."""

    def __init__(self, stream: StreamState) -> None:
        self.stream = stream
        self._queue: deque[bytes] = deque()
        self._offset = 0
        self._due = 0
        self._first = True

    def play(self, samples: bytes) -> None:
        """Queue samples behind those already queued; half a sample at the end is dropped."""
        if len(samples) >= 2:
            self._queue.append(samples[: len(samples) & ~1])

    def stop_playing(self) -> None:
        """Drop what is queued."""
        self._queue.clear()
        self._offset = 0

    def beat(
        self, coder: Coder, payload_type: int, ptime_ms: int, send: Callable[[bytes, int], None]
    ) -> bool:
        """20 ms pass: give `send` each packet that is due, with the octets of its payload.

        Returns whether the queue ran empty now.
        """
        was_playing = bool(self._queue)
        size = ptime_ms * CLOCK_RATE // 1000
        self._due = min(self._due + TICK_SAMPLES, size + TICK_SAMPLES)
        while self._due >= size:
            self._due -= size
            payload = coder.encode(self._next_samples(size))
            send(self._packet(payload_type, payload, size), len(payload))
        return was_playing and not self._queue

    def _packet(self, payload_type: int, payload: bytes, samples: int) -> bytes:
        stream = self.stream
        packet = RtpPacket(
            payload_type, self._first, stream.sequence, stream.timestamp, stream.ssrc, payload
        )
        self._first = False
        self.stream = StreamState(
            (stream.sequence + 1) & 0xFFFF, (stream.timestamp + samples) & 0xFFFFFFFF, stream.ssrc
        )
        return packet.encode()

    def _next_samples(self, count: int) -> bytes:
        """So much of the queue, silence behind its end."""
        wanted, parts = 2 * count, []
        while wanted and self._queue:
            part = self._queue[0][self._offset : self._offset + wanted]
            parts.append(part)
            wanted -= len(part)
            self._offset += len(part)
            if self._offset >= len(self._queue[0]):
                self._queue.popleft()
                self._offset = 0
        return b"".join(parts) + bytes(wanted)

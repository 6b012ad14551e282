"""The sending side of one call's media: queued samples in, RTP packets out, one beat in 20 ms.

Laws:
- The sequence never jumps, timestamps go on as time passes; with 30 ms packets some beats send none.
- Where nothing is queued, silence is sent for 0.2 s and then only a packet a second, which keeps the
  way through address translation open (RFC 6263) and those who watch for dead media content. What
  follows begins with the marker (RFC 3551 §4.1). `unbroken`: silence is sent as everything else.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from um.telephony.codec import Coder
from um.telephony.rtp.jitter import CLOCK_RATE
from um.telephony.rtp.packet import HEADER, VERSION_2

TICK_SAMPLES: Final = 160
HANGOVER_SAMPLES: Final = CLOCK_RATE // 5
KEEP_ALIVE_SAMPLES: Final = CLOCK_RATE
_MARKER: Final = 0x80


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where our own stream stands, for whoever goes on with it."""

    sequence: int
    timestamp: int
    ssrc: int


class Speaker:
    """Our stream."""

    def __init__(self, stream: StreamState, *, unbroken: bool = False) -> None:
        self._sequence, self._timestamp, self._ssrc = stream.sequence, stream.timestamp, stream.ssrc
        self._unbroken = unbroken
        self._queue: deque[bytes] = deque()
        self._offset = 0
        self._due = 0
        self._begins = True
        """The next packet is the first of a talk spurt."""
        self._quiet = 0
        """Samples since the queue ran empty."""
        self._unsaid = 0
        """Samples since a packet was sent."""

    @property
    def stream(self) -> StreamState:
        """The next packet's sequence number and timestamp, and our SSRC."""
        return StreamState(self._sequence, self._timestamp, self._ssrc)

    @property
    def timestamp(self) -> int:
        """The next packet's."""
        return self._timestamp

    @property
    def rests(self) -> bool:
        """Whether nothing is said but the packet a second."""
        return not self._queue and not self._unbroken and self._quiet > HANGOVER_SAMPLES

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
            if self._is_said(size):
                payload = coder.encode(self._next_samples(size))
                send(self._packet(payload_type, payload), len(payload))
            self._timestamp = (self._timestamp + size) & 0xFFFFFFFF
        return was_playing and not self._queue

    def ends_within(self, beats: int) -> bool:
        """Whether the queue runs empty in so many beats."""
        left = sum(map(len, self._queue)) - self._offset
        return 0 < left <= 2 * (self._due + beats * TICK_SAMPLES)

    def pass_silently(self, beats: int) -> bool:
        """So many beats pass without a packet; False, and nothing done, if one is due in them."""
        samples = beats * TICK_SAMPLES
        if not self.rests or self._due or self._unsaid + samples >= KEEP_ALIVE_SAMPLES:
            return False
        self._quiet += samples
        self._unsaid += samples
        self._timestamp = (self._timestamp + samples) & 0xFFFFFFFF
        return True

    def _is_said(self, size: int) -> bool:
        """Whether the next `size` samples are sent."""
        if self._queue or self._unbroken:
            self._begins |= self._quiet > HANGOVER_SAMPLES
            self._quiet = self._unsaid = 0
            return True
        self._quiet += size
        self._unsaid += size
        if self._quiet > HANGOVER_SAMPLES and self._unsaid < KEEP_ALIVE_SAMPLES:
            return False
        self._unsaid = 0
        return True

    def _packet(self, payload_type: int, payload: bytes) -> bytes:
        second = payload_type | _MARKER if self._begins else payload_type
        self._begins = False
        head = HEADER.pack(VERSION_2, second, self._sequence, self._timestamp, self._ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        return head + payload

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

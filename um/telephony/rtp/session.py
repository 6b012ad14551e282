"""One call's RTP (RFC 3550, 3551, 4733): packets in, samples out; samples in, packets out.

Laws:
- `tick(now)` every 20 ms is the only thing that sends; sequence and timestamp never jump.
- Packets count only from the source that is latched: the first one that agrees with the session
  description, or comes from the core's own address (symmetric RTP). Others are dropped, counted.
- What is heard has true length: losses, pauses and key presses are filled with silence.
- RTCP is taken and ignored.
"""

from array import array
from collections import deque
from dataclasses import dataclass
from typing import Final

from um.core.ports import Metrics
from um.telephony.offer import Agreed
from um.telephony.rtp.dtmf import EventReceiver
from um.telephony.rtp.g711 import LAWS
from um.telephony.rtp.jitter import CLOCK_RATE, ReorderBuffer, Timeline
from um.telephony.rtp.packet import RtpError, RtpPacket, is_rtcp, parse_packet

Address = tuple[str, int]
TICK_SECONDS: Final = 0.02
NO_MEDIA_SECONDS: Final = 30.0
_TICK_SAMPLES: Final = 160
_CONCEALED_SAMPLES: Final = 160


@dataclass(frozen=True, slots=True)
class Audio:
    """Samples heard, in order: signed 16 bits, native byte order, 8000 a second."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class Digit:
    """One key press."""

    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """All that was queued has been sent."""


@dataclass(frozen=True, slots=True)
class MediaLost:
    """Nothing came for `no_media_seconds`; told once."""


RtpEvent = Audio | Digit | PlaybackFinished | MediaLost


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where our own stream stands, for whoever goes on with it."""

    sequence: int
    timestamp: int
    ssrc: int


class RtpSession:
    """The media of one call.

    Args:
        agreed: the outcome of offer and answer.
        core: IP address that the signalling comes from.
        stream: random first sequence number, timestamp and SSRC (RFC 3550 §5.1).
        now: monotonic time in seconds: listening begins.
        metrics: counts what is dropped.
        no_media_seconds: silence of the network that ends a call.
    """

    def __init__(
        self,
        agreed: Agreed,
        *,
        core: str,
        stream: StreamState,
        now: float,
        metrics: Metrics,
        no_media_seconds: float = NO_MEDIA_SECONDS,
    ) -> None:
        self._agreed = agreed
        self._core = core
        self._stream = stream
        self._metrics = metrics
        self._no_media_seconds = no_media_seconds
        self._latched: Address | None = None
        self._reorder = ReorderBuffer()
        self._timeline = Timeline(now)
        self._event_receiver = EventReceiver()
        self._events: deque[RtpEvent] = deque()
        self._outbox: list[tuple[bytes, Address]] = []
        self._queue: deque[bytes] = deque()
        self._offset = 0
        self._heard_at = now
        self._lost = False
        self._first = True
        self._last_frame = b""

    @property
    def remote(self) -> Address | None:
        """Where we send: the latched source, else what the session description says."""
        return self._latched or self._agreed.remote

    @property
    def payload_type(self) -> int:
        """0 PCMU, 8 PCMA."""
        return self._agreed.payload_type

    @property
    def ptime_ms(self) -> int:
        return self._agreed.ptime_ms

    @property
    def stream(self) -> StreamState:
        """The next packet's sequence number and timestamp, and our SSRC."""
        return self._stream

    # ---- network side

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram. Bad or foreign ones are dropped and counted, nothing is raised."""
        if is_rtcp(data):
            return
        try:
            packet = parse_packet(data)
        except RtpError:
            self._metrics.count("rtp_malformed_packets")
            return
        if not self._admit(address):
            self._metrics.count("rtp_foreign_packets")
            return
        self._heard_at = now
        for ready in self._reorder.put(packet, now):
            self._take(ready, now)

    def next_event(self) -> RtpEvent | None:
        """The oldest event not yet taken, or None."""
        return self._events.popleft() if self._events else None

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """What must leave now, in order."""
        outgoing, self._outbox = self._outbox, []
        return outgoing

    def tick(self, now: float) -> None:
        """Every 20 ms: send the next frame, give up gaps, notice that nothing comes."""
        for ready in self._reorder.take(now):
            self._take(ready, now)
        self._silence(self._timeline.stalled(now))
        if self._agreed.sends and self.remote is not None:
            self._send()
        if not self._agreed.receives:
            self._heard_at = now  # on hold: nothing is owed to us
        elif not self._lost and now - self._heard_at >= self._no_media_seconds:
            self._lost = True
            self._events.append(MediaLost())

    # ---- user side

    def play(self, samples: bytes) -> None:
        """Queue samples behind those already queued; half a sample at the end is dropped."""
        if len(samples) >= 2:
            self._queue.append(samples[: len(samples) & ~1])

    def stop_playing(self) -> None:
        """Drop what is queued; no `PlaybackFinished` follows."""
        self._queue.clear()
        self._offset = 0

    def renegotiate(self, agreed: Agreed) -> None:
        """Go on with a new agreement (re-INVITE). A new address unlatches the source."""
        if agreed.remote != self._agreed.remote:
            self._latched = None
        self._agreed = agreed

    def finish(self, now: float) -> None:
        """The call ends: give out what waits behind a gap."""
        for ready in self._reorder.flush():
            self._take(ready, now)

    # ---- hearing

    def _admit(self, address: Address) -> bool:
        described = self._agreed.remote
        if address in {described, self._latched}:
            self._latched = address
            return True
        if self._latched is not None:
            return False
        if address[0] == self._core or (described is not None and address[0] == described[0]):
            self._latched = address
            return True
        return False

    def _take(self, packet: RtpPacket, now: float) -> None:
        """One packet in sequence. Other payloads (comfort noise, RFC 3389) only keep the order."""
        if packet.payload_type == self._agreed.event_type:
            digit = self._event_receiver.receive(packet)
            if digit is not None:
                self._events.append(Digit(digit))
            return
        law = LAWS.get(packet.payload_type)
        if law is None or not packet.payload:
            return
        missing = self._timeline.gap_before(packet, len(packet.payload), now)
        self._conceal(missing)
        self._last_frame = law.decode(packet.payload)
        self._events.append(Audio(self._last_frame))

    def _conceal(self, missing: int) -> None:
        """The first 20 ms of a gap fade out what was heard last; the rest is silence."""
        if not missing:
            return
        length = min(missing, _CONCEALED_SAMPLES, len(self._last_frame) // 2)
        if length:
            samples = array("h", self._last_frame[-2 * length :])
            for index in range(length):
                samples[index] = samples[index] * (length - index) // (2 * length)
            self._events.append(Audio(samples.tobytes()))
        self._silence(missing - length)

    def _silence(self, samples: int) -> None:
        for start in range(0, samples, _TICK_SAMPLES):
            self._events.append(Audio(bytes(2 * min(_TICK_SAMPLES, samples - start))))

    # ---- speaking

    def _send(self) -> None:
        law = LAWS[self._agreed.payload_type]
        remote = self.remote
        assert remote is not None
        playing = bool(self._queue)
        frame = law.encode(self._next_samples()) if playing else bytes([law.silence]) * 160
        size = self._agreed.ptime_ms * CLOCK_RATE // 1000
        for start in range(0, _TICK_SAMPLES, size):
            payload = frame[start : start + size]
            packet = RtpPacket(
                self._agreed.payload_type,
                self._first,
                self._stream.sequence,
                self._stream.timestamp,
                self._stream.ssrc,
                payload,
            )
            self._first = False
            self._outbox.append((packet.encode(), remote))
            self._stream = StreamState(
                (self._stream.sequence + 1) & 0xFFFF,
                (self._stream.timestamp + len(payload)) & 0xFFFFFFFF,
                self._stream.ssrc,
            )
        if playing and not self._queue:
            self._events.append(PlaybackFinished())

    def _next_samples(self) -> bytes:
        """20 ms of the queue, silence behind its end."""
        wanted, parts = 2 * _TICK_SAMPLES, []
        while wanted and self._queue:
            part = self._queue[0][self._offset : self._offset + wanted]
            parts.append(part)
            wanted -= len(part)
            self._offset += len(part)
            if self._offset >= len(self._queue[0]):
                self._queue.popleft()
                self._offset = 0
        return b"".join(parts) + bytes(wanted)

"""The RTP of the scripted telephone: a sender with seeded impairments, a listener, a beep detector.

Samples are signed 16 bits, native byte order, mono, 8000 a second. Companding is `audioop`'s, not
the server's own.
"""

import audioop
import math
import random
import secrets
import struct
from array import array
from dataclasses import dataclass, field
from typing import Any

from um.telephony.g729 import G729Coder

FRAME_SAMPLES = 160
FRAME_OCTETS = 2 * FRAME_SAMPLES
FRAME_SECONDS = 0.02
DIGITS = "0123456789*#ABCD"
EVENT_TYPE = 101
G729_TYPE = 18
"""Encoded by the server's own binding, which its tests hold against FFmpeg's decoder."""
_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYPAD = "123A456B789C*0#D"
_HEADER = struct.Struct(">BBHII")


@dataclass(frozen=True, slots=True)
class Impairments:
    """What the network does to packets that the telephone sends; shares of 1, seeded."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Share of packets that are held back and sent after the next one."""
    seed: int = 1


@dataclass(slots=True)
class RtpSender:
    """Makes the packets of one stream; `frame` and `press` return what to put on the wire."""

    payload_type: int
    impairments: Impairments = Impairments()
    sequence: int = field(default_factory=lambda: secrets.randbelow(65536))
    timestamp: int = field(default_factory=lambda: secrets.randbelow(1 << 32))
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sent: int = 0
    _first: bool = True
    _held: bytes = b""
    _g729: Any = None
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.impairments.seed)

    def frame(self, samples: bytes) -> list[bytes]:
        """20 ms of audio; shorter samples are filled with silence."""
        payload = self._encode(samples.ljust(FRAME_OCTETS, b"\0"))
        packet = self._packet(self.payload_type, payload, marker=self._first)
        self._first = False
        self.timestamp = (self.timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        return self._impair(packet)

    def press(self, digit: str, *, frames: int = 5) -> list[list[bytes]]:
        """One key press (RFC 4733): packets for each 20 ms, the end thrice in the last."""
        code, ticks = DIGITS.index(digit), []
        for number in range(1, frames + 1):
            payload = struct.pack(">BBH", code, 10, number * FRAME_SAMPLES)
            packet = self._packet(EVENT_TYPE, payload, marker=number == 1)
            ticks.append(self._impair(packet))
        end = struct.pack(">BBH", code, 0x80 | 10, frames * FRAME_SAMPLES)
        for _ in range(3):
            ticks[-1] += self._impair(self._packet(EVENT_TYPE, end, marker=False))
        self.timestamp = (self.timestamp + frames * FRAME_SAMPLES) & 0xFFFFFFFF
        return ticks

    def noise(self, level: int) -> list[bytes]:
        """20 ms of comfort noise at -`level` dBov (RFC 3389)."""
        packet = self._packet(13, bytes([level]), marker=False)
        self.skip()
        return self._impair(packet)

    def _encode(self, samples: bytes) -> bytes:
        if self.payload_type != G729_TYPE:
            return compand(samples, self.payload_type)
        self._g729 = self._g729 or G729Coder()
        return self._g729.encode(samples)

    def skip(self) -> None:
        """20 ms without a packet: discontinuous transmission."""
        self.timestamp = (self.timestamp + FRAME_SAMPLES) & 0xFFFFFFFF

    def _packet(self, payload_type: int, payload: bytes, *, marker: bool) -> bytes:
        second = payload_type | (0x80 if marker else 0)
        header = _HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.sent += 1
        return header + payload

    def _impair(self, packet: bytes) -> list[bytes]:
        """Loss, duplication and exchange with the next packet."""
        held, self._held = self._held, b""
        packets = [packet]
        if self._random.random() < self.impairments.loss:
            packets = []
        elif self._random.random() < self.impairments.duplicate:
            packets = [packet, packet]
        elif not held and self._random.random() < self.impairments.reorder:
            self._held, packets = packet, []
        return packets + ([held] if held else [])


@dataclass(slots=True)
class RtpListener:
    """Puts what is heard on its place in time, by RTP timestamps."""

    payload_type: int
    packets: int = 0
    gaps: int = 0
    """Sequence numbers that were missing."""
    _first: int | None = None
    _sequence: int | None = None
    _g729: Any = None
    _samples: bytearray = field(default_factory=bytearray)

    @property
    def heard(self) -> bytes:
        """All samples so far."""
        return bytes(self._samples)

    def receive(self, data: bytes) -> bytes:
        """Take a packet; returns its samples ("" if it is not of our codec)."""
        _, second, sequence, timestamp, _ = _HEADER.unpack_from(data)
        if second & 0x7F != self.payload_type:
            return b""
        samples = self._decode(data[_HEADER.size :])
        if self._first is None:
            self._first = timestamp
        if self._sequence is not None:
            self.gaps += max(0, (sequence - self._sequence - 1) % 65536 % 32768)
        self._sequence = sequence
        start = 2 * ((timestamp - self._first) % (1 << 32))
        if start > len(self._samples) + 16_000 * 60:
            raise ValueError("RTP timestamp jumps by more than a minute")
        self._samples.extend(bytes(max(0, start - len(self._samples))))
        self._samples[start : start + len(samples)] = samples
        self.packets += 1
        return samples

    def _decode(self, payload: bytes) -> bytes:
        if self.payload_type != G729_TYPE:
            return expand(payload, self.payload_type)
        self._g729 = self._g729 or G729Coder()
        return self._g729.decode(payload)


@dataclass(slots=True)
class BeepDetector:
    """Hears a steady tone of at least 100 ms between 350 and 3000 Hz."""

    heard: bool = False
    """A beep has been heard, and it is over."""
    _seconds: float = 0.0
    """Of the tone, so far."""
    _hertz: float = 0.0

    def feed(self, samples: bytes) -> None:
        """Take the samples of one packet."""
        hertz = tone_of(samples)
        if hertz is None or (self._seconds and abs(hertz - self._hertz) > 0.05 * self._hertz):
            self._end()
        if hertz is not None:
            self._seconds += len(samples) / 2 / 8000
            self._hertz = hertz

    def hear_nothing(self, seconds: float, whole_seconds: float) -> None:
        """No packet came for so long: the tone is over, unless its sender is only held up.

        A tone of (nearly) its whole length is believed to be over at once, a shorter one may go on.
        """
        if seconds > (0.06 if self._seconds >= whole_seconds - 0.05 else 1.0):
            self._end()

    def _end(self) -> None:
        if self._seconds >= 0.1:
            self.heard = True
        self._seconds = 0.0


def tone_of(samples: bytes) -> float | None:
    """Frequency in Hz if the frame is one loud sine wave, else None.

    A sine obeys x[n] + x[n-2] = 2 cos(w) x[n-1]; what is left over measures its purity.
    """
    values = array("h", samples)
    energy = sum(value * value for value in values)
    if len(values) < 40 or energy / len(values) < 300 * 300:
        return None
    triples = list(zip(values, values[1:], values[2:], strict=False))
    weight = sum(middle * middle for _, middle, _ in triples)
    if not weight:  # a single sample at one end
        return None
    cosine = sum(middle * (left + right) for left, middle, right in triples) / weight
    rest = sum((left + right - cosine * middle) ** 2 for left, middle, right in triples)
    if abs(cosine) >= 2 or rest > 0.01 * energy:
        return None
    hertz = math.acos(cosine / 2) * 8000 / (2 * math.pi)
    return hertz if 350 <= hertz <= 3000 else None


def compand(samples: bytes, payload_type: int) -> bytes:
    """Samples to G.711."""
    law = audioop.lin2ulaw if payload_type == 0 else audioop.lin2alaw
    return law(samples, 2)


def expand(payload: bytes, payload_type: int) -> bytes:
    """G.711 to samples."""
    law = audioop.ulaw2lin if payload_type == 0 else audioop.alaw2lin
    return law(payload, 2)


def tone(hertz: float, seconds: float, *, amplitude: int = 8000) -> bytes:
    """A sine wave."""
    step = 2 * math.pi * hertz / 8000
    return array(
        "h", (round(amplitude * math.sin(step * n)) for n in range(round(8000 * seconds)))
    ).tobytes()


def key_tones(digits: str) -> bytes:
    """Keys as they sound (ITU-T Q.23), 100 ms each with 100 ms between them."""
    heard = b""
    for digit in digits:
        row, column = divmod(_KEYPAD.index(digit), 4)
        low = array("h", tone(_ROWS[row], 0.1, amplitude=5000))
        high = array("h", tone(_COLUMNS[column], 0.1, amplitude=5000))
        both = array("h", (one + other for one, other in zip(low, high, strict=True)))
        heard += both.tobytes() + bytes(1600)
    return heard

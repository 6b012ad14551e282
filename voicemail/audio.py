"""Recordings as files: what a message carries, made from linear samples. Pure, runs off the loop."""

import sys
import wave
from array import array
from dataclasses import dataclass, field
from io import BytesIO

from um.mime.build import AudioFormat
from voicemail.level import SAMPLE_RATE, SILENCE_LEVEL, sound_of, trim_tail
from voicemail.loudness import normalise
from voicemail.mp3 import encode_mp3


@dataclass(frozen=True, slots=True)
class Recording:
    """An encoded recording."""

    data: bytes = field(repr=False)
    format: AudioFormat
    duration_seconds: float

    @property
    def whole_seconds(self) -> int:
        """Content-Duration (RFC 3803): rounded, and never 0."""
        return max(1, round(self.duration_seconds))


def encode(samples: "array[int]", audio_format: AudioFormat) -> Recording:
    """Samples (native order, mono, 8000 a second) as a file of that format."""
    make = encode_mp3 if audio_format is AudioFormat.MP3 else encode_wav
    return Recording(make(samples), audio_format, len(samples) / SAMPLE_RATE)


def encode_wav(samples: "array[int]") -> bytes:
    """A RIFF file of 16-bit linear samples."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(little_endian(samples).tobytes())
    return out.getvalue()


def prepare(
    captured: bytes, *, minimum_seconds: float = 1.0, threshold: int = SILENCE_LEVEL
) -> "array[int] | None":
    """What a caller said, ready to be stored: tail trimmed, level evened.

    Args:
        captured: little-endian samples as the spool keeps them; a torn last sample is dropped.
        minimum_seconds: least length of sound, from the first loud moment to the last.
        threshold: level below which it is silence.

    Returns None if there is too little sound to be a message.
    """
    samples = from_little_endian(captured)
    if sound_of(samples, threshold=threshold).seconds < minimum_seconds:
        return None
    return normalise(trim_tail(samples, threshold=threshold), threshold=threshold)


def from_little_endian(data: bytes) -> "array[int]":
    """Little-endian octets as samples; an odd last octet is dropped."""
    samples = array("h", data[: len(data) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def little_endian(samples: "array[int]") -> "array[int]":
    """The same samples with their octets in little-endian order."""
    if sys.byteorder == "little":
        return samples
    swapped = samples[:]
    swapped.byteswap()
    return swapped

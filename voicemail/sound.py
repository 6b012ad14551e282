"""The sound of a stored voice message: out of its MIME, decoded. Blocks: not for the loop.

A linear telephone WAV, as we write it, is read as it is; everything else goes through FFmpeg.
"""

import wave
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from io import BytesIO
from typing import TYPE_CHECKING

import structlog

from um.core.errors import UMError
from voicemail.audio import from_little_endian
from voicemail.convert import convert
from voicemail.level import SAMPLE_RATE

if TYPE_CHECKING:
    from array import array

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AudioPart:
    """The first audio part of a message."""

    subtype: str
    """`mpeg`, `wav` …"""
    data: bytes = field(repr=False)


def audio_part(message: bytes) -> AudioPart | None:
    """The audio of a message, or None if it carries none."""
    for part in message_from_bytes(message, policy=default).walk():
        if part.get_content_maintype() == "audio":
            data = part.get_payload(decode=True)
            if isinstance(data, bytes):
                return AudioPart(part.get_content_subtype(), data)
    return None


def sound_of_message(message: bytes) -> bytes:
    """Samples in native order; empty, and logged, if there is nothing that can be played."""
    part = audio_part(message)
    try:
        return decode(part.data).tobytes() if part else b""
    except UMError as error:
        log.warning("playback.unreadable", error=error.code)
        return b""


def decode(data: bytes) -> "array[int]":
    """An audio file as samples. Raises RefusedDocumentError, UnavailableError."""
    samples = _linear(data)
    return convert(data) if samples is None else samples


def _linear(data: bytes) -> "array[int] | None":
    """What a WAV of our own kind holds; None if it is anything else."""
    if data[:4] != b"RIFF":
        return None
    try:
        with wave.open(BytesIO(data), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if shape != (1, 2, SAMPLE_RATE):
                return None
            return from_little_endian(file.readframes(file.getnframes()))
    except (wave.Error, EOFError):
        return None

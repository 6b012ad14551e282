"""Audio files that owners give: `um.core.ports.AudioFiles`, over FFmpeg and pydub."""

import asyncio

from voicemail.audio import encode_wav
from voicemail.convert import convert
from voicemail.loudness import normalise

AT_ONCE = 2
"""Conversions that run beside the calls."""


class ConvertedFiles:
    """Converts in threads, a few at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)

    async def for_telephone(self, data: bytes, *, longest_seconds: int) -> bytes:
        """A WAV file, as loud as our own prompts. Raises as the port says."""
        async with self._room:
            return await asyncio.to_thread(_for_telephone, data, longest_seconds)


def _for_telephone(data: bytes, longest_seconds: int) -> bytes:
    return encode_wav(normalise(convert(data, longest_seconds=longest_seconds)))

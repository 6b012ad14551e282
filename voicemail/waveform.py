"""A recording as a drawing: the heights of its waveform, for a player."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voicemail.convert import convert

if TYPE_CHECKING:
    from array import array

BARS = 120
TALLEST = 31
SHORTEST = 1
AT_ONCE = 2
"""Recordings that are decoded beside the calls."""


class Waveforms:
    """Decodes in threads, a few at a time."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(AT_ONCE)

    async def draw(self, audio: bytes) -> Sequence[int]:
        """BARS heights, SHORTEST to TALLEST. Raises as `voicemail.convert`."""
        async with self._room:
            return await asyncio.to_thread(_draw, audio)


def _draw(audio: bytes) -> Sequence[int]:
    return heights(convert(audio))


def heights(samples: "array[int]", bars: int = BARS) -> Sequence[int]:
    """The loudest sample of each of `bars` equal stretches, as a share of the loudest of all.

    The share's square root is drawn, so that quiet words are seen beside loud ones.
    """
    step = max(1, len(samples) // bars)
    loudest = [_loudest(samples[at * step : (at + 1) * step]) for at in range(bars)]
    top = max(*loudest, 1)
    return [max(SHORTEST, round(TALLEST * (each / top) ** 0.5)) for each in loudest]


def _loudest(samples: "array[int]") -> int:
    if not samples:
        return 0
    highest, lowest = max(samples), min(samples)
    return max(highest, -lowest)

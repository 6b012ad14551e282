"""Brings quiet speech to an even level. Pure.

The multiplication is audioop's, through pydub: a million samples take 2 ms there, 140 ms in Python.
"""

import math
import warnings
from array import array
from collections.abc import Sequence

from voicemail.level import FRAME, SAMPLE_RATE, SILENCE_LEVEL

with warnings.catch_warnings():
    # pydub warns of its own regular expressions and of audioop's retirement (audioop-lts follows).
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

TARGET_LEVEL = 2600
"""Mean level of speech that is aimed at: about -20 dBFS RMS, where the spoken prompts lie."""
LARGEST_GAIN = 8.0
"""18 dB: more would lift line noise to the level of speech."""
LEAST_GAIN = 1.05
"""Less than this is not heard and not worth a pass over the samples."""
CEILING = 32_000
"""No sample is lifted above this: clipping is worse than quiet."""
MEASURED_EVERY = 8
"""Speech does not change so fast that every frame must be measured."""


def normalise(samples: "array[int]", *, threshold: int = SILENCE_LEVEL) -> "array[int]":
    """Lift quiet speech to an even level; never lowers, never clips."""
    gain = gain_for(samples, threshold=threshold)
    if gain < LEAST_GAIN:
        return samples
    louder = _segment(samples).apply_gain(20 * math.log10(gain))
    return array("h", louder.raw_data)


def gain_for(samples: "array[int]", *, threshold: int = SILENCE_LEVEL) -> float:
    """The factor that brings speech to `TARGET_LEVEL`: 1 to 8, and without any clipping."""
    loud = _loud_sums(samples, threshold * FRAME)
    if not loud:
        return 1.0
    wanted = TARGET_LEVEL * FRAME * len(loud) / sum(loud)
    peak: int = _segment(samples).max
    return max(1.0, min(wanted, LARGEST_GAIN, CEILING / peak))


def _loud_sums(samples: Sequence[int], floor: int) -> list[int]:
    """Sums of the absolute samples of the loud ones among every eighth frame."""
    starts = range(0, len(samples) - FRAME + 1, MEASURED_EVERY * FRAME)
    sums = (sum(map(abs, samples[start : start + FRAME])) for start in starts)
    return [total for total in sums if total >= floor]


def _segment(samples: "array[int]") -> AudioSegment:
    return AudioSegment(samples.tobytes(), sample_width=2, frame_rate=SAMPLE_RATE, channels=1)

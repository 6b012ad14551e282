"""Where sound and silence lie in a recording, and what follows: its end and its trimming. Pure.

Samples are signed 16-bit linear in native order, 8000 a second, mono; bytes, or any buffer of them.
A frame is 20 ms; its level is the mean absolute value of its samples, the measure that Asterisk and
FreeSWITCH use for the same purpose. A frame at or above the threshold is sound, below it silence.
"""

import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop  # beyond Python 3.12: audioop-lts

SAMPLE_RATE = 8000
FRAME = 160
"""Samples of one frame: 20 ms."""
SILENCE_LEVEL = 200
"""Precedent: FreeSWITCH and FusionPBX; below speech on a noisy line, above comfort noise."""
_FRAME_OCTETS = 2 * FRAME
TAIL_SECONDS = 0.2
"""Left after the last sound, so that a recording does not end in a cut word."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where the sound of a recording lies, in samples: from its first loud frame to its last."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / SAMPLE_RATE


class LevelMeter:
    """Follows a recording as it grows, cut into chunks of any size.

    `feed` may stop within a chunk: it returns how many of its samples come before the moment when
    silence has lasted `silence_seconds`.
    """

    def __init__(self, *, silence_seconds: float, threshold: int = SILENCE_LEVEL) -> None:
        self._threshold = threshold
        self._silence = max(1, round(silence_seconds * SAMPLE_RATE / FRAME))
        self._partial = bytearray()
        self._frames = 0
        self._first_loud: int | None = None
        self._after_loud = 0

    @property
    def silent(self) -> bool:
        """Whether silence has lasted long enough to end the recording."""
        return self._frames - self._after_loud >= self._silence

    @property
    def sound(self) -> Span:
        """Where the sound of all that was fed lies."""
        if self._first_loud is None:
            return Span(0, 0)
        return Span(self._first_loud * FRAME, self._after_loud * FRAME)

    def feed(self, samples: bytes) -> int:
        """Measure `samples`; returns how many of them (not octets) belong to the recording."""
        had = len(self._partial)
        self._partial += samples
        if self._cannot_fall_silent():
            self._look_back()
            return len(samples) // 2
        taken = 0
        while len(self._partial) - taken >= _FRAME_OCTETS and not self.silent:
            self._measure(bytes(self._partial[taken : taken + _FRAME_OCTETS]))
            taken += _FRAME_OCTETS
        if self.silent:
            self._partial.clear()
            return max(0, taken - had) // 2
        del self._partial[:taken]
        return len(samples) // 2

    def _cannot_fall_silent(self) -> bool:
        """Whether the frames at hand do not make a silence long enough, whatever they hold."""
        quiet = self._frames - self._after_loud + len(self._partial) // _FRAME_OCTETS
        return self._first_loud is not None and quiet < self._silence

    def _look_back(self) -> None:
        """Then only the last loud frame counts: speech is found at once."""
        count = len(self._partial) // _FRAME_OCTETS
        for number in range(count, 0, -1):
            start = (number - 1) * _FRAME_OCTETS
            if is_sound(bytes(self._partial[start : start + _FRAME_OCTETS]), self._threshold):
                self._after_loud = self._frames + number
                break
        self._frames += count
        del self._partial[: count * _FRAME_OCTETS]

    def _measure(self, frame: bytes) -> None:
        self._frames += 1
        if is_sound(frame, self._threshold):
            if self._first_loud is None:
                self._first_loud = self._frames - 1
            self._after_loud = self._frames


def is_sound(frame: bytes, threshold: int) -> bool:
    """Whether the mean absolute value of the samples is at least `threshold`.

    audioop has no such mean, but two bounds of it (the root mean square is no less; its square is no
    more than the mean times the peak), which decide nearly every frame in a tenth of the time.
    """
    rms = audioop.rms(frame, 2)  # rounded down
    if rms + 1 <= threshold:
        return False
    if rms * rms >= threshold * audioop.max(frame, 2):
        return True
    samples = array("h", frame)
    return sum(map(abs, samples)) >= threshold * len(samples)


def sound_of(samples: Sequence[int], *, threshold: int = SILENCE_LEVEL) -> Span:
    """The span from the first loud frame to the last; empty if there is none."""
    frames = len(samples) // FRAME
    first = next(_loud(samples, range(frames), threshold), None)
    if first is None:
        return Span(0, 0)
    last = next(_loud(samples, range(frames - 1, -1, -1), threshold))
    return Span(first * FRAME, (last + 1) * FRAME)


def trim_tail(samples: "array[int]", *, threshold: int = SILENCE_LEVEL) -> "array[int]":
    """Cut the silence after the last sound, but for `TAIL_SECONDS`; all of it if there is no sound.

    The beginning stays: a pause before the first word belongs to the message's true length.
    """
    frames = len(samples) // FRAME
    last = next(_loud(samples, range(frames - 1, -1, -1), threshold), None)
    if last is None:
        return array("h")
    return samples[: (last + 1) * FRAME + round(TAIL_SECONDS * SAMPLE_RATE)]


def _loud(samples: Sequence[int], frames: Iterable[int], threshold: int) -> Iterator[int]:
    """Those of `frames` that are sound."""
    floor = threshold * FRAME
    return (
        frame
        for frame in frames
        if sum(map(abs, samples[frame * FRAME : (frame + 1) * FRAME])) >= floor
    )

"""Which key presses are told: one press that comes on two ways counts once.

A press is known by its key alone: the ways (RFC 4733, INFO, tones) share neither name nor time. So
each press on one way is paired with at most one of the same key on another, within a few seconds.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

PAIRED_SECONDS: Final = 3.0
"""An INFO may be repeated over a bad network; a tone is told when it is over."""
_REMEMBERED: Final = 32


class Way(StrEnum):
    """How a key press came."""

    EVENT = "event"
    INFO = "info"
    TONE = "tone"


@dataclass(frozen=True, slots=True)
class _Press:
    digit: str
    way: Way
    at: float
    missing: frozenset[Way]
    """The ways on which it may come again."""


@dataclass(slots=True)
class Presses:
    """The key presses of one call."""

    _told: list[_Press] = field(default_factory=list)

    def is_new(self, digit: str, way: Way, now: float) -> bool:
        """Whether to tell of a press; False for one that was told when it came another way."""
        self._told = [each for each in self._told if now - each.at < PAIRED_SECONDS]
        for index, each in enumerate(self._told):
            if each.digit == digit and way in each.missing:
                self._told[index] = _Press(digit, each.way, each.at, each.missing - {way})
                return False
        others = frozenset(Way) - {way}
        self._told = [*self._told[1 - _REMEMBERED :], _Press(digit, way, now, others)]
        return True

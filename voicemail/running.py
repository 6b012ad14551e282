"""A step of an owner's call while it runs: what every kind has; each defines every event.

Laws:
- A key that comes while something else goes on is kept for the next step that takes keys (who knows
  the menu types ahead).
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

from voicemail.events import (
    AudioReceived,
    DigitPressed,
    Event,
    PlaybackFinished,
    Refused,
    Replied,
    TimerExpired,
    Words,
)
from voicemail.menu import KeyMap

MOST_KEYS_AHEAD = 32


@dataclass(frozen=True, slots=True)
class Timers:
    """The numbers of the telephone menu (product: Numbers)."""

    between_digits_seconds: float = 3.0
    all_digits_seconds: float = 10.0
    menu_seconds: float = 6.0
    menu_tries: int = 3
    """The so manieth silence or wrong key gives up."""
    skip_seconds: float = 4.0
    pause_seconds: float = 300.0
    """A pause that is forgotten ends so."""
    silence_seconds: float = 8.0
    most_digits: int = 20


DEFAULT_TIMERS = Timers()


class Speaker(Protocol):
    """What a running step needs of its conversation."""

    keys: KeyMap
    timers: Timers
    typed: deque[str]
    """Keys that no step has taken yet."""
    now: float

    def play(self, words: Words) -> None:
        """Speak; nothing else is being spoken."""
        ...

    def hush(self) -> None:
        """Fall silent."""
        ...

    def perform(self, request: object) -> None:
        """Have something done outside."""
        ...

    def done(self, result: object) -> None:
        """The step is over; an exception is raised in the script."""
        ...


class Running:
    """A step in progress; what a kind of step does not care for changes nothing."""

    def __init__(self, line: Speaker, step: Any) -> None:
        self.line = line
        self.step = step
        self.deadline: float | None = None
        self.speaking = False

    def begin(self) -> None:
        raise NotImplementedError

    def take(self, event: Event) -> None:
        match event:
            case DigitPressed(digit):
                self.key(digit)
            case PlaybackFinished():
                self.speaking = False
                self.spoken()
            case TimerExpired():
                if self.deadline is not None and self.line.now >= self.deadline:
                    self.deadline = None
                    self.expired()
            case AudioReceived(samples):
                self.heard(samples)
            case Replied(result):
                self.answered(result)
            case Refused(error):
                self.answered(error)

    def key(self, digit: str) -> None:
        """Keep it for the next step."""
        if len(self.line.typed) < MOST_KEYS_AHEAD:
            self.line.typed.append(digit)

    def spoken(self) -> None:
        """All that was played is through."""

    def expired(self) -> None:
        """The deadline has come."""

    def heard(self, samples: bytes) -> None:
        """The caller speaks."""

    def answered(self, result: object) -> None:
        """What was to be done outside is done."""

    def speak(self, words: Words) -> None:
        self.speaking = True
        self.line.play(words)

    def hush(self) -> None:
        if self.speaking:
            self.speaking = False
            self.line.hush()

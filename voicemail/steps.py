"""What a telephone script may ask of the line, one step at a time: values only.

A script is a generator: it yields a step and gets the step's result. Steps that end because the
caller does nothing tell so by None; the script decides what that means.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from voicemail.events import Clip, Words
from voicemail.menu import Action, Context

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Say:
    """Speak. A key cuts it short and is kept for the next step, unless it means SKIP in `context`."""

    words: Words
    context: Context | None = None
    """Where it is said, if keys are spoken of or mean something."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A key that means something, and what."""

    action: Action
    key: str


@dataclass(frozen=True, slots=True)
class Choose:
    """Speak and wait for a key of `context`: a `Choice`, or None after the third silence."""

    context: Context
    words: Words


@dataclass(frozen=True, slots=True)
class Collect:
    """Speak and take digits up to `#`: a string, "" for none, "*" if star came first."""

    words: Words


@dataclass(frozen=True, slots=True)
class Hear:
    """Play a message under the keys of PLAYING: the `Choice` that ended it, or None at its end."""

    sound: Clip


@dataclass(frozen=True, slots=True)
class Capture:
    """Beep and record until `#`, silence or the limit: `Captured`."""

    max_seconds: float


@dataclass(frozen=True, slots=True)
class Captured:
    """A recording, and how long its sound is from the first to the last."""

    samples: bytes = field(repr=False)
    sound_seconds: float


@dataclass(frozen=True, slots=True)
class Do:
    """Have something done outside (`voicemail.requests`): its result, or its UMError raised."""

    request: object


Step = Say | Choose | Collect | Hear | Capture | Do
Script = Generator[Step, Any, T]

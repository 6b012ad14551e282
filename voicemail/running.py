"""The kinds of step of an owner's call while they run: one class each, every event defined in it.

Laws:
- A key that comes while something else goes on is kept for the next step that takes keys (who knows
  the menu types ahead).
- Place in a message is told by the clock: what is played is paced in real time.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from voicemail.events import (
    AudioReceived,
    Clip,
    DigitPressed,
    Event,
    PlaybackFinished,
    Refused,
    Replied,
    TimerExpired,
    Words,
)
from voicemail.level import SAMPLE_RATE, SILENCE_LEVEL, LevelMeter
from voicemail.menu import Action, Context, KeyMap
from voicemail.steps import Capture, Captured, Choice, Choose, Collect, Do, Hear, Say, Step
from voicemail.wording import in_keys

NOT_UNDERSTOOD: Words = ("vm-sorry",)
BEEP: Words = ("beep",)
MOST_KEYS_AHEAD = 32
CLOCK_GRACE_SECONDS = 2.0


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


class _Saying(Running):
    step: Say

    def begin(self) -> None:
        if self.line.typed or not self.step.words:
            self.line.done(None)
        else:
            self.speak(self._words())

    def _words(self) -> Words:
        context = self.step.context
        return in_keys(self.step.words, context, self.line.keys) if context else self.step.words

    def key(self, digit: str) -> None:
        context = self.step.context
        if context is None or self.line.keys.get(context, {}).get(digit) is not Action.SKIP:
            super().key(digit)
        self.hush()
        self.line.done(None)

    def spoken(self) -> None:
        self.line.done(None)


class _Choosing(Running):
    step: Choose
    tries = 0

    def begin(self) -> None:
        if self.line.typed:
            self.key(self.line.typed.popleft())
        else:
            self.speak(self._words())

    def key(self, digit: str) -> None:
        self.hush()
        action = self.line.keys.get(self.step.context, {}).get(digit)
        if action is not None:
            self.line.done(Choice(action, digit))
        else:
            self.line.typed.clear()
            self._again(NOT_UNDERSTOOD)

    def spoken(self) -> None:
        self.deadline = self.line.now + self.line.timers.menu_seconds

    def expired(self) -> None:
        self._again(())

    def _again(self, before: Words) -> None:
        self.tries += 1
        self.deadline = None
        if self.tries >= self.line.timers.menu_tries:
            self.line.done(None)
        else:
            self.speak(before + self._words())

    def _words(self) -> Words:
        return in_keys(self.step.words, self.step.context, self.line.keys)


class _Collecting(Running):
    step: Collect

    def __init__(self, line: Speaker, step: Collect) -> None:
        super().__init__(line, step)
        self.digits = ""
        self.latest: float | None = None
        """When all digits must be there."""

    def begin(self) -> None:
        if not self.line.typed:
            self.speak(self.step.words)
        while self.line.typed:
            if self._type(self.line.typed.popleft()):
                return

    def key(self, digit: str) -> None:
        self._type(digit)

    def _type(self, digit: str) -> bool:
        """Take a key; whether the digits are complete."""
        self.hush()
        self._start()
        if digit == "*" and not self.digits:
            self.digits = "*"
        elif digit.isdigit():
            self.digits += digit
        if digit == "#" or self.digits == "*" or len(self.digits) >= self.line.timers.most_digits:
            self.line.done(self.digits)
            return True
        latest = self._start()
        self.deadline = min(latest, self.line.now + self.line.timers.between_digits_seconds)
        return False

    def spoken(self) -> None:
        self.deadline = self._start()

    def expired(self) -> None:
        self.line.done(self.digits)

    def _start(self) -> float:
        if self.latest is None:
            self.latest = self.line.now + self.line.timers.all_digits_seconds
        return self.latest


class _Hearing(Running):
    step: Hear

    def __init__(self, line: Speaker, step: Hear) -> None:
        super().__init__(line, step)
        self.total = len(step.sound.samples) // 2
        self.offset = 0
        """Sample from which it is being played, or where it is paused."""
        self.started = line.now
        self.ended = False

    def begin(self) -> None:
        self._play_from(0)
        while self.line.typed and not self.ended:
            self.key(self.line.typed.popleft())

    def key(self, digit: str) -> None:
        action = self.line.keys.get(Context.PLAYING, {}).get(digit)
        skip = round(self.line.timers.skip_seconds * SAMPLE_RATE)
        match action:
            case None:
                return
            case Action.PAUSE if self.speaking:
                self.offset = self._place()
                self.hush()
                self.deadline = self.line.now + self.line.timers.pause_seconds
            case Action.PAUSE:
                self._play_from(self.offset)
            case Action.REWIND:
                self._play_from(max(0, self._place() - skip))
            case Action.SKIP_AHEAD:
                self._play_from(self._place() + skip)
            case Action.RESTART:
                self._play_from(0)
            case Action.SKIP:
                self._end(None)
            case _:
                self._end(Choice(action, digit))

    def spoken(self) -> None:
        self._end(None)

    def expired(self) -> None:
        self._end(None)

    def _place(self) -> int:
        """Which sample is being heard."""
        if not self.speaking:
            return self.offset
        elapsed = round((self.line.now - self.started) * SAMPLE_RATE)
        return min(self.total, self.offset + elapsed)

    def _play_from(self, sample: int) -> None:
        self.hush()
        self.deadline = None
        if sample >= self.total:
            self._end(None)
            return
        self.offset, self.started = sample, self.line.now
        self.speak((Clip(self.step.sound.samples[2 * sample :]),))

    def _end(self, result: Choice | None) -> None:
        self.hush()
        self.ended = True
        self.line.done(result)


class _Capturing(Running):
    step: Capture

    def __init__(self, line: Speaker, step: Capture) -> None:
        super().__init__(line, step)
        self.samples = bytearray()
        self.limit = round(step.max_seconds * SAMPLE_RATE) * 2
        self.meter = LevelMeter(
            silence_seconds=line.timers.silence_seconds, threshold=SILENCE_LEVEL
        )

    def begin(self) -> None:
        self.line.typed.clear()
        self.speak(BEEP)

    def key(self, digit: str) -> None:
        action = self.line.keys.get(Context.RECORDING, {}).get(digit)
        if action is Action.FINISH and not self.speaking:
            self.expired()

    def spoken(self) -> None:
        # Media normally ends it; the clock does where media falls silent.
        self.deadline = self.line.now + self.step.max_seconds + CLOCK_GRACE_SECONDS

    def heard(self, samples: bytes) -> None:
        if self.speaking:
            return
        samples = samples[: self.limit - len(self.samples)]
        self.samples += samples[: 2 * self.meter.feed(samples)]
        if self.meter.silent or len(self.samples) >= self.limit:
            self.expired()

    def expired(self) -> None:
        self.line.done(Captured(bytes(self.samples), self.meter.sound.seconds))


class _Doing(Running):
    step: Do

    def begin(self) -> None:
        self.line.perform(self.step.request)

    def answered(self, result: object) -> None:
        self.line.done(result)


RUNNING: Mapping[type[Step], type[Running]] = {
    Say: _Saying,
    Choose: _Choosing,
    Collect: _Collecting,
    Hear: _Hearing,
    Capture: _Capturing,
    Do: _Doing,
}

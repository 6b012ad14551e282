"""Steps that play and record sound, while they run.

Place in a message is told by the clock: what is played is paced in real time.
"""

from voicemail.events import Clip, Words
from voicemail.level import SAMPLE_RATE, SILENCE_LEVEL, LevelMeter
from voicemail.menu import Action, Context
from voicemail.running import Running, Speaker
from voicemail.steps import Capture, Captured, Choice, Hear

BEEP: Words = ("beep",)
CLOCK_GRACE_SECONDS = 2.0
"""How much later than the samples the clock may end a recording."""


class Hearing(Running):
    """Plays a message under the keys of PLAYING."""

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


class Capturing(Running):
    """Beeps and records."""

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

"""An owner's call as a sans-IO machine: it speaks, waits for keys, plays and records for a script.

Laws:
- Events and `now` in, outputs out. What is said when stands in the script; what keys mean stands in
  the key map; this module knows neither messages nor menus.
- Each kind of step has one class (RUNNING) that defines every event for it.
- After `Ended` nothing leaves.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

from um.core.errors import UMError
from voicemail.events import (
    Answered,
    Ended,
    Event,
    HangUp,
    Output,
    Perform,
    Play,
    StopPlaying,
    Words,
)
from voicemail.keymaps import ASTERISK
from voicemail.menu import KeyMap
from voicemail.running import DEFAULT_TIMERS, Running, Timers
from voicemail.running_sound import Capturing, Hearing
from voicemail.running_words import Choosing, Collecting, Doing, Saying
from voicemail.steps import Capture, Choose, Collect, Do, Hear, Say, Script, Step

RUNNING: Mapping[type[Step], type[Running]] = {
    Say: Saying,
    Choose: Choosing,
    Collect: Collecting,
    Hear: Hearing,
    Capture: Capturing,
    Do: Doing,
}


class Conversation:
    """Runs one script over one call."""

    def __init__(
        self, script: Script[None], *, keys: KeyMap = ASTERISK, timers: Timers = DEFAULT_TIMERS
    ) -> None:
        self.keys = keys
        self.timers = timers
        self.typed: deque[str] = deque()
        """Keys that no step has taken yet."""
        self.now = 0.0
        self._script = script
        self._running: Running | None = None
        self._results: deque[Any] = deque()
        self._out: list[Output] = []
        self.over = False

    @property
    def step(self) -> Step | None:
        """What the script waits for."""
        return self._running.step if self._running else None

    def get_timer(self) -> float | None:
        """When a `TimerExpired` is due, in the time of `now`."""
        return self._running.deadline if self._running else None

    def receive(self, event: Event, now: float) -> list[Output]:
        """Take one event at the monotonic time `now` in seconds; returns what is to be done."""
        self._out, self.now = [], now
        if self.over:
            return []
        if isinstance(event, Ended):
            self.over, self._running = True, None
            self._script.close()
            return []
        if isinstance(event, Answered):
            self._results.append(None)
        elif self._running is not None:
            self._running.take(event)
        while self._results:
            self._resume(self._results.popleft())
        return self._out

    # ---- what a running step asks for

    def play(self, words: Words) -> None:
        """Speak; nothing else is being spoken."""
        self._out.append(Play(words))

    def hush(self) -> None:
        """Fall silent."""
        self._out.append(StopPlaying())

    def perform(self, request: object) -> None:
        """Have something done outside."""
        self._out.append(Perform(request))

    def done(self, result: object) -> None:
        """The step is over; an exception is raised in the script."""
        self._running = None
        self._results.append(result)

    def _resume(self, result: object) -> None:
        try:
            if isinstance(result, UMError):
                step = self._script.throw(result)
            else:
                step = self._script.send(result)
        except StopIteration:
            self._out.append(HangUp())
            return
        self._running = RUNNING[type(step)](self, step)
        self._running.begin()

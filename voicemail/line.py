"""Moves events and outputs between a telephone call and a sans-IO dialogue.

Laws:
- One event at a time: one that arises while another is worked on waits its turn.
- What was cut off by `StopPlaying` is never reported as finished.
- When the call has ended the timer is gone.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from um.core.ports import Clock
from um.telephony.application import Call
from voicemail import events
from voicemail.events import Event, Output, Words
from voicemail.prompts import Prompts


class Dialogue(Protocol):
    """A machine: events and `now` in, outputs out."""

    def receive(self, event: Event, now: float) -> list[Output]: ...

    def get_timer(self) -> float | None: ...


def _nothing() -> None:
    """There is nothing to take back."""


class Line:
    """Args: perform: does every output that is not about speaking or hanging up."""

    def __init__(
        self, call: Call, clock: Clock, prompts: Prompts, perform: Callable[[Output], None]
    ) -> None:
        self.language = call.account.language
        self.dialogue: Dialogue | None = None
        """None until it is known what is to be said."""
        self.over = False
        self._call = call
        self._clock = clock
        self._prompts = prompts
        self._perform = perform
        self._playing = False
        self._soundless: Callable[[], None] = _nothing
        """Takes back the end of a playback that had no sound."""
        self._inbox: deque[Event] = deque()
        self._working = False
        self._timer: tuple[float, Callable[[], None]] | None = None

    def feed(self, event: Event) -> None:
        """Give the dialogue an event."""
        if self.dialogue is None:
            return
        self._inbox.append(event)
        if self._working:
            return
        self._working = True
        try:
            while self._inbox:
                for output in self.dialogue.receive(self._inbox.popleft(), self._clock.monotonic()):
                    self._do(output)
        finally:
            self._working = False
        self._arm(self.dialogue.get_timer())

    def playback_finished(self) -> None:
        """All that was queued has been spoken."""
        if self._playing:
            self._playing = False
            self.feed(events.PlaybackFinished())

    def play(self, samples: bytes) -> None:
        """Speak; without any sound the call goes on as if it had been spoken."""
        self._soundless()
        self._playing = True
        if samples:
            self._call.play(samples)
        else:
            self._soundless = self._call.call_later(0, self.playback_finished)

    def end(self) -> None:
        """The call is over."""
        self.over = True
        self._disarm()
        self.feed(events.Ended())

    def leave(self) -> None:
        """Another application gets the call: nothing more is said or done by this one."""
        self.dialogue = None
        self._playing = False
        self._disarm()
        self._call.stop_playing()

    def _do(self, output: Output) -> None:
        match output:
            case events.Play(prompts):
                self.play(self._spoken(prompts))
            case events.StopPlaying():
                self._soundless()
                self._playing = False
                self._call.stop_playing()
            case events.HangUp():
                self._call.hang_up()
            case _:
                self._perform(output)

    def _spoken(self, prompts: Words) -> bytes:
        return self._prompts.spoken(prompts, language=self.language)

    def _arm(self, deadline: float | None) -> None:
        """See that `TimerExpired` comes; one that comes early does no harm and arms again."""
        if deadline is None or self.over:
            self._disarm()
        elif self._timer is None or self._timer[0] > deadline:
            self._disarm()
            pause = max(0.0, deadline - self._clock.monotonic())
            self._timer = (deadline, self._call.call_later(pause, self._expire))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer[1]()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self.feed(events.TimerExpired())

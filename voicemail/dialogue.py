"""A caller leaves a message: the deposit as a sans-IO machine.

Laws:
- Events and `now` in, outputs out; every move stands in TRANSITIONS, which is total: every signal
  is defined in every state. Which key gives which signal stands in `voicemail.menu`.
- The recording is measured in samples, never by the clock, so its length is the call's own. The
  clock only guards against media or storage that fall silent.
- `Finish` leaves at most once; after it, or after `Failed`, nothing more is recorded.
- "Message saved" is spoken after `Saved` came in, never before: it is an acknowledgement.
- When the call has ended, no output but `Finish` leaves, and nothing after that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto

from voicemail.events import (
    Answered,
    AudioReceived,
    DigitPressed,
    Ended,
    Event,
    Failed,
    Finish,
    HangUp,
    Output,
    Play,
    PlaybackFinished,
    Record,
    Saved,
    StartRecording,
    StopPlaying,
    TimerExpired,
    Words,
)
from voicemail.level import SAMPLE_RATE, SILENCE_LEVEL, LevelMeter
from voicemail.menu import DEPOSIT, Action, Context, KeyMap

BEEP = ("beep",)
MESSAGE_SAVED = ("vm-msgsaved", "vm-goodbye")
TOO_SHORT = ("vm-tooshort", "vm-goodbye")
APOLOGY = ("im-sorry", "please-try-call-later", "vm-goodbye")

CLOCK_GRACE_SECONDS = 2.0
"""How much later than the samples the clock may end a recording: media normally comes in time."""
SAVING_SECONDS = 10.0
"""A disk that takes longer to sync is in trouble: the caller hears an apology, not silence."""


class State(StrEnum):
    """Where the call is."""

    OFFERED = auto()
    GREETING = auto()
    BEEP = auto()
    RECORDING = auto()
    SAVING = auto()
    CLOSING = auto()
    HANGING_UP = auto()
    ENDED = auto()


class Signal(StrEnum):
    """What an event means to the machine."""

    WELCOME = auto()
    """Answered, and there is room."""
    REFUSAL = auto()
    """Answered only to say why no message is taken."""
    SPOKEN = auto()
    SKIP = auto()
    MESSAGE = auto()
    """The recording is over and worth keeping."""
    NOTHING_SAID = auto()
    """The recording is over and holds too little sound."""
    WARNING = auto()
    SAVED = auto()
    FAILED = auto()
    ENDED = auto()


class Effect(StrEnum):
    """What a transition does."""

    GREET = auto()
    REFUSE = auto()
    BEEP = auto()
    HUSH = auto()
    RECORD = auto()
    WARN = auto()
    FINISH = auto()
    SAY_SAVED = auto()
    SAY_TOO_SHORT = auto()
    APOLOGISE = auto()
    HANG_UP = auto()


@dataclass(frozen=True, slots=True)
class Transition:
    """The next state and what is done on the way."""

    state: State
    effects: tuple[Effect, ...] = ()


_FAILED = Transition(State.CLOSING, (Effect.HUSH, Effect.APOLOGISE))
_ENDED_WITHOUT_MESSAGE = Transition(State.ENDED, (Effect.FINISH,))

_MOVES: dict[State, dict[Signal, Transition]] = {
    State.OFFERED: {
        Signal.WELCOME: Transition(State.GREETING, (Effect.GREET,)),
        Signal.REFUSAL: Transition(State.CLOSING, (Effect.REFUSE,)),
        Signal.ENDED: _ENDED_WITHOUT_MESSAGE,
    },
    State.GREETING: {
        Signal.SPOKEN: Transition(State.BEEP, (Effect.BEEP,)),
        Signal.SKIP: Transition(State.BEEP, (Effect.HUSH, Effect.BEEP)),
        Signal.FAILED: _FAILED,
        Signal.ENDED: _ENDED_WITHOUT_MESSAGE,
    },
    State.BEEP: {
        Signal.SPOKEN: Transition(State.RECORDING, (Effect.RECORD,)),
        Signal.FAILED: _FAILED,
        Signal.ENDED: _ENDED_WITHOUT_MESSAGE,
    },
    State.RECORDING: {
        Signal.WARNING: Transition(State.RECORDING, (Effect.WARN,)),
        Signal.MESSAGE: Transition(State.SAVING, (Effect.HUSH, Effect.FINISH)),
        Signal.NOTHING_SAID: Transition(
            State.CLOSING, (Effect.HUSH, Effect.FINISH, Effect.SAY_TOO_SHORT)
        ),
        Signal.FAILED: _FAILED,
        Signal.ENDED: Transition(State.ENDED, (Effect.FINISH,)),
    },
    State.SAVING: {
        Signal.SAVED: Transition(State.CLOSING, (Effect.SAY_SAVED,)),
        Signal.FAILED: _FAILED,
        Signal.ENDED: Transition(State.ENDED),
    },
    State.CLOSING: {
        Signal.SPOKEN: Transition(State.HANGING_UP, (Effect.HANG_UP,)),
        Signal.SKIP: Transition(State.HANGING_UP, (Effect.HUSH, Effect.HANG_UP)),
        Signal.ENDED: Transition(State.ENDED),
    },
    State.HANGING_UP: {Signal.ENDED: Transition(State.ENDED)},
    State.ENDED: {},
}

TRANSITIONS: Mapping[tuple[State, Signal], Transition] = {
    (state, signal): _MOVES[state].get(signal, Transition(state))
    for state in State
    for signal in Signal
}
"""Every state and signal; what is not a move of its own changes nothing."""

_SAYINGS: dict[Effect, Words] = {
    Effect.BEEP: BEEP,
    Effect.WARN: BEEP,
    Effect.SAY_SAVED: MESSAGE_SAVED,
    Effect.SAY_TOO_SHORT: TOO_SHORT,
    Effect.APOLOGISE: APOLOGY,
}

_CONTEXTS = {
    State.GREETING: Context.GREETING,
    State.RECORDING: Context.RECORDING,
    State.CLOSING: Context.CLOSING,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of a deposit (product: Voicemail)."""

    max_seconds: float = 120.0
    warning_seconds: float = 10.0
    """The warning beep comes so long before the end."""
    silence_seconds: float = 8.0
    silence_level: int = SILENCE_LEVEL
    minimum_seconds: float = 1.0
    """Less sound than this, from the first to the last, is a missed call."""


DEFAULT_LIMITS = Limits()


class Deposit:
    """One caller's call.

    Args:
        greeting: what is spoken before the beep.
        refusal: what is spoken instead, if no message is taken (mailbox full, storage in trouble).
    """

    def __init__(
        self,
        greeting: Words,
        *,
        refusal: Words = (),
        limits: Limits = DEFAULT_LIMITS,
        keys: KeyMap = DEPOSIT,
    ) -> None:
        self.state = State.OFFERED
        self._greeting = greeting
        self._refusal = refusal
        self._limits = limits
        self._keys = keys
        self._meter = LevelMeter(
            silence_seconds=limits.silence_seconds, threshold=limits.silence_level
        )
        self._recorded = 0
        self._limit = round(limits.max_seconds * SAMPLE_RATE)
        warn_at = self._limit - round(limits.warning_seconds * SAMPLE_RATE)
        self._warn_at = warn_at if warn_at > 0 else None
        self._deadline: float | None = None
        self._heard_at = 0.0
        self._out: list[Output] = []

    @property
    def recorded_seconds(self) -> float:
        """Length of the message so far."""
        return self._recorded / SAMPLE_RATE

    def get_timer(self) -> float | None:
        """When a `TimerExpired` is due, in the time of `now`."""
        if self.state is State.RECORDING and self._deadline is not None:
            silent_at = self._heard_at + self._limits.silence_seconds + CLOCK_GRACE_SECONDS
            return min(self._deadline, silent_at)
        return self._deadline if self.state is State.SAVING else None

    def receive(self, event: Event, now: float) -> list[Output]:
        """Take one event at the monotonic time `now` in seconds; returns what is to be done."""
        self._out = []
        match event:
            case AudioReceived(samples):
                self._take(samples, now)
            case DigitPressed(digit):
                self._press(digit, now)
            case TimerExpired():
                self._expire(now)
            case _:
                self._signal(self._meaning(event), now)
        return self._out

    def _meaning(self, event: Event) -> Signal:
        """The signal of an event that always means the same."""
        if isinstance(event, Answered):
            return Signal.REFUSAL if self._refusal else Signal.WELCOME
        return _PLAIN_SIGNALS[type(event)]

    def _signal(self, signal: Signal, now: float) -> None:
        transition = TRANSITIONS[self.state, signal]
        self.state = transition.state
        for effect in transition.effects:
            self._perform(effect, now)

    def _perform(self, effect: Effect, now: float) -> None:
        match effect:
            case Effect.GREET:
                self._out.append(Play(self._greeting))
            case Effect.REFUSE:
                self._out.append(Play(self._refusal))
            case Effect.HUSH:
                self._out.append(StopPlaying())
            case Effect.RECORD:
                self._heard_at = now
                self._deadline = now + self._limits.max_seconds + CLOCK_GRACE_SECONDS
                self._out.append(StartRecording())
            case Effect.FINISH:
                self._deadline = now + SAVING_SECONDS
                self._out.append(Finish(keep=self._worth_keeping()))
            case Effect.HANG_UP:
                self._out.append(HangUp())
            case _:
                self._out.append(Play(_SAYINGS[effect]))

    def _take(self, samples: bytes, now: float) -> None:
        """Record what belongs to the message: not past the limit, not past the silence."""
        if self.state is not State.RECORDING:
            return
        room = min(self._limit - self._recorded, len(samples) // 2)
        taken = self._meter.feed(samples[: 2 * room])
        self._recorded += taken
        if taken:
            self._out.append(Record(samples[: 2 * taken]))
        self._heard_at = now
        if self._warn_at is not None and self._recorded >= self._warn_at:
            self._warn_at = None
            self._signal(Signal.WARNING, now)
        if self._meter.silent or self._recorded >= self._limit:
            self._signal(self._end_of_message(), now)

    def _press(self, digit: str, now: float) -> None:
        context = _CONTEXTS.get(self.state)
        action = self._keys.get(context, {}).get(digit) if context else None
        if action is Action.SKIP:
            self._signal(Signal.SKIP, now)
        elif action is Action.FINISH:
            self._signal(self._end_of_message(), now)

    def _expire(self, now: float) -> None:
        due = self.get_timer()
        if due is None or now < due:
            return
        saving = self.state is State.SAVING
        self._signal(Signal.FAILED if saving else self._end_of_message(), now)

    def _end_of_message(self) -> Signal:
        return Signal.MESSAGE if self._worth_keeping() else Signal.NOTHING_SAID

    def _worth_keeping(self) -> bool:
        return self._meter.sound.seconds >= self._limits.minimum_seconds


_PLAIN_SIGNALS: dict[type[Event], Signal] = {
    PlaybackFinished: Signal.SPOKEN,
    Saved: Signal.SAVED,
    Failed: Signal.FAILED,
    Ended: Signal.ENDED,
}

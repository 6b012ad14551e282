"""A caller leaves a message: the deposit as a sans-IO machine.

Laws:
- Events and `now` in, outputs out; every move stands in `voicemail.transitions`, which is total.
  Which key gives which signal stands in `voicemail.menu`.
- The recording is measured in samples, never by the clock, so its length is the call's own. The
  clock only guards against media or storage that fall silent.
- `Finish` leaves at most once; after it, or after `Failed`, nothing more is recorded.
- "Message saved" is spoken after `Saved` came in, never before: it is an acknowledgement.
- When the call has ended, no output but `Finish` leaves, and nothing after that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from voicemail.events import (
    Answered,
    AudioReceived,
    DigitPressed,
    Ended,
    Event,
    Failed,
    Finish,
    HangUp,
    LogIn,
    Output,
    Pause,
    Play,
    PlaybackFinished,
    PlayRecording,
    Record,
    RecordAgain,
    Saved,
    StartRecording,
    StopPlaying,
    TimerExpired,
    Transfer,
    TransferRefused,
    Words,
)
from voicemail.keymaps import ASTERISK
from voicemail.level import SAMPLE_RATE, SILENCE_LEVEL, LevelMeter
from voicemail.menu import Action, Context, KeyMap
from voicemail.transitions import TRANSITIONS, Effect, Signal, State
from voicemail.wording import in_keys

BEEP = ("beep",)
MESSAGE_SAVED = ("vm-msgsaved", "vm-goodbye")
TOO_SHORT = ("vm-tooshort", "vm-goodbye")
APOLOGY = ("im-sorry", "please-try-call-later", "vm-goodbye")

REVIEW: Words = ("vm-review",)
MARKED: Mapping[bool, Words] = {True: ("vm-marked-urgent",), False: ("vm-marked-nonurgent",)}
OFFER_OPERATOR: Words = ("vm-reachoper",)
CONNECTING: Words = ("transfer",)
NOBODY_THERE: Words = ("im-sorry", *BEEP)
"""The operator cannot be reached: the caller leaves a message instead."""
OFFER_MARK: Mapping[bool, Words] = {True: ("vm-review-nonurgent",), False: ("vm-review-urgent",)}
"""By whether the message is urgent already."""

REVIEW_SECONDS = 6.0
"""A caller who says nothing more has accepted."""
MOST_TAKES = 5
"""Each take is kept until the end of the call: in doubt an earlier one counts."""
CLOCK_GRACE_SECONDS = 2.0
"""How much later than the samples the clock may end a recording: media normally comes in time."""
SAVING_SECONDS = 10.0
"""A disk that takes longer to sync is in trouble: the caller hears an apology, not silence."""


_SAYINGS: dict[Effect, Words] = {
    Effect.BEEP: BEEP,
    Effect.WARN: BEEP,
    Effect.SAY_SAVED: MESSAGE_SAVED,
    Effect.SAY_TOO_SHORT: TOO_SHORT,
    Effect.APOLOGISE: APOLOGY,
    Effect.SAY_NOBODY: NOBODY_THERE,
}

_CONTEXTS = {
    State.GREETING: Context.GREETING,
    State.RECORDING: Context.RECORDING,
    State.REVIEW: Context.CALLER_REVIEW,
    State.HEARING: Context.CALLER_REVIEW,
    State.CLOSING: Context.CLOSING,
}

_SIGNALS = {
    Action.SKIP: Signal.SKIP,
    Action.ACCEPT: Signal.ACCEPT,
    Action.HEAR: Signal.HEAR,
    Action.RECORD_AGAIN: Signal.RECORD_AGAIN,
    Action.URGENT: Signal.URGENT,
    Action.LOG_IN: Signal.LOG_IN,
}
"""What a key asks for; FINISH and OPERATOR depend on what was said."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What a caller may do beside leaving a message."""

    review: bool = False
    """Look back at a recording that was ended with `#`."""
    urgent: bool = False
    """Mark it as urgent; within the review."""
    log_in: bool = False
    """Be the owner."""
    operator: bool = False
    """Be connected with the operator."""


NO_OFFERS = Offers()


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
        offers: Offers = NO_OFFERS,
        keys: KeyMap = ASTERISK,
    ) -> None:
        self.state = State.OFFERED
        self._greeting = greeting
        self._refusal = refusal
        self._limits = limits
        self._offers = offers
        self._keys = keys
        self._limit = round(limits.max_seconds * SAMPLE_RATE)
        self._takes = 0
        self._has_earlier_take = False
        """An earlier take is worth keeping."""
        self._urgent = False
        self._new_take()
        self._deadline: float | None = None
        self._heard_at = 0.0
        self._out: list[Output] = []

    def _new_take(self) -> None:
        self._takes += 1
        self._meter = LevelMeter(
            silence_seconds=self._limits.silence_seconds, threshold=self._limits.silence_level
        )
        self._recorded = 0
        warn_at = self._limit - round(self._limits.warning_seconds * SAMPLE_RATE)
        self._warn_at = warn_at if warn_at > 0 else None

    @property
    def recorded_seconds(self) -> float:
        """Length of the message so far."""
        return self._recorded / SAMPLE_RATE

    def get_timer(self) -> float | None:
        """When a `TimerExpired` is due, in the time of `now`."""
        if self.state is State.RECORDING and self._deadline is not None:
            silent_at = self._heard_at + self._limits.silence_seconds + CLOCK_GRACE_SECONDS
            return min(self._deadline, silent_at)
        timed = {State.SAVING, State.SAVING_FIRST, State.REVIEW}
        return self._deadline if self.state in timed else None

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
                self._out.append(Finish(keep=self._worth_keeping(), urgent=self._urgent))
            case Effect.PAUSE:
                self._out.append(Pause())
            case Effect.ASK_REVIEW:
                self._deadline = None
                self._out.append(Play(self._review()))
            case Effect.AWAIT_REVIEW:
                self._deadline = now + REVIEW_SECONDS
            case Effect.PLAY_BACK:
                self._out.append(PlayRecording())
            case Effect.RECORD_AGAIN:
                self._has_earlier_take = self._worth_keeping()
                self._new_take()
                self._out.append(RecordAgain())
            case Effect.MARK:
                self._deadline = None
                self._urgent = not self._urgent
                self._out.append(Play(MARKED[self._urgent] + self._review()))
            case Effect.TRANSFER:
                self._out += [Play(CONNECTING), Transfer()]
            case Effect.LOG_IN:
                self._out.append(LogIn())
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
        if action is Action.FINISH:
            look_back = self._offers.review and self._worth_keeping()
            self._signal(Signal.LOOK_BACK if look_back else self._end_of_message(), now)
        elif action is Action.OPERATOR and self._offers.operator:
            keep = self._worth_keeping()
            self._signal(Signal.SAVE_AND_OPERATOR if keep else Signal.OPERATOR, now)
        elif action in _SIGNALS and self._may(action):
            self._signal(_SIGNALS[action], now)

    def _may(self, action: Action) -> bool:
        """Whether the caller was offered it."""
        match action:
            case Action.URGENT:
                return self._offers.urgent
            case Action.LOG_IN:
                return self._offers.log_in
            case Action.RECORD_AGAIN:
                return self._takes < MOST_TAKES
            case _:
                return True

    def _review(self) -> Words:
        words = REVIEW + (OFFER_MARK[self._urgent] if self._offers.urgent else ())
        words += OFFER_OPERATOR if self._offers.operator else ()
        return in_keys(words, Context.CALLER_REVIEW, self._keys)

    def _expire(self, now: float) -> None:
        due = self.get_timer()
        if due is None or now < due:
            return
        match self.state:
            case State.SAVING | State.SAVING_FIRST:
                self._signal(Signal.FAILED, now)
            case State.REVIEW:
                self._signal(Signal.ACCEPT, now)
            case _:
                self._signal(self._end_of_message(), now)

    def _end_of_message(self) -> Signal:
        return Signal.MESSAGE if self._worth_keeping() else Signal.NOTHING_SAID

    def _worth_keeping(self) -> bool:
        if self._has_earlier_take:
            return True
        return self._meter.sound.seconds >= self._limits.minimum_seconds


_PLAIN_SIGNALS: dict[type[Event], Signal] = {
    PlaybackFinished: Signal.SPOKEN,
    Saved: Signal.SAVED,
    Failed: Signal.FAILED,
    TransferRefused: Signal.NO_OPERATOR,
    Ended: Signal.ENDED,
}

"""The moves of a deposit: every signal in every state, as one table. Pure data.

A signal is what an event means, an effect what a move does; `voicemail.dialogue` turns events into
the one and carries out the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto


class State(StrEnum):
    """Where the call is."""

    OFFERED = auto()
    GREETING = auto()
    BEEP = auto()
    RECORDING = auto()
    REVIEW = auto()
    HEARING = auto()
    """The caller hears what was recorded."""
    ASKING_OPERATOR = auto()
    """The core is asked to connect the caller with the operator; nothing was recorded yet."""
    SAVING_FIRST = auto()
    """What was said is made durable; then the core is asked."""
    SAVED_ASKING_OPERATOR = auto()
    SAVING = auto()
    CLOSING = auto()
    HANGING_UP = auto()
    LOGGED_IN = auto()
    """Another dialogue has the call."""
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
    LOOK_BACK = auto()
    """The caller has ended a recording that is worth keeping, and may review it."""
    ACCEPT = auto()
    HEAR = auto()
    RECORD_AGAIN = auto()
    URGENT = auto()
    LOG_IN = auto()
    OPERATOR = auto()
    """The caller wants the operator and has left nothing worth keeping."""
    SAVE_AND_OPERATOR = auto()
    """The caller wants the operator; what was said is kept."""
    NO_OPERATOR = auto()
    """The core does not connect them."""
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
    PAUSE = auto()
    ASK_REVIEW = auto()
    AWAIT_REVIEW = auto()
    PLAY_BACK = auto()
    RECORD_AGAIN = auto()
    MARK = auto()
    TRANSFER = auto()
    SAY_NOBODY = auto()
    LOG_IN = auto()


@dataclass(frozen=True, slots=True)
class Transition:
    """The next state and what is done on the way."""

    state: State
    effects: tuple[Effect, ...] = ()


_FAILED = Transition(State.CLOSING, (Effect.HUSH, Effect.APOLOGISE))
_ENDED_WITHOUT_MESSAGE = Transition(State.ENDED, (Effect.FINISH,))

_REVIEW: dict[Signal, Transition] = {
    Signal.ACCEPT: Transition(State.SAVING, (Effect.HUSH, Effect.FINISH)),
    Signal.HEAR: Transition(State.HEARING, (Effect.HUSH, Effect.PLAY_BACK)),
    Signal.RECORD_AGAIN: Transition(State.BEEP, (Effect.HUSH, Effect.RECORD_AGAIN, Effect.BEEP)),
    Signal.URGENT: Transition(State.REVIEW, (Effect.HUSH, Effect.MARK)),
    Signal.SAVE_AND_OPERATOR: Transition(State.SAVING_FIRST, (Effect.HUSH, Effect.FINISH)),
    Signal.FAILED: _FAILED,
    Signal.ENDED: _ENDED_WITHOUT_MESSAGE,
}

_MOVES: dict[State, dict[Signal, Transition]] = {
    State.OFFERED: {
        Signal.WELCOME: Transition(State.GREETING, (Effect.GREET,)),
        Signal.REFUSAL: Transition(State.CLOSING, (Effect.REFUSE,)),
        Signal.ENDED: _ENDED_WITHOUT_MESSAGE,
    },
    State.GREETING: {
        Signal.SPOKEN: Transition(State.BEEP, (Effect.BEEP,)),
        Signal.SKIP: Transition(State.BEEP, (Effect.HUSH, Effect.BEEP)),
        Signal.LOG_IN: Transition(State.LOGGED_IN, (Effect.HUSH, Effect.LOG_IN)),
        Signal.OPERATOR: Transition(State.ASKING_OPERATOR, (Effect.HUSH, Effect.TRANSFER)),
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
        Signal.LOOK_BACK: Transition(State.REVIEW, (Effect.HUSH, Effect.PAUSE, Effect.ASK_REVIEW)),
        Signal.OPERATOR: Transition(State.ASKING_OPERATOR, (Effect.HUSH, Effect.TRANSFER)),
        Signal.SAVE_AND_OPERATOR: Transition(State.SAVING_FIRST, (Effect.HUSH, Effect.FINISH)),
        Signal.NOTHING_SAID: Transition(
            State.CLOSING, (Effect.HUSH, Effect.FINISH, Effect.SAY_TOO_SHORT)
        ),
        Signal.FAILED: _FAILED,
        Signal.ENDED: Transition(State.ENDED, (Effect.FINISH,)),
    },
    State.REVIEW: {Signal.SPOKEN: Transition(State.REVIEW, (Effect.AWAIT_REVIEW,)), **_REVIEW},
    State.HEARING: {Signal.SPOKEN: Transition(State.REVIEW, (Effect.ASK_REVIEW,)), **_REVIEW},
    State.ASKING_OPERATOR: {
        Signal.NO_OPERATOR: Transition(State.BEEP, (Effect.HUSH, Effect.SAY_NOBODY)),
        Signal.FAILED: _FAILED,
        Signal.ENDED: _ENDED_WITHOUT_MESSAGE,
    },
    State.SAVING_FIRST: {
        Signal.SAVED: Transition(State.SAVED_ASKING_OPERATOR, (Effect.TRANSFER,)),
        Signal.FAILED: _FAILED,
        Signal.ENDED: Transition(State.ENDED),
    },
    State.SAVED_ASKING_OPERATOR: {
        Signal.NO_OPERATOR: Transition(State.CLOSING, (Effect.HUSH, Effect.SAY_SAVED)),
        Signal.ENDED: Transition(State.ENDED),
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
    State.LOGGED_IN: {Signal.ENDED: Transition(State.ENDED)},
    State.ENDED: {},
}

TRANSITIONS: Mapping[tuple[State, Signal], Transition] = {
    (state, signal): _MOVES[state].get(signal, Transition(state))
    for state in State
    for signal in Signal
}
"""Every state and signal; what is not a move of its own changes nothing."""

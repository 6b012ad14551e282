"""The four SIP transaction machines (RFC 3261 §17 as amended by RFC 6026), as tables.

Knows nothing of sockets or dialogs. Time arrives as `now` in seconds; timers leave as
`get_timer()`. Every transition lives in TRANSITIONS; a pair that is not there is absorbed, which
is what the RFCs want of a message that comes in a state where it means nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from um.telephony.sip.timers import Timers

T1_SECONDS: Final = 0.5
T2_SECONDS: Final = 4.0
T4_SECONDS: Final = 5.0
LIFETIME_SECONDS: Final = 64 * T1_SECONDS
D_SECONDS: Final = 32.0


class Kind(StrEnum):
    """Which machine."""

    INVITE_SERVER = "invite-server"
    SERVER = "server"
    INVITE_CLIENT = "invite-client"
    CLIENT = "client"


class State(StrEnum):
    """The states of all four (§17.1.1.2, §17.1.2.2, §17.2.1, §17.2.2; RFC 6026 §7)."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    ACCEPTED = "accepted"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class Cue(StrEnum):
    """What can happen. Responses come from our user at a server, from the network at a client."""

    REQUEST = "request"
    """The request again: a retransmission at a server, the first sending at a client."""
    ACK = "ack"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    TRANSPORT_ERROR = "transport-error"
    A = "timer-a"
    B = "timer-b"
    D = "timer-d"
    E = "timer-e"
    F = "timer-f"
    G = "timer-g"
    H = "timer-h"
    I = "timer-i"  # noqa: E741 - the RFC's name
    J = "timer-j"
    K = "timer-k"
    L = "timer-l"
    M = "timer-m"


class Act(StrEnum):
    """What the layer above or the network must be given."""

    SEND = "send"
    """Send what came with the cue and keep it for retransmission."""
    RESEND = "resend"
    """Send again what was sent last."""
    TELL = "tell"
    """Pass what came with the cue to the transaction user."""
    ACK = "ack"
    """Send the ACK for a failure (§17.1.1.3)."""
    TIMEOUT = "timeout"
    """Tell the user that nothing came, or that the network failed."""


Transition = tuple[State, tuple[Act, ...], tuple[Cue, ...]]
"""Next state, what to do, which timers to start. Timers stop when the state changes."""

_TIMED_OUT: Final[Transition] = (State.TERMINATED, (Act.TIMEOUT,), ())
_OVER: Final[Transition] = (State.TERMINATED, (), ())

TRANSITIONS: Final[Mapping[Kind, Mapping[tuple[State, Cue], Transition]]] = {
    Kind.INVITE_SERVER: {  # RFC 3261 figure 7 with RFC 6026 §7.1
        (State.PROCEEDING, Cue.REQUEST): (State.PROCEEDING, (Act.RESEND,), ()),
        (State.PROCEEDING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.SEND,), ()),
        (State.PROCEEDING, Cue.SUCCESS): (State.ACCEPTED, (Act.SEND,), (Cue.L,)),
        (State.PROCEEDING, Cue.FAILURE): (State.COMPLETED, (Act.SEND,), (Cue.G, Cue.H)),
        (State.PROCEEDING, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.ACCEPTED, Cue.SUCCESS): (State.ACCEPTED, (Act.SEND,), ()),
        (State.ACCEPTED, Cue.ACK): (State.ACCEPTED, (Act.TELL,), ()),
        (State.ACCEPTED, Cue.TRANSPORT_ERROR): (State.ACCEPTED, (Act.TIMEOUT,), ()),
        (State.ACCEPTED, Cue.L): _OVER,
        (State.COMPLETED, Cue.REQUEST): (State.COMPLETED, (Act.RESEND,), ()),
        (State.COMPLETED, Cue.G): (State.COMPLETED, (Act.RESEND,), (Cue.G,)),
        (State.COMPLETED, Cue.ACK): (State.CONFIRMED, (), (Cue.I,)),
        (State.COMPLETED, Cue.H): _TIMED_OUT,
        (State.COMPLETED, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.CONFIRMED, Cue.I): _OVER,
    },
    Kind.SERVER: {  # RFC 3261 figure 8
        (State.TRYING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.SEND,), ()),
        (State.TRYING, Cue.SUCCESS): (State.COMPLETED, (Act.SEND,), (Cue.J,)),
        (State.TRYING, Cue.FAILURE): (State.COMPLETED, (Act.SEND,), (Cue.J,)),
        (State.TRYING, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.PROCEEDING, Cue.REQUEST): (State.PROCEEDING, (Act.RESEND,), ()),
        (State.PROCEEDING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.SEND,), ()),
        (State.PROCEEDING, Cue.SUCCESS): (State.COMPLETED, (Act.SEND,), (Cue.J,)),
        (State.PROCEEDING, Cue.FAILURE): (State.COMPLETED, (Act.SEND,), (Cue.J,)),
        (State.PROCEEDING, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.COMPLETED, Cue.REQUEST): (State.COMPLETED, (Act.RESEND,), ()),
        (State.COMPLETED, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.COMPLETED, Cue.J): _OVER,
    },
    Kind.INVITE_CLIENT: {  # RFC 3261 figure 5 with RFC 6026 §7.2
        (State.CALLING, Cue.REQUEST): (State.CALLING, (Act.SEND,), (Cue.A, Cue.B)),
        (State.CALLING, Cue.A): (State.CALLING, (Act.RESEND,), (Cue.A,)),
        (State.CALLING, Cue.B): _TIMED_OUT,
        (State.CALLING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.TELL,), ()),
        (State.CALLING, Cue.SUCCESS): (State.ACCEPTED, (Act.TELL,), (Cue.M,)),
        (State.CALLING, Cue.FAILURE): (State.COMPLETED, (Act.ACK, Act.TELL), (Cue.D,)),
        (State.CALLING, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.PROCEEDING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.TELL,), ()),
        (State.PROCEEDING, Cue.SUCCESS): (State.ACCEPTED, (Act.TELL,), (Cue.M,)),
        (State.PROCEEDING, Cue.FAILURE): (State.COMPLETED, (Act.ACK, Act.TELL), (Cue.D,)),
        (State.ACCEPTED, Cue.SUCCESS): (State.ACCEPTED, (Act.TELL,), ()),
        (State.ACCEPTED, Cue.M): _OVER,
        (State.COMPLETED, Cue.FAILURE): (State.COMPLETED, (Act.ACK,), ()),
        (State.COMPLETED, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.COMPLETED, Cue.D): _OVER,
    },
    Kind.CLIENT: {  # RFC 3261 figure 6
        (State.TRYING, Cue.REQUEST): (State.TRYING, (Act.SEND,), (Cue.E, Cue.F)),
        (State.TRYING, Cue.E): (State.TRYING, (Act.RESEND,), (Cue.E,)),
        (State.TRYING, Cue.F): _TIMED_OUT,
        (State.TRYING, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.TRYING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.TELL,), (Cue.E,)),
        (State.TRYING, Cue.SUCCESS): (State.COMPLETED, (Act.TELL,), (Cue.K,)),
        (State.TRYING, Cue.FAILURE): (State.COMPLETED, (Act.TELL,), (Cue.K,)),
        (State.PROCEEDING, Cue.E): (State.PROCEEDING, (Act.RESEND,), (Cue.E,)),
        (State.PROCEEDING, Cue.F): _TIMED_OUT,
        (State.PROCEEDING, Cue.TRANSPORT_ERROR): _TIMED_OUT,
        (State.PROCEEDING, Cue.PROVISIONAL): (State.PROCEEDING, (Act.TELL,), ()),
        (State.PROCEEDING, Cue.SUCCESS): (State.COMPLETED, (Act.TELL,), (Cue.K,)),
        (State.PROCEEDING, Cue.FAILURE): (State.COMPLETED, (Act.TELL,), (Cue.K,)),
        (State.COMPLETED, Cue.K): _OVER,
    },
}

INITIAL: Final = {
    Kind.INVITE_SERVER: State.PROCEEDING,
    Kind.SERVER: State.TRYING,
    Kind.INVITE_CLIENT: State.CALLING,
    Kind.CLIENT: State.TRYING,
}

_FIXED_SECONDS: Final = {
    Cue.B: LIFETIME_SECONDS,
    Cue.D: D_SECONDS,
    Cue.F: LIFETIME_SECONDS,
    Cue.H: LIFETIME_SECONDS,
    Cue.I: T4_SECONDS,
    Cue.J: LIFETIME_SECONDS,
    Cue.K: T4_SECONDS,
    Cue.L: LIFETIME_SECONDS,
    Cue.M: LIFETIME_SECONDS,
}
# Retransmission: the longest interval. A doubles without a cap (§17.1.1.2).
_REPEATED_CAP: Final = {Cue.A: LIFETIME_SECONDS, Cue.E: T2_SECONDS, Cue.G: T2_SECONDS}
_ZERO_WHEN_RELIABLE: Final = frozenset({Cue.D, Cue.I, Cue.J, Cue.K})
# F keeps running from Trying into Proceeding (§17.1.2.2); all others belong to one state.
_KEPT: Final = frozenset({(State.PROCEEDING, Cue.F)})


@dataclass(slots=True)
class Transaction:
    """One transaction's state, timers and what it would send again."""

    kind: Kind
    reliable: bool = False
    """The transport retransmits (TCP, TLS): no A, E, G; no lingering."""
    state: State = field(init=False)
    last_sent: bytes = b""
    _timers: Timers[Cue] = field(default_factory=Timers, repr=False)
    _interval: float = T1_SECONDS

    def __post_init__(self) -> None:
        self.state = INITIAL[self.kind]

    def feed(self, cue: Cue, now: float, data: bytes = b"") -> tuple[Act, ...]:
        """Take a cue. `data` is what SEND sends. Returns what to do; SEND and RESEND: `last_sent`."""
        found = TRANSITIONS[self.kind].get((self.state, cue))
        if found is None:
            return ()
        state, acts, timers = found
        if Act.SEND in acts:
            self.last_sent = data
        self._enter(state)
        for timer in timers:
            self._start(timer, now)
        if Act.RESEND in acts and not self.last_sent:
            acts = tuple(act for act in acts if act is not Act.RESEND)
        return acts

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, or None."""
        return self._timers.earliest()

    def handle_timer(self, now: float) -> tuple[Act, ...]:
        """Run the timers that are due."""
        acts: tuple[Act, ...] = ()
        for timer in self._timers.due(now):
            acts += self.feed(timer, now)
        return acts

    def _enter(self, state: State) -> None:
        if state is self.state:
            return
        for timer in Cue:
            if (state, timer) not in _KEPT:
                self._timers.cancel(timer)
        self.state = state

    def _start(self, timer: Cue, now: float) -> None:
        if timer in _FIXED_SECONDS:
            instant = self.reliable and timer in _ZERO_WHEN_RELIABLE
            self._timers.set(timer, now + (0 if instant else _FIXED_SECONDS[timer]))
        elif not self.reliable:
            if timer is Cue.E and self.state is State.PROCEEDING:
                self._interval = T2_SECONDS
            self._timers.set(timer, now + self._interval)
            self._interval = min(self._interval * 2, _REPEATED_CAP[timer])

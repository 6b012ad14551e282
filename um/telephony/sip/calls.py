"""The calls of an endpoint: one INVITE dialog each, and the 2xx that waits for its ACK.

Laws:
- A call is found by its key from the offer on, by its dialog only from our 200 on.
- A 2xx is repeated, T1 doubling to T2, until its ACK or for 64*T1 (RFC 3261 §13.3.1.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from um.telephony.sip.dialog import Dialog, DialogKey
from um.telephony.sip.layer import Hop, ServerTransaction
from um.telephony.sip.message import Field, Request
from um.telephony.sip.session_timer import Session, Terms
from um.telephony.sip.timers import Timers
from um.telephony.sip.transaction import LIFETIME_SECONDS, T1_SECONDS, T2_SECONDS
from um.telephony.sip.transfer import Transfer


class Deadline(StrEnum):
    """What a call waits for, besides the ACK."""

    REFRESH = "refresh"
    """We refresh the session."""
    EXPIRY = "expiry"
    """The session ends."""
    TRANSFER = "transfer"
    """The transfer has taken too long."""


@dataclass(slots=True)
class Unacknowledged:
    """A 2xx to an INVITE, repeated until its ACK (§13.3.1.4)."""

    data: bytes
    hop: Hop
    cseq: int
    first: bool
    give_up: float
    interval: float = T1_SECONDS


@dataclass(slots=True)
class SipCall:
    """One INVITE dialog, from the offer to its end."""

    key: str
    dialog: Dialog
    invite: ServerTransaction
    answered: bool = False
    change: ServerTransaction | None = None
    """A re-INVITE or UPDATE that waits for our user's answer."""
    offering: str | None = None
    """Names the re-INVITE of ours that waits for its answer."""
    unacknowledged: Unacknowledged | None = None
    hanging_up: tuple[Field, ...] | None = None
    """Fields of the BYE that waits for the ACK (§15: none before)."""
    terms: Terms | None = None
    """What the 2xx to come will say of the session (RFC 4028)."""
    session: Session | None = None
    """None: it lasts without refreshes."""
    description: bytes = b""
    """The SDP that we sent last, which a refresh repeats."""
    updates: bool = False
    """The peer takes UPDATE (RFC 3311 §4)."""
    transfer: Transfer | None = None

    @property
    def settled(self) -> bool:
        """Whether the call is up and no offer of either side is under way (§14.1, RFC 3311 §5.1)."""
        return (
            self.answered
            and self.change is None
            and self.offering is None
            and self.unacknowledged is None
        )

    def take_change(self) -> ServerTransaction | None:
        """The change that waits, which waits no more."""
        change, self.change = self.change, None
        return change


@dataclass(slots=True)
class Calls:
    """All calls of one endpoint."""

    _by_key: dict[str, SipCall] = field(default_factory=dict)
    _by_dialog: dict[DialogKey, SipCall] = field(default_factory=dict)
    _repeats: Timers[str] = field(default_factory=Timers)
    _deadlines: Timers[tuple[Deadline, str]] = field(default_factory=Timers)

    def __iter__(self) -> Iterator[SipCall]:
        """Over a copy: a call may be forgotten meanwhile."""
        return iter(list(self._by_key.values()))

    def get(self, key: str) -> SipCall | None:
        return self._by_key.get(key)

    def of(self, request: Request) -> SipCall | None:
        """The answered call in whose dialog the request is (§12.2.2)."""
        key = request.call_id, request.to.tag or "", request.from_.tag or ""
        return self._by_dialog.get(key)

    def add(self, call: SipCall) -> None:
        """One that is offered."""
        self._by_key[call.key] = call

    def answer(self, call: SipCall) -> None:
        """Its dialog begins."""
        call.answered = True
        self._by_dialog[call.dialog.key] = call

    def forget(self, call: SipCall) -> None:
        """It is over."""
        self._by_key.pop(call.key, None)
        self._by_dialog.pop(call.dialog.key, None)
        self.acknowledge(call)
        for what in Deadline:
            self.expect(call, what, None)

    # ---- deadlines

    def expect(self, call: SipCall, what: Deadline, at: float | None) -> None:
        """Let `overdue` tell of it at that time; None: no longer."""
        if at is None:
            self._deadlines.cancel((what, call.key))
        else:
            self._deadlines.set((what, call.key), at)

    def overdue(self, now: float) -> Iterator[tuple[Deadline, SipCall]]:
        """What should have happened by now."""
        for what, key in self._deadlines.due(now):
            yield what, self._by_key[key]

    # ---- the 2xx until its ACK

    def await_ack(
        self, call: SipCall, transaction: ServerTransaction, data: bytes, now: float
    ) -> None:
        """Repeat `data`, the 2xx of `transaction`, from T1 on."""
        call.unacknowledged = Unacknowledged(
            data,
            transaction.hop,
            transaction.request.cseq.number,
            first=transaction is call.invite,
            give_up=now + LIFETIME_SECONDS,
        )
        self._repeats.set(call.key, now + T1_SECONDS)

    def acknowledge(self, call: SipCall) -> None:
        """Repeat no more."""
        call.unacknowledged = None
        self._repeats.cancel(call.key)

    def repeat_later(self, call: SipCall, waiting: Unacknowledged, now: float) -> None:
        """After twice the time, T2 at the most."""
        waiting.interval = min(waiting.interval * 2, T2_SECONDS)
        self._repeats.set(call.key, min(now + waiting.interval, waiting.give_up))

    def get_timer(self) -> float | None:
        """When `due` or `overdue` has something, or None."""
        timers = (self._repeats.earliest(), self._deadlines.earliest())
        return min((timer for timer in timers if timer is not None), default=None)

    def due(self, now: float) -> Iterator[SipCall]:
        """Calls whose 2xx is to be repeated, or given up."""
        for key in self._repeats.due(now):
            yield self._by_key[key]

"""The life of an account, as tables (product: Account life).

Every move lives in MOVES and every answer at a door in ANSWERS; documentation and tests read them.
A purged account has no state: its row is gone. PURGING is how it looks while it goes: unknown.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from um.core.account import Account, AccountState
from um.core.errors import (
    AccountClosedError,
    AccountSuspendedError,
    LifeCycleError,
    NotFoundError,
    ReadOnlyError,
    UMError,
)
from um.core.message import MessageKind
from um.policy.calendar import add_months, zone

CLOCK_JUMP = timedelta(hours=24)
"""Two readings of the clock further apart than this say nothing about what time it is."""


class LifeEvent(StrEnum):
    """What an operator (or, for PURGE, the calendar) does to an account."""

    SUSPEND = "suspend"
    RESUME = "resume"
    CLOSE = "close"
    REOPEN = "reopen"
    PURGE = "purge"


_S, _E = AccountState, LifeEvent

MOVES: Mapping[tuple[AccountState, LifeEvent], AccountState] = {
    (_S.ACTIVE, _E.SUSPEND): _S.SUSPENDED,
    (_S.ACTIVE, _E.CLOSE): _S.CLOSED,
    (_S.SUSPENDED, _E.RESUME): _S.ACTIVE,
    (_S.SUSPENDED, _E.CLOSE): _S.CLOSED,
    (_S.CLOSED, _E.REOPEN): _S.ACTIVE,
    (_S.CLOSED, _E.PURGE): _S.PURGING,
    (_S.PURGING, _E.PURGE): _S.PURGING,
}
"""All moves there are; any other pair is a LifeCycleError."""


class Door(StrEnum):
    """Where something asks to come in."""

    IMAP = "imap"
    PORTAL = "portal"
    PHONE = "phone"
    VOICE = "voice"
    FAX = "fax"
    INVOICE = "invoice"
    MAIL = "mail"
    NOTICE = "notice"


class Answer(StrEnum):
    """What a door says."""

    ALLOWED = "allowed"
    READ_ONLY = "read-only"
    REFUSED_FOR_NOW = "refused-for-now"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """As if the account did not exist."""


_D, _A = Door, Answer

ANSWERS: Mapping[AccountState, Mapping[Door, Answer]] = {
    _S.ACTIVE: dict.fromkeys(Door, _A.ALLOWED),
    _S.SUSPENDED: {
        _D.IMAP: _A.READ_ONLY,
        _D.PORTAL: _A.READ_ONLY,
        _D.PHONE: _A.READ_ONLY,
        _D.VOICE: _A.REFUSED_FOR_NOW,
        _D.FAX: _A.REFUSED_FOR_NOW,
        _D.INVOICE: _A.ALLOWED,
        _D.MAIL: _A.REFUSED_FOR_NOW,
        _D.NOTICE: _A.ALLOWED,
    },
    _S.CLOSED: dict.fromkeys(Door, _A.REFUSED),
    _S.PURGING: dict.fromkeys(Door, _A.UNKNOWN),
}

DOOR_OF_KIND: Mapping[MessageKind, Door] = {
    MessageKind.VOICE: Door.VOICE,
    MessageKind.FAX: Door.FAX,
    MessageKind.INVOICE: Door.INVOICE,
    MessageKind.MAIL: Door.MAIL,
    MessageKind.NOTICE: Door.NOTICE,
}


def move(state: AccountState, event: LifeEvent) -> AccountState:
    """The state after `event`. Raises LifeCycleError if there is no such move."""
    try:
        return MOVES[state, event]
    except KeyError:
        raise LifeCycleError(f"An account that is {state} cannot {event}") from None


def answer(state: AccountState, door: Door) -> Answer:
    """What `door` says to an account in `state`."""
    return ANSWERS[state][door]


def refusal(account: Account, door: Door) -> UMError | None:
    """The error with which `door` refuses a deposit or a change now, or None if it is open.

    A door that is read-only refuses: logins, which may look, ask `answer`.
    """
    match answer(account.state, door):
        case Answer.ALLOWED:
            return None
        case Answer.READ_ONLY:
            return ReadOnlyError(_because("Account is suspended: read only", account))
        case Answer.REFUSED_FOR_NOW:
            return AccountSuspendedError()
        case Answer.REFUSED:
            return AccountClosedError()
        case Answer.UNKNOWN:
            return NotFoundError("There is no such account")


def closed_notice(account: Account) -> str:
    """What the owner of a closed account is told: the reason, and when all is deleted."""
    text = _because("Account is closed", account)
    if account.purge_at is None:
        return text
    local = account.purge_at.astimezone(zone(account.timezone))
    return f"{text}; it will be deleted after {local:%Y-%m-%d %H:%M %Z}"


def suspended_notice(account: Account) -> str:
    """What the owner of a suspended account is told at login."""
    return _because("Account is suspended: read only", account)


def purge_due_at(closed_at: datetime, months: int, zone_name: str) -> datetime:
    """The first instant at which a purge may begin: calendar months on the account's own clock."""
    return add_months(closed_at, months, zone_name)


def clock_trusted(last: datetime | None, now: datetime) -> bool:
    """Whether `now` may start a purge: it needs a second, trusted reading within 24 h of it.

    Without an earlier reading, or after a jump in either direction (a wrong clock and a machine
    that was switched off look the same), the purge is held until an operator confirms the time.
    """
    return last is not None and abs(now - last) <= CLOCK_JUMP


def _because(text: str, account: Account) -> str:
    return f"{text} ({account.state_reason})" if account.state_reason else text

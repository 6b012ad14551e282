"""Accounts, their numbers and what the operator keeps about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from um.core.ids import E164, AccountId
from um.core.message import MessageKind

MIN_QUOTA_OCTETS = 1024 * 1024
"""The smallest mailbox: room for one longest voice message."""


class AccountState(StrEnum):
    """Where an account is in its life; `um.policy.lifecycle` holds the table of moves."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    PURGING = "purging"
    """Its purge has begun: to everyone outside the account is unknown already."""


class NumberUse(StrEnum):
    """What a number takes."""

    VOICE = "voice"
    FAX = "fax"
    BOTH = "both"


class NumberState(StrEnum):
    """Whether a number serves."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    """Its account is closed."""
    HELD = "held"
    """No longer anyone's; not given to another account before `hold_until`."""


class GreetingKind(StrEnum):
    """What an owner may record for callers."""

    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    NAME = "name"
    TEMPORARY = "temporary"
    """Goes before all others while it is there."""


@dataclass(frozen=True, slots=True)
class Account:
    """One customer's service plan: one mailbox, several numbers. All instants are aware, in UTC."""

    id: AccountId
    name: str
    domain: str
    created_at: datetime
    state: AccountState = AccountState.ACTIVE
    full_name: str = ""
    timezone: str = "UTC"
    language: str = "en"
    quota_octets: int = 104_857_600
    voicemail_enabled: bool = True
    ring_seconds: int | None = None
    """None: the operator's default."""
    password_hash: str | None = field(default=None, repr=False)
    pin_hash: str | None = field(default=None, repr=False)
    state_reason: str = ""
    suspended_at: datetime | None = None
    closed_at: datetime | None = None
    purge_at: datetime | None = None
    """Fixed at closure: no purge before this instant."""
    legal_hold_at: datetime | None = None
    """Since when nothing of it may be deleted, neither by the house nor by its owner."""
    legal_hold_reason: str = ""
    """For the operator alone: the owner is not told why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number of an account, or one that is held after it left one."""

    e164: E164
    account_id: AccountId | None
    use: NumberUse = NumberUse.BOTH
    state: NumberState = NumberState.ACTIVE
    hold_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account's mailbox holds, in octets (sum of RFC822.SIZE over all entries)."""

    used_octets: int
    reserved_octets: int
    """Sum of the reservations that have not expired."""
    limit_octets: int


@dataclass(frozen=True, slots=True)
class Totals:
    """All accounts together."""

    accounts: Mapping[AccountState, int]
    """How many are in each state; a state that none is in may be missing."""
    messages: Mapping[MessageKind, int]
    """How many messages of each kind there are, over all folders."""
    used_octets: int


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what to an account, and why. `detail` never holds a secret."""

    at: datetime
    actor: str
    action: str
    account_id: AccountId | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PurgeRecord:
    """Proof of a purge: the only thing that stays (no personal data)."""

    account_id: AccountId
    started_at: datetime
    finished_at: datetime | None
    messages: int
    octets: int
    blobs: int


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A line of an account's history: a call, whether or not a message came of it; mail that came."""

    account_id: AccountId
    at: datetime
    kind: str
    """`voice`, `fax`, `missed-voice`, `missed-fax`, `refused`; of mail `invoice`, `mail`."""
    number: E164 | None
    caller: str
    """Number or name; of mail its author."""
    duration_seconds: float
    detail: str = ""
    """In the words of whoever wrote the line; of an invoice its subject."""

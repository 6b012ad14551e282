"""Ports of accounts, their numbers, and what is kept beside the mail."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from um.core.account import (
    Account,
    AccountState,
    AuditRecord,
    CallRecord,
    Number,
    NumberState,
    NumberUse,
    PurgeRecord,
    Totals,
    Usage,
)
from um.core.ids import (
    E164,
    AccountId,
)
from um.core.message import (
    MessageKind,
)


class Accounts(Protocol):
    """Accounts as rows. Names are compared without regard to case."""

    def add(self, account: Account) -> None:
        """Store a new account. Raises AlreadyExistsError if (name, domain) is taken."""
        ...

    def get(self, account_id: AccountId) -> Account | None: ...

    def lock(self, account_id: AccountId) -> Account | None:
        """Like `get`, and hold the row until the transaction ends (quota, life cycle)."""
        ...

    def lock_state(self, account_id: AccountId) -> AccountState | None:
        """Like `lock`, for who asks only whether something may be done."""
        ...

    def by_name(self, name: str, domain: str) -> Account | None: ...

    def every(self) -> list[Account]:
        """All accounts, by name."""
        ...

    def page(self, after: str, limit: int) -> list[Account]:
        """At most `limit` accounts whose names come after `after`, by name and domain."""
        ...

    def totals(self) -> Totals:
        """All accounts together."""
        ...

    def batch(self, after: AccountId | None, limit: int) -> list[Account]:
        """Up to `limit` accounts in the order of their ids, those after `after`."""
        ...

    def due(self, at: datetime) -> list[Account]:
        """Those PURGING, and those CLOSED whose purge date is not after `at`, by name."""
        ...

    def save(self, account: Account) -> None:
        """Replace the row of the same id. Raises NotFoundError."""
        ...

    def delete(self, *account_ids: AccountId) -> None:
        """Remove the accounts and every row that is their own; harmless if they are gone.

        What stays is their purge records, and what `Messages.discarded` gives until it is forgotten.
        """
        ...

    def usage(self, account_id: AccountId, now: datetime) -> Usage:
        """Octets used (the counter that is kept with every change) and reserved."""
        ...

    def counts(self, account_id: AccountId) -> dict[MessageKind, int]:
        """Number of messages by kind over all folders."""
        ...

    def preferences(self, account_id: AccountId) -> dict[str, str]: ...

    def choosing(self, keys: Collection[str]) -> dict[AccountId, dict[str, str]]:
        """Who has chosen any of these preferences, and what."""
        ...

    def set_preference(self, account_id: AccountId, key: str, value: str | None) -> None:
        """Set, or with None remove, a preference."""
        ...


class Numbers(Protocol):
    """Telephone numbers and the short extensions by which a core may name them."""

    def add(self, number: Number, *, now: datetime) -> None:
        """Store a number; one that is held and past `hold_until` at `now` is taken over.

        Raises AlreadyExistsError if another account has it or it is held still (the caller says
        until when; `get` tells).
        """
        ...

    def get(self, e164: E164) -> Number | None: ...

    def of_account(self, account_id: AccountId) -> list[Number]: ...

    def set_state(
        self, e164: E164, state: NumberState, *, hold_until: datetime | None = None
    ) -> None: ...

    def set_use(self, e164: E164, use: NumberUse) -> None: ...

    def hold(self, e164: E164, until: datetime) -> None:
        """Take the number from its account and keep it from others until `until`."""
        ...

    def free(self, e164: E164) -> None:
        """Forget the number (ported out, or its hold has ended)."""
        ...

    def free_held(self, now: datetime) -> int:
        """Forget the numbers of nobody whose hold ended at or before `now`; returns how many."""
        ...

    def add_alias(self, alias: str, e164: E164) -> None: ...

    def by_alias(self, alias: str) -> Number | None: ...


class Lockouts(Protocol):
    """Failure counters that last across calls, connections, restarts and nodes."""

    def failures(self, subject: str, *, since: datetime) -> int: ...

    def record_failure(self, subject: str, at: datetime) -> None: ...

    def clear(self, subject: str) -> None: ...

    def forget(self, before: datetime) -> int:
        """Drop the failures before that instant: they no longer count for anyone."""
        ...


class Records(Protocol):
    """What is kept beside the mail: audit log, call history, purge records, marks of the house."""

    def audit(self, record: AuditRecord) -> None: ...

    def audit_of(self, account_id: AccountId) -> list[AuditRecord]: ...

    def add_call(self, record: CallRecord) -> None: ...

    def calls_of(
        self,
        account_id: AccountId,
        *,
        limit: int = 100,
        kinds: Collection[str] = (),
        until: datetime | None = None,
        skip: int = 0,
    ) -> list[CallRecord]:
        """The latest first, of these kinds (all, if none is named), none later than `until`."""
        ...

    def save_purge(self, record: PurgeRecord) -> None:
        """Insert or replace the record of that account."""
        ...

    def purges(self) -> list[PurgeRecord]: ...

    def mark(self, key: str) -> str | None: ...

    def set_mark(self, key: str, value: str) -> None:
        """Keep one value of the house itself, such as the last reading of the clock."""
        ...

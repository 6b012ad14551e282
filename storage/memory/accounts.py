"""`Accounts` and `Numbers` in memory."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from storage.memory.tables import Unit
from storage.naming import names, own_words
from um.core.account import (
    Account,
    AccountState,
    Number,
    NumberState,
    NumberUse,
    Totals,
    Usage,
)
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import E164, AccountId
from um.core.message import MessageKind

K = TypeVar("K")
V = TypeVar("V")


def _without(table: dict[K, V], gone: Callable[[K, V], bool]) -> dict[K, V]:
    return {key: value for key, value in table.items() if not gone(key, value)}


class MemoryAccounts:
    """`um.core.ports.Accounts`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tables = unit.tables

    def add(self, account: Account) -> None:
        if account.id in self._tables.accounts or self.by_name(account.name, account.domain):
            raise AlreadyExistsError(f"The account {account.name} exists already")
        self._tables.accounts[account.id] = account
        self._tables.used[account.id] = 0
        self._unit.note_account(account.id)

    def get(self, account_id: AccountId) -> Account | None:
        return self._tables.accounts.get(account_id)

    def lock(self, account_id: AccountId) -> Account | None:
        return self.get(account_id)

    def lock_state(self, account_id: AccountId) -> AccountState | None:
        account = self.get(account_id)
        return None if account is None else account.state

    def by_name(self, name: str, domain: str) -> Account | None:
        wanted = (name.casefold(), domain.casefold())
        for account in self._tables.accounts.values():
            if (account.name.casefold(), account.domain.casefold()) == wanted:
                return account
        return None

    def every(self) -> list[Account]:
        return sorted(
            self._tables.accounts.values(),
            key=lambda each: (each.name.casefold(), each.domain.casefold()),
        )

    def page(self, after: str, limit: int) -> list[Account]:
        found = [each for each in self.every() if each.name.casefold() > after.casefold()]
        return found[:limit]

    def totals(self) -> Totals:
        return Totals(
            accounts=Counter(each.state for each in self._tables.accounts.values()),
            messages=Counter(each.kind for each in self._tables.entries.values()),
            used_octets=sum(self._tables.used.values()),
        )

    def batch(self, after: AccountId | None, limit: int) -> list[Account]:
        ids = sorted(each for each in self._tables.accounts if each > (after or ""))
        return [self._tables.accounts[each] for each in ids[:limit]]

    def due(self, at: datetime) -> list[Account]:
        return [each for each in self.every() if _is_due(each, at)]

    def save(self, account: Account) -> None:
        if account.id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        other = self.by_name(account.name, account.domain)
        if other is not None and other.id != account.id:
            raise AlreadyExistsError(f"The account {account.name} exists already")
        self._tables.accounts[account.id] = account
        self._unit.note_account(account.id)

    def delete(self, *account_ids: AccountId) -> None:
        for account_id in account_ids:
            self._delete(account_id)

    def _delete(self, account_id: AccountId) -> None:
        tables = self._tables
        account = tables.accounts.pop(account_id, None)
        if account is None:
            return
        numbers = [each for each in tables.numbers.values() if each.account_id == account_id]
        for number in numbers:
            tables.numbers[number.e164] = replace(number, account_id=None, state=NumberState.HELD)
        tables.aliases = _without(tables.aliases, lambda _, v: tables.numbers[v].account_id is None)
        folders = {box.id for box in tables.mailboxes.values() if box.account_id == account_id}
        tables.used.pop(account_id, None)
        tables.uidvalidity.pop(account_id, None)
        tables.preferences = _without(tables.preferences, lambda k, _: k[0] == account_id)
        tables.subscriptions = {each for each in tables.subscriptions if each[0] != account_id}
        tables.annotations = _without(tables.annotations, lambda k, _: k[0] == account_id)
        tables.mailboxes = _without(tables.mailboxes, lambda k, _: k in folders)
        tables.entries = _without(tables.entries, lambda k, _: k[0] in folders)
        tables.vanished = _without(tables.vanished, lambda k, _: k[0] in folders)
        for content in tables.contents.values():
            if content.account_id == account_id:
                self._unit.discard(content)
        tables.contents = _without(tables.contents, lambda _, v: v.account_id == account_id)
        tables.ingests = _without(tables.ingests, lambda _, v: v[0] == account_id)
        tables.reservations = _without(tables.reservations, lambda _, v: v[0] == account_id)
        tables.sessions = _without(tables.sessions, lambda _, v: v.account_id == account_id)
        tables.app_passwords = _without(
            tables.app_passwords, lambda _, v: v.account_id == account_id
        )
        tables.links = _without(tables.links, lambda _, v: v.account_id == account_id)
        tables.outbox = _without(tables.outbox, lambda _, v: v.account_id == account_id)
        tables.addresses = _without(tables.addresses, lambda _, v: v.account_id == account_id)
        tables.calls = [each for each in tables.calls if each.account_id != account_id]
        tables.audit = [
            each
            for each in tables.audit
            if each.account_id != account_id and account_id not in each.detail
        ]
        words = own_words(account, [number.e164 for number in numbers])
        tables.failures = [each for each in tables.failures if not names(each[0], words)]
        tables.marks = _without(tables.marks, lambda k, _: account_id in k)
        self._unit.changes = _without(self._unit.changes, lambda _, v: v.account_id == account_id)
        self._unit.note_account(account_id)

    def usage(self, account_id: AccountId, now: datetime) -> Usage:
        account = self._tables.accounts.get(account_id)
        if account is None:
            raise NotFoundError("There is no such account")
        reserved = sum(
            octets
            for owner, octets, expires_at in self._tables.reservations.values()
            if owner == account_id and expires_at > now
        )
        return Usage(self._tables.used[account_id], reserved, account.quota_octets)

    def counts(self, account_id: AccountId) -> dict[MessageKind, int]:
        return dict(
            Counter(
                entry.kind
                for entry in self._tables.entries.values()
                if entry.account_id == account_id
            )
        )

    def preferences(self, account_id: AccountId) -> dict[str, str]:
        return {
            key: value
            for (owner, key), value in sorted(self._tables.preferences.items())
            if owner == account_id
        }

    def choosing(self, keys: Collection[str]) -> dict[AccountId, dict[str, str]]:
        found: dict[AccountId, dict[str, str]] = {}
        for (owner, key), value in self._tables.preferences.items():
            if key in keys:
                found.setdefault(owner, {})[key] = value
        return found

    def set_preference(self, account_id: AccountId, key: str, value: str | None) -> None:
        if account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        if value is None:
            self._tables.preferences.pop((account_id, key), None)
        else:
            self._tables.preferences[account_id, key] = value
        self._unit.note_account(account_id)


class MemoryNumbers:
    """`um.core.ports.Numbers`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tables = unit.tables

    def add(self, number: Number, *, now: datetime) -> None:
        known = self._tables.numbers.get(number.e164)
        if known is not None and not _is_free(known, now):
            raise AlreadyExistsError(f"The number {number.e164} is not free")
        if number.account_id is not None and number.account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        self._tables.numbers[number.e164] = number
        self._note(number)

    def get(self, e164: E164) -> Number | None:
        return self._tables.numbers.get(e164)

    def of_account(self, account_id: AccountId) -> list[Number]:
        return sorted(
            (each for each in self._tables.numbers.values() if each.account_id == account_id),
            key=lambda each: each.e164,
        )

    def set_state(
        self, e164: E164, state: NumberState, *, hold_until: datetime | None = None
    ) -> None:
        self._change(replace(self._known(e164), state=state, hold_until=hold_until))

    def set_use(self, e164: E164, use: NumberUse) -> None:
        self._change(replace(self._known(e164), use=use))

    def hold(self, e164: E164, until: datetime) -> None:
        known = self._known(e164)
        self._tables.numbers[e164] = replace(
            known, account_id=None, state=NumberState.HELD, hold_until=until
        )
        self._forget_aliases(e164)
        self._note(known)

    def free(self, e164: E164) -> None:
        known = self._known(e164)
        del self._tables.numbers[e164]
        self._forget_aliases(e164)
        self._note(known)

    def free_held(self, now: datetime) -> int:
        ended = [
            each.e164
            for each in self._tables.numbers.values()
            if each.account_id is None and _is_free(each, now)
        ]
        for e164 in ended:
            self.free(e164)
        return len(ended)

    def add_alias(self, alias: str, e164: E164) -> None:
        number = self._known(e164)
        if self._tables.aliases.get(alias, e164) != e164:
            raise AlreadyExistsError(f"The extension {alias} is taken")
        self._tables.aliases[alias] = e164
        self._note(number)

    def by_alias(self, alias: str) -> Number | None:
        e164 = self._tables.aliases.get(alias)
        return None if e164 is None else self._tables.numbers.get(e164)

    def _known(self, e164: E164) -> Number:
        number = self._tables.numbers.get(e164)
        if number is None:
            raise NotFoundError(f"There is no number {e164}")
        return number

    def _change(self, number: Number) -> None:
        self._tables.numbers[number.e164] = number
        self._note(number)

    def _forget_aliases(self, e164: E164) -> None:
        self._tables.aliases = _without(self._tables.aliases, lambda _, v: v == e164)

    def _note(self, number: Number) -> None:
        if number.account_id is not None:
            self._unit.note_account(number.account_id)


def _is_due(account: Account, at: datetime) -> bool:
    if account.state is AccountState.PURGING:
        return True
    closed = account.state is AccountState.CLOSED
    return closed and account.purge_at is not None and account.purge_at <= at


def _is_free(number: Number, now: datetime) -> bool:
    return (
        number.state is NumberState.HELD
        and number.hold_until is not None
        and number.hold_until <= now
    )

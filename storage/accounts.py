"""`Accounts` in the database."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from storage import schema
from storage.instants import Instant
from storage.naming import names, own_words
from storage.statement import Among, Statement, Values, insert, upsert, value
from storage.unit import Unit
from um.core.account import Account, AccountState, NumberState, Totals, Usage
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import E164, AccountId
from um.core.message import MessageKind

_t = schema.accounts.c
_FIELDS = tuple(field.name for field in fields(Account))
_ALL = sa.select(*(_t[name] for name in _FIELDS))

_ADD = Statement(
    insert(schema.accounts, *_FIELDS, "name_key", "domain_key").on_conflict_do_nothing()
)
_GET = Statement(_ALL.where(_t.id == value("id")))
_LOCK = Statement(_ALL.where(_t.id == value("id")).with_for_update())
_STATE = Statement(sa.select(_t.state).where(_t.id == value("id")))
_LOCK_STATE = Statement(sa.select(_t.state).where(_t.id == value("id")).with_for_update())
_BY_NAME = Statement(_ALL.where(_t.name_key == value("name"), _t.domain_key == value("domain")))
_EVERY = Statement(_ALL.order_by(_t.name_key, _t.domain_key))
_PAGE = Statement(
    _ALL.where(_t.name_key > value("after"))
    .order_by(_t.name_key, _t.domain_key)
    .limit(value("most", sa.Integer()))
)
_STATES = Statement(
    sa.select(
        _t.state, sa.func.count(), sa.cast(sa.func.sum(_t.used_octets), sa.BigInteger)
    ).group_by(_t.state)
)
_KINDS = Statement(sa.select(schema.entry.c.kind, sa.func.count()).group_by(schema.entry.c.kind))
_BATCH = Statement(_ALL.where(_t.id > value("after")).order_by(_t.id).limit(value("limit")))
_DUE = Statement(
    _ALL.where(
        sa.or_(
            _t.state == AccountState.PURGING.value,
            sa.and_(_t.state == AccountState.CLOSED.value, _t.purge_at <= value("at", Instant())),
        )
    ).order_by(_t.name_key, _t.domain_key)
)
_SAVE = Statement(
    sa.update(schema.accounts)
    .where(_t.id == value("key"))
    .values({name: value(name, _t[name].type) for name in (*_FIELDS[1:], "name_key", "domain_key")})
)
_USAGE = Statement(
    sa.select(
        _t.used_octets,
        _t.quota_octets,
        sa.select(sa.cast(sa.func.sum(schema.reservations.c.octets), sa.BigInteger))
        .where(
            schema.reservations.c.account_id == value("id"),
            schema.reservations.c.expires_at > value("now", Instant()),
        )
        .scalar_subquery(),
    ).where(_t.id == value("id"))
)
_COUNTS = Statement(
    sa.select(schema.entry.c.kind, sa.func.count())
    .join_from(schema.mailboxes, schema.entry)
    .where(schema.mailboxes.c.account_id == value("id"))
    .group_by(schema.entry.c.kind)
)
_p = schema.preferences.c
_PREFERENCES = Statement(
    sa.select(_p.key, _p.value).where(_p.account_id == value("id")).order_by(_p.key)
)
_CHOOSING = Statement(sa.select(_p.account_id, _p.key, _p.value).where(Among(_p.key, "keys")))
_SET_PREFERENCE = Statement(upsert(schema.preferences))
_DROP_PREFERENCE = Statement(
    sa.delete(schema.preferences).where(_p.account_id == value("id"), _p.key == value("key"))
)
_NUMBERS = Statement(
    sa.select(schema.numbers.c.account_id, schema.numbers.c.e164).where(
        Among(schema.numbers.c.account_id, "ids")
    )
)


def _of_account(table: sa.Table) -> Statement:
    return Statement(sa.delete(table).where(Among(table.c.account_id, "ids")))


def _in_folders(table: sa.Table) -> Statement:
    mine = sa.select(schema.mailboxes.c.id).where(Among(schema.mailboxes.c.account_id, "ids"))
    return Statement(sa.delete(table).where(table.c.mailbox_id.in_(mine)))


_DELETE = (
    Statement(
        sa.delete(schema.aliases).where(
            schema.aliases.c.e164.in_(
                sa.select(schema.numbers.c.e164).where(Among(schema.numbers.c.account_id, "ids"))
            )
        )
    ),
    Statement(
        sa.update(schema.numbers)
        .where(Among(schema.numbers.c.account_id, "ids"))
        .values(account_id=None, state=NumberState.HELD.value)
    ),
    _of_account(schema.outbox),
    _of_account(schema.forward_addresses),
    _in_folders(schema.entry),
    _in_folders(schema.vanished),
    Statement(
        postgresql.insert(schema.discarded)
        .from_select(
            ["blob", "account_id", "at"],
            sa.select(
                schema.content.c.blob, schema.content.c.account_id, value("now", Instant())
            ).where(Among(schema.content.c.account_id, "ids")),
        )
        .on_conflict_do_nothing()
    ),
    _of_account(schema.content),
    _of_account(schema.mailboxes),
    _of_account(schema.subscriptions),
    _of_account(schema.annotations),
    _of_account(schema.preferences),
    _of_account(schema.ingests),
    _of_account(schema.reservations),
    _of_account(schema.web_sessions),
    _of_account(schema.app_passwords),
    _of_account(schema.one_time_links),
    _of_account(schema.calls),
    _of_account(schema.audit),
    _of_account(schema.changes),
    Statement(sa.delete(schema.accounts).where(Among(_t.id, "ids"))),
)
"""In the order that the foreign keys ask for; `purges` stays, and `discarded` until it is done.

All accounts at once: `ingests` and `changes` have no index for this and are read whole.
"""
_DELETE_MENTIONS = (
    Statement(
        sa.delete(schema.audit).where(
            schema.audit.c.account_id.is_(None),
            schema.audit.c.detail.contains(value("id", sa.Text())),
        )
    ),
    Statement(sa.delete(schema.marks).where(schema.marks.c.key.contains(value("id", sa.Text())))),
)
"""What names an account in its text, among the few rows that are the house's own."""

_f = schema.lockout_failures.c
_SUBJECTS = Statement(sa.select(_f.subject).distinct())
_CLEAR_SUBJECTS = Statement(sa.delete(schema.lockout_failures).where(Among(_f.subject, "subjects")))


class SqlAccounts:
    """`um.core.ports.Accounts`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add(self, account: Account) -> None:
        if not self._unit.do(_ADD, **_columns(account)):
            raise AlreadyExistsError(f"The account {account.name} exists already")
        self._unit.note_account(account.id)

    def get(self, account_id: AccountId) -> Account | None:
        return _account(self._unit.row(_GET, id=account_id))

    def lock(self, account_id: AccountId) -> Account | None:
        return _account(self._unit.row(_LOCK if self._unit.locks else _GET, id=account_id))

    def lock_state(self, account_id: AccountId) -> AccountState | None:
        row = self._unit.row(_LOCK_STATE if self._unit.locks else _STATE, id=account_id)
        return None if row is None else _STATE_OF[row[0]]

    def by_name(self, name: str, domain: str) -> Account | None:
        keys = {"name": name.casefold(), "domain": domain.casefold()}
        return _account(self._unit.row(_BY_NAME, **keys))

    def every(self) -> list[Account]:
        return [_known(row) for row in self._unit.rows(_EVERY)]

    def page(self, after: str, limit: int) -> list[Account]:
        rows = self._unit.rows(_PAGE, after=after.casefold(), most=limit)
        return [_known(row) for row in rows]

    def totals(self) -> Totals:
        states = list(self._unit.rows(_STATES))
        return Totals(
            accounts={AccountState(state): count for state, count, _ in states},
            messages={MessageKind(kind): count for kind, count in self._unit.rows(_KINDS)},
            used_octets=sum(octets for _, _, octets in states),
        )

    def batch(self, after: AccountId | None, limit: int) -> list[Account]:
        return [_known(row) for row in self._unit.rows(_BATCH, after=after or "", limit=limit)]

    def due(self, at: datetime) -> list[Account]:
        return [_known(row) for row in self._unit.rows(_DUE, at=at)]

    def save(self, account: Account) -> None:
        other = self.by_name(account.name, account.domain)
        if other is not None and other.id != account.id:
            raise AlreadyExistsError(f"The account {account.name} exists already")
        columns = _columns(account)
        if not self._unit.do(_SAVE, key=columns.pop("id"), **columns):
            raise NotFoundError("There is no such account")
        self._unit.note_account(account.id)

    def delete(self, *account_ids: AccountId) -> None:
        """Leaves no row that names the accounts, `changes` included.

        So other processes hear of it by the state that the purge set before; this one at once.
        """
        found = [account for each in account_ids if (account := self.lock(each)) is not None]
        if not found:
            return
        ids = [account.id for account in found]
        self._clear_failures(found)
        for statement in _DELETE:
            self._unit.do(statement, ids=ids, now=self._unit.clock.now())
        for account_id in ids:
            for statement in _DELETE_MENTIONS:
                self._unit.do(statement, id=account_id)
            self._unit.forget_account(account_id)

    def usage(self, account_id: AccountId, now: datetime) -> Usage:
        row = self._unit.row(_USAGE, id=account_id, now=now)
        if row is None:
            raise NotFoundError("There is no such account")
        used, limit, reserved = row
        return Usage(used, reserved or 0, limit)

    def counts(self, account_id: AccountId) -> dict[MessageKind, int]:
        rows = self._unit.rows(_COUNTS, id=account_id)
        return {MessageKind(kind): count for kind, count in rows}

    def preferences(self, account_id: AccountId) -> dict[str, str]:
        return dict(self._unit.rows(_PREFERENCES, id=account_id))

    def choosing(self, keys: Collection[str]) -> dict[AccountId, dict[str, str]]:
        found: dict[AccountId, dict[str, str]] = {}
        for account_id, key, chosen in self._unit.rows(_CHOOSING, keys=list(keys)):
            found.setdefault(account_id, {})[key] = chosen
        return found

    def set_preference(self, account_id: AccountId, key: str, value: str | None) -> None:
        if self.get(account_id) is None:
            raise NotFoundError("There is no such account")
        if value is None:
            self._unit.do(_DROP_PREFERENCE, id=account_id, key=key)
        else:
            self._unit.do(_SET_PREFERENCE, account_id=account_id, key=key, value=value)
        self._unit.note_account(account_id)

    def _clear_failures(self, accounts: Collection[Account]) -> None:
        """Forget the failures at their doors: each subject is looked at once for all of them."""
        ids = [account.id for account in accounts]
        numbers = defaultdict[AccountId, list[E164]](list)
        for account_id, e164 in self._unit.rows(_NUMBERS, ids=ids):
            numbers[account_id].append(E164(e164))
        words = {word for each in accounts for word in own_words(each, numbers[each.id])}
        subjects = [subject for (subject,) in self._unit.rows(_SUBJECTS) if names(subject, words)]
        self._unit.do(_CLEAR_SUBJECTS, subjects=subjects)


def _columns(account: Account) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(account, name) for name in _FIELDS}
    columns["state"] = account.state.value
    columns["name_key"] = account.name.casefold()
    columns["domain_key"] = account.domain.casefold()
    return columns


def _known(row: Values) -> Account:
    columns = dict(zip(_FIELDS, row, strict=True))
    columns["state"] = AccountState(columns["state"])
    return Account(**columns)


def _account(row: Values | None) -> Account | None:
    return None if row is None else _known(row)


_STATE_OF = {state.value: state for state in AccountState}

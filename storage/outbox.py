"""`Outbox` in the database.

A lease is one UPDATE over rows picked with SKIP LOCKED: on PostgreSQL several nodes lease at once and
none waits for another; SQLite has one writer anyway.
"""

from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.instants import Instant
from storage.statement import Among, Statement, Values, insert, value
from storage.unit import Unit
from um.core.forwarding import FAILED, AfterCopy, CopyMode, OutboxEntry, OutboxState, Purpose
from um.core.ids import AccountId, ContentId, OutboxId

_t = schema.outbox.c
_FIELDS = tuple(field.name for field in fields(OutboxEntry))
_ALL = sa.select(*(_t[name] for name in _FIELDS))
_ENUMS = {"purpose": Purpose, "mode": CopyMode, "after": AfterCopy, "state": OutboxState}
_WAITING = _t.state == sa.literal(OutboxState.WAITING.value)
_NOW = value("now", Instant())
_FREE = sa.or_(_t.leased_until.is_(None), _t.leased_until <= _NOW)

_ADD = Statement(insert(schema.outbox))
_GET = Statement(_ALL.where(_t.id == value("id")))
_DUE = (
    _ALL.where(_WAITING, _t.next_try <= _NOW, _FREE)
    .order_by(_t.next_try, _t.id)
    .limit(value("limit", sa.Integer()))
)
_IS_WEBHOOK = _t.purpose == sa.literal(Purpose.WEBHOOK.value)
_LANES = {None: sa.true(), True: _IS_WEBHOOK, False: sa.not_(_IS_WEBHOOK)}
"""By what `webhooks` says."""
_PICK = {lane: Statement(_DUE.where(of)) for lane, of in _LANES.items()}
_PICK_LOCKED = {
    lane: Statement(_DUE.where(of).with_for_update(skip_locked=True)) for lane, of in _LANES.items()
}
_LEASE = Statement(
    sa.update(schema.outbox)
    .where(Among(_t.id, "ids"))
    .values(leased_until=value("until", Instant()))
)
_SETTLE = Statement(
    sa.update(schema.outbox)
    .where(_t.id == value("key"))
    .values(
        state=value("state"),
        finished_at=value("at", Instant()),
        last_error=value("error"),
        leased_until=sa.null(),
    )
)
_RETRY = Statement(
    sa.update(schema.outbox)
    .where(_t.id == value("key"))
    .values(
        attempts=_t.attempts + 1,
        next_try=value("at", Instant()),
        last_error=value("error"),
        leased_until=sa.null(),
    )
)
_OF_ACCOUNT = Statement(
    _ALL.where(_t.account_id == value("id"))
    .order_by(_t.created_at.desc(), _t.id.desc())
    .limit(value("limit", sa.Integer()))
)
_OF_CONTENT = Statement(_ALL.where(_t.content_id == value("id")).order_by(_t.created_at, _t.id))
_NEXT = Statement(
    _ALL.where(_WAITING).order_by(_t.next_try, _t.id).limit(value("limit", sa.Integer()))
)
_COUNT = Statement(sa.select(sa.func.count()).select_from(schema.outbox).where(_WAITING))
_DUE_AT = sa.case(
    (sa.or_(_t.leased_until.is_(None), _t.leased_until < _t.next_try), _t.next_try),
    else_=_t.leased_until,
)
_NEXT_DUE = {
    lane: Statement(sa.select(_DUE_AT).where(_WAITING, of).order_by(_DUE_AT).limit(1))
    for lane, of in _LANES.items()
}
_ENDED_BADLY = Statement(
    _ALL.where(_t.state.in_([sa.literal(each.value) for each in sorted(FAILED)]))
    .order_by(_t.finished_at.desc(), _t.id.desc())
    .limit(value("limit", sa.Integer()))
)
_HURRY = (
    sa.update(schema.outbox)
    .where(_WAITING, _t.next_try > _NOW, _FREE)
    .values(next_try=value("now", Instant()))
)
_HURRY_ALL = Statement(_HURRY)
_HURRY_ACCOUNT = Statement(_HURRY.where(_t.account_id == value("id")))
_RELEASE = Statement(
    sa.update(schema.outbox).where(_t.leased_until.is_not(None)).values(leased_until=sa.null())
)
_CANCEL = Statement(
    sa.update(schema.outbox)
    .where(_WAITING, _t.account_id == value("id"), _t.target == value("to"))
    .values(
        state=sa.literal(OutboxState.CANCELLED.value),
        finished_at=value("at", Instant()),
        last_error=sa.literal(""),
        leased_until=sa.null(),
    )
)
_FORGET = Statement(sa.delete(schema.outbox).where(_t.finished_at < value("before", Instant())))


class SqlOutbox:
    """`um.core.ports.Outbox`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add(self, entry: OutboxEntry) -> None:
        self._unit.do(_ADD, **_columns(entry))

    def get(self, entry_id: OutboxId) -> OutboxEntry | None:
        row = self._unit.row(_GET, id=entry_id)
        return None if row is None else _entry(row)

    def lease(
        self, now: datetime, until: datetime, *, limit: int, webhooks: bool | None = None
    ) -> list[OutboxEntry]:
        pick = (_PICK_LOCKED if self._unit.locks else _PICK)[webhooks]
        ids = [row[0] for row in self._unit.rows(pick, now=now, limit=limit)]
        if not ids:
            return []
        self._unit.do(_LEASE, ids=ids, until=until)
        found = [self.get(each) for each in ids]
        return [entry for entry in found if entry is not None]

    def settle(
        self, entry_id: OutboxId, state: OutboxState, at: datetime, *, error: str = ""
    ) -> bool:
        changed = self._unit.do(_SETTLE, key=entry_id, state=state.value, at=at, error=error)
        return changed > 0

    def retry_at(self, entry_id: OutboxId, at: datetime, *, error: str) -> bool:
        return self._unit.do(_RETRY, key=entry_id, at=at, error=error) > 0

    def of_account(self, account_id: AccountId, *, limit: int = 100) -> list[OutboxEntry]:
        return [_entry(row) for row in self._unit.rows(_OF_ACCOUNT, id=account_id, limit=limit)]

    def of_content(self, content_id: ContentId) -> list[OutboxEntry]:
        return [_entry(row) for row in self._unit.rows(_OF_CONTENT, id=content_id)]

    def waiting(self, *, limit: int = 1000) -> list[OutboxEntry]:
        return [_entry(row) for row in self._unit.rows(_NEXT, limit=limit)]

    def count_waiting(self) -> int:
        row = self._unit.row(_COUNT)
        return 0 if row is None else int(row[0])

    def ended_badly(self, *, limit: int = 1000) -> list[OutboxEntry]:
        return [_entry(row) for row in self._unit.rows(_ENDED_BADLY, limit=limit)]

    def next_due(self, *, webhooks: bool | None = None) -> datetime | None:
        row = self._unit.row(_NEXT_DUE[webhooks])
        found: datetime | None = row[0] if row else None
        return found

    def hurry(self, now: datetime, *, account_id: AccountId | None = None) -> int:
        if account_id is None:
            return self._unit.do(_HURRY_ALL, now=now)
        return self._unit.do(_HURRY_ACCOUNT, now=now, id=account_id)

    def release(self) -> int:
        return self._unit.do(_RELEASE)

    def cancel(self, account_id: AccountId, target: str, at: datetime) -> int:
        return self._unit.do(_CANCEL, id=account_id, to=target, at=at)

    def forget(self, before: datetime) -> int:
        return self._unit.do(_FORGET, before=before)


def _columns(entry: OutboxEntry) -> dict[str, Any]:
    columns: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
    return columns | {name: columns[name].value for name in _ENUMS}


def _entry(row: Values) -> OutboxEntry:
    columns = dict(zip(_FIELDS, row, strict=True))
    for name, enum in _ENUMS.items():
        columns[name] = enum(columns[name])
    return OutboxEntry(**columns)

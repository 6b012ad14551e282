"""`Reservations`, `Lockouts` and `Records` in the database."""

import uuid
from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa

from storage import schema
from storage.instants import Instant
from storage.statement import Among, Statement, insert, upsert, value
from storage.unit import Unit
from um.core.account import AuditRecord, CallRecord, PurgeRecord
from um.core.errors import NotFoundError
from um.core.ids import AccountId, ReservationId

_r = schema.reservations.c
_ACCOUNT = Statement(sa.select(schema.accounts.c.id).where(schema.accounts.c.id == value("id")))
_RESERVE = Statement(insert(schema.reservations))
_CHANGE = Statement(
    sa.update(schema.reservations)
    .where(_r.id == value("key"))
    .values(octets=value("octets"), expires_at=value("expires_at", Instant()))
)
_RELEASE = Statement(sa.delete(schema.reservations).where(_r.id == value("key")))
_EXPIRE = Statement(sa.delete(schema.reservations).where(_r.expires_at <= value("now", Instant())))

_f = schema.lockout_failures.c
_FAILURES = Statement(
    sa.select(sa.func.count())
    .select_from(schema.lockout_failures)
    .where(_f.subject == value("subject"), _f.at >= value("since", Instant()))
)
_FAIL = Statement(insert(schema.lockout_failures, "subject", "at"))
_CLEAR = Statement(sa.delete(schema.lockout_failures).where(_f.subject == value("subject")))
_FORGET = Statement(sa.delete(schema.lockout_failures).where(_f.at < value("before", Instant())))

_AUDIT_FIELDS = ("at", "actor", "action", "account_id", "detail")
_CALL_FIELDS = ("account_id", "at", "kind", "number", "caller", "duration_seconds", "detail")
_PURGE_FIELDS = tuple(column.name for column in schema.purges.columns)
_a = schema.audit.c
_c = schema.calls.c
_AUDIT = Statement(insert(schema.audit, *_AUDIT_FIELDS))
_AUDIT_OF = Statement(
    sa.select(*(_a[name] for name in _AUDIT_FIELDS))
    .where(_a.account_id == value("id"))
    .order_by(_a.at, _a.id)
)
_ADD_CALL = Statement(insert(schema.calls, *_CALL_FIELDS))
_CALLS = (
    sa.select(*(_c[name] for name in _CALL_FIELDS))
    .where(_c.account_id == value("id"), _c.at <= value("until", Instant()))
    .order_by(_c.at.desc(), _c.id.desc())
    .limit(value("limit", sa.Integer()))
    .offset(value("skip", sa.Integer()))
)
_CALLS_OF = Statement(_CALLS)
_CALLS_OF_KINDS = Statement(_CALLS.where(Among(_c.kind, "kinds")))
_END = datetime(9999, 12, 31, tzinfo=UTC)
_SAVE_PURGE = Statement(upsert(schema.purges))
_PURGES = Statement(sa.select(*schema.purges.columns).order_by(schema.purges.c.started_at))
_MARK = Statement(sa.select(schema.marks.c.value).where(schema.marks.c.key == value("key")))
_SET_MARK = Statement(upsert(schema.marks))


class SqlReservations:
    """`um.core.ports.Reservations`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add(self, account_id: AccountId, octets: int, *, expires_at: datetime) -> ReservationId:
        _need_account(self._unit, account_id)
        reservation_id = ReservationId(uuid.uuid4().hex)
        self._unit.do(
            _RESERVE,
            id=reservation_id,
            account_id=account_id,
            octets=octets,
            expires_at=expires_at,
        )
        return reservation_id

    def change(self, reservation_id: ReservationId, octets: int, *, expires_at: datetime) -> None:
        if not self._unit.do(_CHANGE, key=reservation_id, octets=octets, expires_at=expires_at):
            raise NotFoundError("The reservation is gone")

    def release(self, reservation_id: ReservationId) -> None:
        self._unit.do(_RELEASE, key=reservation_id)

    def expire(self, now: datetime) -> int:
        return self._unit.do(_EXPIRE, now=now)


class SqlLockouts:
    """`um.core.ports.Lockouts`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def failures(self, subject: str, *, since: datetime) -> int:
        row = self._unit.row(_FAILURES, subject=subject, since=since)
        return 0 if row is None else int(row[0])

    def record_failure(self, subject: str, at: datetime) -> None:
        self._unit.do(_FAIL, subject=subject, at=at)

    def clear(self, subject: str) -> None:
        self._unit.do(_CLEAR, subject=subject)

    def forget(self, before: datetime) -> int:
        return self._unit.do(_FORGET, before=before)


class SqlRecords:
    """`um.core.ports.Records`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def audit(self, record: AuditRecord) -> None:
        self._unit.do(_AUDIT, **{name: getattr(record, name) for name in _AUDIT_FIELDS})

    def audit_of(self, account_id: AccountId) -> list[AuditRecord]:
        return [AuditRecord(*row) for row in self._unit.rows(_AUDIT_OF, id=account_id)]

    def add_call(self, record: CallRecord) -> None:
        _need_account(self._unit, record.account_id)
        self._unit.do(_ADD_CALL, **{name: getattr(record, name) for name in _CALL_FIELDS})

    def calls_of(
        self,
        account_id: AccountId,
        *,
        limit: int = 100,
        kinds: Collection[str] = (),
        until: datetime | None = None,
        skip: int = 0,
    ) -> list[CallRecord]:
        wanted = {"id": account_id, "limit": limit, "until": until or _END, "skip": skip}
        if kinds:
            rows = self._unit.rows(_CALLS_OF_KINDS, **wanted, kinds=list(kinds))
        else:
            rows = self._unit.rows(_CALLS_OF, **wanted)
        return [CallRecord(*row) for row in rows]

    def save_purge(self, record: PurgeRecord) -> None:
        self._unit.do(_SAVE_PURGE, **{name: getattr(record, name) for name in _PURGE_FIELDS})

    def purges(self) -> list[PurgeRecord]:
        return [PurgeRecord(*row) for row in self._unit.rows(_PURGES)]

    def mark(self, key: str) -> str | None:
        row = self._unit.row(_MARK, key=key)
        return None if row is None else str(row[0])

    def set_mark(self, key: str, value: str) -> None:
        self._unit.do(_SET_MARK, key=key, value=value)


def _need_account(unit: Unit, account_id: AccountId) -> None:
    if unit.row(_ACCOUNT, id=account_id) is None:
        raise NotFoundError("There is no such account")

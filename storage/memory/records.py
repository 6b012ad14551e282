"""`Reservations`, `Lockouts` and `Records` in memory."""

import uuid
from collections.abc import Collection
from datetime import datetime

from storage.memory.tables import Unit
from um.core.account import AuditRecord, CallRecord, PurgeRecord
from um.core.errors import NotFoundError
from um.core.ids import AccountId, ReservationId


class MemoryReservations:
    """`um.core.ports.Reservations`."""

    def __init__(self, unit: Unit) -> None:
        self._tables = unit.tables

    def add(self, account_id: AccountId, octets: int, *, expires_at: datetime) -> ReservationId:
        if account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        reservation_id = ReservationId(uuid.uuid4().hex)
        self._tables.reservations[reservation_id] = (account_id, octets, expires_at)
        return reservation_id

    def change(self, reservation_id: ReservationId, octets: int, *, expires_at: datetime) -> None:
        if reservation_id not in self._tables.reservations:
            raise NotFoundError("The reservation is gone")
        account_id, *_ = self._tables.reservations[reservation_id]
        self._tables.reservations[reservation_id] = (account_id, octets, expires_at)

    def release(self, reservation_id: ReservationId) -> None:
        self._tables.reservations.pop(reservation_id, None)

    def expire(self, now: datetime) -> int:
        table = self._tables.reservations
        old = [key for key, (*_, expires_at) in table.items() if expires_at <= now]
        for key in old:
            del table[key]
        return len(old)


class MemoryLockouts:
    """`um.core.ports.Lockouts`."""

    def __init__(self, unit: Unit) -> None:
        self._tables = unit.tables

    def failures(self, subject: str, *, since: datetime) -> int:
        return sum(name == subject and at >= since for name, at in self._tables.failures)

    def record_failure(self, subject: str, at: datetime) -> None:
        self._tables.failures.append((subject, at))

    def clear(self, subject: str) -> None:
        self._tables.failures = [each for each in self._tables.failures if each[0] != subject]

    def forget(self, before: datetime) -> int:
        kept = [each for each in self._tables.failures if each[1] >= before]
        dropped = len(self._tables.failures) - len(kept)
        self._tables.failures = kept
        return dropped


class MemoryRecords:
    """`um.core.ports.Records`."""

    def __init__(self, unit: Unit) -> None:
        self._tables = unit.tables

    def audit(self, record: AuditRecord) -> None:
        self._tables.audit.append(record)

    def audit_of(self, account_id: AccountId) -> list[AuditRecord]:
        mine = [each for each in self._tables.audit if each.account_id == account_id]
        return sorted(mine, key=lambda each: each.at)

    def add_call(self, record: CallRecord) -> None:
        if record.account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        self._tables.calls.append(record)

    def calls_of(
        self,
        account_id: AccountId,
        *,
        limit: int = 100,
        kinds: Collection[str] = (),
        until: datetime | None = None,
        skip: int = 0,
    ) -> list[CallRecord]:
        mine = [
            each
            for each in reversed(self._tables.calls)
            if each.account_id == account_id
            and (not kinds or each.kind in kinds)
            and (until is None or each.at <= until)
        ]
        return sorted(mine, key=lambda each: each.at, reverse=True)[skip : skip + limit]

    def save_purge(self, record: PurgeRecord) -> None:
        self._tables.purges[record.account_id] = record

    def purges(self) -> list[PurgeRecord]:
        return sorted(self._tables.purges.values(), key=lambda each: each.started_at)

    def mark(self, key: str) -> str | None:
        return self._tables.marks.get(key)

    def set_mark(self, key: str, value: str) -> None:
        self._tables.marks[key] = value

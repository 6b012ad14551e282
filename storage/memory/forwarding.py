"""`ForwardAddresses` and `Outbox` in memory."""

from dataclasses import replace
from datetime import datetime

from storage.memory.tables import Unit
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.forwarding import FAILED, ForwardAddress, OutboxEntry, OutboxState, Purpose
from um.core.ids import AccountId, AddressId, ContentId, OutboxId


class MemoryForwardAddresses:
    """`um.core.ports.ForwardAddresses`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tables = unit.tables

    def add(self, address: ForwardAddress) -> None:
        if address.account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        if self.find(address.account_id, address.address) is not None:
            raise AlreadyExistsError(f"{address.address} is there already")
        self._tables.addresses[address.id] = address
        self._unit.note_account(address.account_id)

    def get(self, address_id: AddressId) -> ForwardAddress | None:
        return self._tables.addresses.get(address_id)

    def find(self, account_id: AccountId, address: str) -> ForwardAddress | None:
        for each in self.of_account(account_id):
            if each.address.casefold() == address.casefold():
                return each
        return None

    def by_token(self, token_hash: str) -> ForwardAddress | None:
        for each in self._tables.addresses.values():
            if each.token_hash == token_hash:
                return each
        return None

    def of_account(self, account_id: AccountId) -> list[ForwardAddress]:
        mine = [each for each in self._tables.addresses.values() if each.account_id == account_id]
        return sorted(mine, key=lambda each: (each.created_at, each.id))

    def save(self, address: ForwardAddress) -> None:
        if address.id in self._tables.addresses:
            self._tables.addresses[address.id] = address
            self._unit.note_account(address.account_id)

    def remove(self, address_id: AddressId) -> None:
        gone = self._tables.addresses.pop(address_id, None)
        if gone is not None:
            self._unit.note_account(gone.account_id)


class MemoryOutbox:
    """`um.core.ports.Outbox`."""

    def __init__(self, unit: Unit) -> None:
        self._tables = unit.tables

    def add(self, entry: OutboxEntry) -> None:
        content_id = entry.content_id
        if entry.account_id not in self._tables.accounts or (
            content_id is not None and content_id not in self._tables.contents
        ):
            raise NotFoundError("There is no such account or message")
        self._tables.outbox[entry.id] = entry

    def get(self, entry_id: OutboxId) -> OutboxEntry | None:
        return self._tables.outbox.get(entry_id)

    def lease(
        self, now: datetime, until: datetime, *, limit: int, webhooks: bool | None = None
    ) -> list[OutboxEntry]:
        due = [
            each
            for each in self._lane(webhooks)
            if each.next_try <= now and (each.leased_until is None or each.leased_until <= now)
        ]
        leased = [replace(each, leased_until=until) for each in due[:limit]]
        self._tables.outbox.update({each.id: each for each in leased})
        return leased

    def settle(
        self, entry_id: OutboxId, state: OutboxState, at: datetime, *, error: str = ""
    ) -> bool:
        return self._change(
            entry_id, state=state, finished_at=at, last_error=error, leased_until=None
        )

    def retry_at(self, entry_id: OutboxId, at: datetime, *, error: str) -> bool:
        entry = self.get(entry_id)
        attempts = entry.attempts + 1 if entry else 0
        return self._change(
            entry_id, attempts=attempts, next_try=at, last_error=error, leased_until=None
        )

    def of_account(self, account_id: AccountId, *, limit: int = 100) -> list[OutboxEntry]:
        mine = [each for each in self._tables.outbox.values() if each.account_id == account_id]
        return sorted(mine, key=_age, reverse=True)[:limit]

    def of_content(self, content_id: ContentId) -> list[OutboxEntry]:
        about = [each for each in self._tables.outbox.values() if each.content_id == content_id]
        return sorted(about, key=_age)

    def waiting(self, *, limit: int = 1000) -> list[OutboxEntry]:
        found = [each for each in self._tables.outbox.values() if each.state is OutboxState.WAITING]
        return sorted(found, key=lambda each: (each.next_try, each.id))[:limit]

    def count_waiting(self) -> int:
        return len(self.waiting(limit=len(self._tables.outbox)))

    def ended_badly(self, *, limit: int = 1000) -> list[OutboxEntry]:
        found = [each for each in self._tables.outbox.values() if each.state in FAILED]
        return sorted(found, key=lambda each: (each.finished_at, each.id), reverse=True)[:limit]

    def next_due(self, *, webhooks: bool | None = None) -> datetime | None:
        waiting = self._lane(webhooks)
        due = (max(each.next_try, each.leased_until or each.next_try) for each in waiting)
        return min(due, default=None)

    def _lane(self, webhooks: bool | None) -> list[OutboxEntry]:
        """What waits of webhooks, of all others, or of either."""
        return [
            each
            for each in self.waiting(limit=len(self._tables.outbox))
            if webhooks is None or webhooks is (each.purpose is Purpose.WEBHOOK)
        ]

    def hurry(self, now: datetime, *, account_id: AccountId | None = None) -> int:
        found = [
            each
            for each in self.waiting(limit=len(self._tables.outbox))
            if account_id in (None, each.account_id)
            and each.next_try > now
            and (each.leased_until is None or each.leased_until <= now)
        ]
        self._tables.outbox.update({each.id: replace(each, next_try=now) for each in found})
        return len(found)

    def release(self) -> int:
        leased = [each for each in self._tables.outbox.values() if each.leased_until is not None]
        for each in leased:
            self._change(each.id, leased_until=None)
        return len(leased)

    def cancel(self, account_id: AccountId, target: str, at: datetime) -> int:
        found = [
            each
            for each in self._tables.outbox.values()
            if each.account_id == account_id
            and each.target == target
            and each.state is OutboxState.WAITING
        ]
        for each in found:
            self.settle(each.id, OutboxState.CANCELLED, at)
        return len(found)

    def forget(self, before: datetime) -> int:
        old = [
            each.id
            for each in self._tables.outbox.values()
            if each.finished_at is not None and each.finished_at < before
        ]
        for entry_id in old:
            del self._tables.outbox[entry_id]
        return len(old)

    def _change(self, entry_id: OutboxId, **fields: object) -> bool:
        entry = self.get(entry_id)
        if entry is None:
            return False
        self._tables.outbox[entry_id] = replace(entry, **fields)  # type: ignore[arg-type]
        return True


def _age(entry: OutboxEntry) -> tuple[datetime, str]:
    return entry.created_at, entry.id

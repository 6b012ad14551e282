"""The queue of what leaves, as people look at it: list, hurry, send now, sweep."""

from collections.abc import Callable, Collection
from datetime import datetime

from um.core.account import Account
from um.core.errors import NotFoundError
from um.core.events import OutboxFilled
from um.core.forwarding import (
    AfterCopy,
    CopyMode,
    ForwardAddress,
    OutboxEntry,
    OutboxState,
    Purpose,
)
from um.core.ids import AccountId, OutboxId
from um.core.message import SEEN, Entry, MessageKind
from um.core.ports import Clock, EventBus, Store, Transaction
from um.policy.forwarding import KEPT_AFTER_END, may_copy, targets
from um.policy.lifecycle import Door, refusal
from um.service.forward.plan import own_addresses, read_trace
from um.service.homes import inboxes_txn
from um.service.unique import UniqueIds


class OutboxQueue:
    """Looks at the outbox and adds to it by hand."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        clock: Clock,
        *,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._new_id = new_id or UniqueIds()

    async def waiting(self, *, limit: int = 1000) -> list[tuple[OutboxEntry, str]]:
        """What waits, of all accounts, the next to be tried first; each with its account's name."""
        return await self._store.read(
            "list-outbox", lambda tx: _named_txn(tx, tx.outbox.waiting(limit=limit))
        )

    async def failed(self, *, limit: int = 1000) -> list[tuple[OutboxEntry, str]]:
        """What did not arrive, of all accounts, the last first; each with its account's name.

        Rows are known for KEPT_AFTER_END after their end.
        """
        return await self._store.read(
            "list-failed", lambda tx: _named_txn(tx, tx.outbox.ended_badly(limit=limit))
        )

    async def of_account(self, account_id: AccountId, *, limit: int = 100) -> list[OutboxEntry]:
        """An account's rows, the newest first, those that ended among them."""
        return await self._store.read(
            "account-outbox", lambda tx: tx.outbox.of_account(account_id, limit=limit)
        )

    async def hurry(self, account_id: AccountId | None = None) -> int:
        """Let what waits (of one account) be tried at once; returns how many rows that are."""
        now = self._clock.now()
        return await self._store.run(
            "hurry-outbox", lambda tx: tx.outbox.hurry(now, account_id=account_id)
        )

    async def send_unseen(
        self,
        account_id: AccountId,
        kinds: Collection[MessageKind] = (MessageKind.FAX, MessageKind.INVOICE),
    ) -> int:
        """Send the inbox's unseen messages of these kinds to all confirmed addresses, attached.

        They count as seen when the relay has taken them. Returns how many messages are on their
        way, those that were already among them. Raises NotFoundError if no address is confirmed,
        ReadOnlyError, AccountClosedError.
        """
        now = self._clock.now()

        def send_unseen_txn(tx: Transaction) -> int:
            account = tx.accounts.lock(account_id)
            if account is None:
                raise NotFoundError("There is no such account")
            if error := refusal(account, Door.PHONE):
                raise error
            addresses = targets(tx.addresses.of_account(account_id))
            if not addresses:
                raise NotFoundError("No address is confirmed")
            entries = [each for each in _unseen_txn(tx, account) if each.kind in kinds]
            for entry in entries:
                self._send_txn(tx, entry, addresses, now)
            return len(entries)

        sent = await self._store.run("send-unseen", send_unseen_txn)
        if sent:
            self._bus.publish([OutboxFilled(account_id)])
        return sent

    async def forget(self, now: datetime) -> int:
        """Drop rows that ended long ago (housekeeping); returns how many."""
        return await self._store.run(
            "forget-outbox", lambda tx: tx.outbox.forget(now - KEPT_AFTER_END)
        )

    def _send_txn(
        self, tx: Transaction, entry: Entry, addresses: list[ForwardAddress], now: datetime
    ) -> None:
        waiting = {
            row.target
            for row in tx.outbox.of_content(entry.content_id)
            if row.state is OutboxState.WAITING
        }
        for address in addresses:
            if address.address not in waiting:
                tx.outbox.add(
                    OutboxEntry(
                        id=OutboxId(self._new_id()),
                        account_id=entry.account_id,
                        purpose=Purpose.COPY,
                        target=address.address,
                        created_at=now,
                        next_try=now,
                        content_id=entry.content_id,
                        mailbox_id=entry.mailbox_id,
                        uid=entry.uid,
                        mode=CopyMode.ATTACH,
                        after=AfterCopy.SEEN,
                    )
                )


def _named_txn(tx: Transaction, rows: list[OutboxEntry]) -> list[tuple[OutboxEntry, str]]:
    found = []
    for row in rows:
        account = tx.accounts.get(row.account_id)
        found.append((row, account.name if account else ""))
    return found


def _unseen_txn(tx: Transaction, account: Account) -> list[Entry]:
    """The unseen messages that came and may be sent on."""
    inboxes = inboxes_txn(tx, account.id)
    entries = [entry for inbox in inboxes for entry in tx.messages.entries(inbox.id)]
    unseen = [each for each in entries if SEEN not in each.flags]
    contents = tx.messages.contents([each.content_id for each in unseen])
    own = own_addresses(tx, account)
    return [
        each
        for each in unseen
        if each.content_id in contents
        and may_copy(read_trace(contents[each.content_id].header), own)
    ]

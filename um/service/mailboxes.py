"""What an owner does with the mailboxes of an account: shared by IMAP, portal and phone menu.

Laws:
- Every call names the account, and a mailbox of another account is as if it were not there.
- Every change asks the account's state in its own transaction: `suspended` may look, not touch.
- COPY and APPEND stand under the quota; MOVE does not, so that a full mailbox can be emptied.
- Nothing is told to sessions here: the store publishes each commit, and they re-read by MODSEQ.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from um.core.errors import InvalidError, QuotaExceededError
from um.core.ids import AccountId, MailboxId, ModSeq, Uid
from um.core.message import (
    DELETED,
    TRASH,
    Copied,
    Entry,
    FlagOperation,
    Mailbox,
)
from um.core.ports import BlobStore, Clock, Store, Transaction
from um.policy.quota import copy_fits, fits
from um.service.annotations import AnnotationService
from um.service.appending import Appending, check_size
from um.service.delivery import Delivered, Delivery
from um.service.homes import send_home_txn
from um.service.keywords import check_keywords
from um.service.mailbox_folders import (
    TRASH_USE,
    GoneError,
    NoTargetError,
    check_deletable_txn,
    create_txn,
    delete_txn,
    owned_txn,
    rename_txn,
    subscribe_txn,
    target_txn,
)
from um.service.mailbox_index import ENTRIES_KEPT
from um.service.mailbox_view import CACHE_OCTETS, Changes, Folder, MailboxView, Snapshot
from um.service.unique import UniqueIds
from um.service.writable import check_writable, hold_writable_txn

__all__ = [
    "Changes",
    "Folder",
    "GoneError",
    "MailboxService",
    "NoTargetError",
    "Snapshot",
    "Transfer",
]

T = TypeVar("T")

APPEND_OCTETS = 25 * 1024 * 1024
FEW = 20
"""Up to so many messages are looked up one by one."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What COPY or MOVE did (COPYUID, RFC 4315 §3)."""

    target: Mailbox
    messages: list[Copied]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a STORE did."""

    entries: list[Entry]
    """Those that are there, as they are now, without those left alone."""
    failed: list[Uid]
    """Left alone: they changed after UNCHANGEDSINCE."""
    since: ModSeq
    """The mailbox's HIGHESTMODSEQ before, in the same transaction."""
    modseq: ModSeq
    """And after: `entries` has everything that changed in between."""


class MailboxService(MailboxView):
    """Use cases over one account's mailboxes: the view, and every change. One serves a process."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        delivery: Delivery,
        clock: Clock,
        *,
        append_octets: int = APPEND_OCTETS,
        cache_octets: int = CACHE_OCTETS,
        index_entries: int = ENTRIES_KEPT,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(
            store, blobs, clock, cache_octets=cache_octets, index_entries=index_entries
        )
        self.append_octets = append_octets
        """The largest message that APPEND takes."""
        self.annotations = AnnotationService(store)
        """The notes on its folders."""
        self._delivery = delivery
        self._new_id = new_id or UniqueIds()

    # -- folders --------------------------------------------------------------------------------

    async def create(
        self, account_id: AccountId, name: str, *, uses: Collection[str] = ()
    ) -> Mailbox:
        """Make a folder, of a special use if one is asked for, and those above it.

        Raises AlreadyExistsError, InvalidError, NoSuchUseError.
        """
        return await self._change(
            "create-mailbox", account_id, lambda tx: create_txn(tx, account_id, name, uses)
        )

    async def delete(self, account_id: AccountId, name: str) -> None:
        """Remove a folder and its messages for good.

        Raises NotFoundError, InvalidError and, of a folder that is not empty, LegalHoldError.
        """
        await self._change(
            "delete-mailbox", account_id, lambda tx: delete_txn(tx, account_id, name)
        )

    async def rename(self, account_id: AccountId, name: str, target: str) -> None:
        """Rename a folder and all below it. Raises Not Found, AlreadyExists, InvalidError."""
        now = self._clock.now()
        await self._change(
            "rename-mailbox", account_id, lambda tx: rename_txn(tx, account_id, name, target, now)
        )

    async def subscribe(self, account_id: AccountId, name: str, *, on: bool) -> None:
        """Add or remove a subscription. Raises InvalidError if there are too many."""
        await self._change(
            "subscribe", account_id, lambda tx: subscribe_txn(tx, account_id, name, on=on)
        )

    # -- messages -------------------------------------------------------------------------------

    async def change_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        *,
        uids: Collection[Uid],
        operation: FlagOperation,
        flags: Collection[str],
    ) -> list[Entry]:
        """Set, add or remove flags; returns the entries that are there, as they are now."""
        stored = await self.store_flags(
            account_id, mailbox_id, uids=uids, operation=operation, flags=flags
        )
        return stored.entries

    async def store_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        *,
        uids: Collection[Uid],
        operation: FlagOperation,
        flags: Collection[str],
        unchanged_since: ModSeq | None = None,
    ) -> Stored:
        """As `change_flags`; what changed after `unchanged_since` is left alone (RFC 7162 §3.1.3)."""

        def change_flags_txn(tx: Transaction) -> Stored:
            mailbox = owned_txn(tx, account_id, mailbox_id)
            index = self._indexes.find(mailbox_id)
            exact = index is not None and index.modseq == mailbox.highest_modseq
            entries, failed = tx.messages.change_flags(
                mailbox_id,
                uids,
                operation,
                flags,
                unchanged_since=unchanged_since,
                known=index.entries if index is not None and exact else None,
            )
            if operation is not FlagOperation.REMOVE:
                check_keywords(entries)
            before = mailbox.highest_modseq
            after = max((entry.modseq for entry in entries), default=before)
            return Stored(entries, failed, before, max(before, after))

        stored = await self._change("change-flags", account_id, change_flags_txn)
        self._indexes.advance(
            mailbox_id,
            since=stored.since,
            modseq=stored.modseq,
            entries=[entry for entry in stored.entries if entry.modseq > stored.since],
            vanished=(),
        )
        return stored

    async def expunge(
        self, account_id: AccountId, mailbox_id: MailboxId, *, uids: Collection[Uid] | None = None
    ) -> list[Uid]:
        r"""Remove what is \Deleted for good, of `uids` only if given; returns what went.

        Raises LegalHoldError.
        """

        def expunge_txn(tx: Transaction) -> list[Uid]:
            owned_txn(tx, account_id, mailbox_id)
            wanted = None if uids is None else set(uids)
            deleted = [
                entry.uid
                for entry in tx.messages.entries(mailbox_id)
                if DELETED in entry.flags and (wanted is None or entry.uid in wanted)
            ]
            if deleted:
                check_deletable_txn(tx, account_id)
            return tx.messages.expunge(mailbox_id, deleted)

        return await self._change("expunge", account_id, expunge_txn)

    async def copy(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        *,
        uids: Collection[Uid],
        target: str,
        all_or_nothing: bool = False,
    ) -> Transfer:
        """Copy messages. Raises NotFoundError (of the target too) and QuotaExceededError.

        With `all_or_nothing` a message that is gone is a NotFoundError too (RFC 2180 §4.4).
        """
        now = self._clock.now()

        def copy_txn(tx: Transaction) -> Transfer:
            owned_txn(tx, account_id, mailbox_id)
            mailbox = target_txn(tx, account_id, target)
            source = _present_txn(tx, mailbox_id, uids)
            if all_or_nothing and len(source) < len(uids):
                raise GoneError
            size = sum(entry.size_octets for entry in source)
            usage = tx.accounts.usage(account_id, now)
            if not copy_fits(size, usage, into_trash=mailbox.special_use == TRASH_USE):
                raise QuotaExceededError
            return Transfer(mailbox, tx.messages.copy(mailbox_id, uids, mailbox.id, now))

        return await self._change("copy", account_id, copy_txn)

    async def move(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        *,
        uids: Collection[Uid],
        target: str,
        trashed_at: datetime | None = None,
    ) -> Transfer:
        """Move messages, whatever the quota says. Raises NotFoundError."""
        now = self._clock.now()

        def move_txn(tx: Transaction) -> Transfer:
            owned_txn(tx, account_id, mailbox_id)
            mailbox = target_txn(tx, account_id, target)
            moved = tx.messages.move(mailbox_id, uids, mailbox.id, now)
            if trashed_at is not None:
                tx.messages.set_trashed(mailbox.id, [each.target_uid for each in moved], trashed_at)
            return Transfer(mailbox, moved)

        return await self._change("move", account_id, move_txn)

    async def discard(
        self, account_id: AccountId, mailbox_id: MailboxId, *, uids: Collection[Uid]
    ) -> Transfer:
        """What phone and portal call delete: into Trash, from where it goes after some days."""
        return await self.move(
            account_id, mailbox_id, uids=uids, target=TRASH, trashed_at=self._clock.now()
        )

    async def restore(
        self, account_id: AccountId, mailbox_id: MailboxId, *, uids: Collection[Uid]
    ) -> Transfer:
        """Out of Trash again, each into the folder of its kind; `target` is that of the last one."""
        now = self._clock.now()

        def restore_txn(tx: Transaction) -> Transfer:
            owned_txn(tx, account_id, mailbox_id)
            return Transfer(*send_home_txn(tx, account_id, mailbox_id, uids, now))

        return await self._change("restore", account_id, restore_txn)

    async def erase(
        self, account_id: AccountId, mailbox_id: MailboxId, *, uids: Collection[Uid]
    ) -> list[Uid]:
        """Remove for good what lies in Trash; returns what went.

        Raises InvalidError elsewhere, LegalHoldError.
        """

        def erase_txn(tx: Transaction) -> list[Uid]:
            if owned_txn(tx, account_id, mailbox_id).special_use != TRASH_USE:
                raise InvalidError("Only what lies in Trash is removed for good")
            check_deletable_txn(tx, account_id)
            return tx.messages.expunge(mailbox_id, uids)

        return await self._change("erase", account_id, erase_txn)

    # -- APPEND ---------------------------------------------------------------------------------

    async def may_append(
        self, account_id: AccountId, name: str, size_octets: int, *, before_octets: int = 0
    ) -> None:
        """Return if a message of that size could be appended now, else raise why not.

        `before_octets` are those of the same command before it, which are not stored yet. Asked
        before the client is told to send it (RFC 7889, RFC 9208): the commit decides.
        """
        check_size(size_octets, self.append_octets)
        now = self._clock.now()

        def may_append_txn(tx: Transaction) -> None:
            check_writable(tx.accounts.get(account_id))
            target_txn(tx, account_id, name)
            if not fits(before_octets + size_octets, tx.accounts.usage(account_id, now)):
                raise QuotaExceededError

        await self._glance("may-append", may_append_txn)

    def appending(self, account_id: AccountId, name: str) -> Appending:
        """Begin to append messages of the owner to a folder."""
        return Appending(
            self._delivery,
            account_id,
            name,
            limit_octets=self.append_octets,
            new_id=self._new_id,
            clock=self._clock,
        )

    async def replace(
        self, account_id: AccountId, mailbox_id: MailboxId, uid: Uid, messages: Appending
    ) -> list[Delivered]:
        """Store what was added in place of a message, which goes for good, in one transaction.

        Raises GoneError, LegalHoldError, and as `Appending.commit`; then nothing has changed.
        """

        def remove_txn(tx: Transaction) -> None:
            hold_writable_txn(tx, account_id)
            owned_txn(tx, account_id, mailbox_id)
            check_deletable_txn(tx, account_id)
            if not tx.messages.expunge(mailbox_id, [uid]):
                raise GoneError

        return await messages.commit(before=remove_txn)

    async def append(
        self,
        account_id: AccountId,
        name: str,
        *,
        data: bytes,
        flags: Collection[str] = (),
        internal_date: datetime | None = None,
    ) -> Delivered:
        """Store a message of the owner durably. Raises as `may_append`."""
        appending = self.appending(account_id, name)
        await appending.add(data, flags=flags, internal_date=internal_date)
        [delivered] = await appending.commit()
        return delivered

    async def _change(
        self, name: str, account_id: AccountId, work: Callable[[Transaction], T]
    ) -> T:
        """Do `work` in one transaction if the account's state lets its owner write."""

        def change_txn(tx: Transaction) -> T:
            hold_writable_txn(tx, account_id)
            return work(tx)

        return await self._store.run(name, change_txn)


def _present_txn(tx: Transaction, mailbox_id: MailboxId, uids: Collection[Uid]) -> list[Entry]:
    if len(uids) <= FEW:
        found = [tx.messages.entry(mailbox_id, uid) for uid in uids]
        return [entry for entry in found if entry is not None]
    wanted = set(uids)
    return [entry for entry in tx.messages.entries(mailbox_id) if entry.uid in wanted]

r"""What is seen of an account's mailboxes: folders, entries, changes, and the messages themselves.

Laws:
- Every look names the account, and a mailbox of another account is as if it were not there.
- A snapshot and a set of changes are each of one instant: one transaction reads all of it.
- Looking changes nothing but \Recent, and that only when the session asks for it; a store that
  can only read (disk full) leaves \Recent to a later session and shows everything else.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from um.core.account import Account, Usage
from um.core.at_once import BlobsAtOnce, Glancing, glance_of
from um.core.errors import NotFoundError, UnavailableError
from um.core.ids import AccountId, ContentId, MailboxId, ModSeq, Uid
from um.core.message import Content, Entry, Mailbox, MailboxStatus, MessageKind, Vanished
from um.core.ports import BlobStore, Clock, Store, Transaction
from um.mime.index import PartIndex
from um.mime.sparse import MissingOctetsError, Octets, Sparse
from um.mime.text import Searchable, first_words, searchable_text
from um.service.content_cache import ContentCache
from um.service.homes import home_txn, inboxes_txn
from um.service.mailbox_folders import known_txn, owned_txn
from um.service.mailbox_index import ENTRIES_KEPT, MailboxIndex, MailboxIndexes
from um.service.mailbox_rows import MailboxRows

log = structlog.get_logger(__name__)
T = TypeVar("T")

CACHE_OCTETS = 32 * 1024 * 1024
TEXT_FIRST_OCTETS = 16 * 1024
TEXT_MORE_OCTETS = 4 * 1024
TEXT_READS = 8
"""The beginning of a message, up to the header of its last part, holds all that is looked for in
most: attachments are not read. After so many pieces the whole message is."""
TEXT_INLINE_OCTETS = 64 * 1024
"""The text of larger messages is taken out in a thread: the loop has others to serve."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the account, as LIST shows it."""

    mailbox: Mailbox
    subscribed: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All of one mailbox at one instant, which is `mailbox.highest_modseq`."""

    mailbox: Mailbox
    index: MailboxIndex
    recent_after: Uid
    """Messages with a greater UID are \\Recent to the session that took this snapshot."""

    @property
    def entries(self) -> list[Entry]:
        """By UID."""
        return list(self.index.entries.values())


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in a mailbox after a MODSEQ, up to `mailbox.highest_modseq`."""

    mailbox: Mailbox
    entries: list[Entry]
    vanished: list[Vanished]
    recent_after: Uid


class MailboxView:
    """The questions that a session asks of one account's mailboxes."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        clock: Clock,
        *,
        cache_octets: int = CACHE_OCTETS,
        index_entries: int = ENTRIES_KEPT,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._blobs_at_once = blobs if isinstance(blobs, BlobsAtOnce) else None
        self._clock = clock
        self._cache = ContentCache(cache_octets)
        self._indexes = MailboxIndexes(index_entries)
        self._glances = isinstance(store, Glancing) and store.glances
        self._stamp = store.stamp if isinstance(store, Glancing) else _no_stamp
        self._rows = MailboxRows()
        self._glance = glance_of(store)
        self._claims_fail = False
        """So that an outage is logged once, however many sessions look meanwhile."""

    # -- the account ----------------------------------------------------------------------------

    async def account(self, account_id: AccountId) -> Account | None:
        """The account as it is now."""
        return await self._glance("account", lambda tx: tx.accounts.get(account_id))

    async def usage(self, account_id: AccountId) -> Usage:
        """Octets used, reserved and allowed."""
        now = self._clock.now()
        return await self._glance("usage", lambda tx: tx.accounts.usage(account_id, now))

    async def message_count(self, account_id: AccountId) -> int:
        """Messages in all folders together."""
        counts = await self._store.read("counts", lambda tx: tx.accounts.counts(account_id))
        return sum(counts.values())

    # -- folders --------------------------------------------------------------------------------

    async def folders(self, account_id: AccountId) -> list[Folder]:
        """All folders, by name."""

        def folders_txn(tx: Transaction) -> list[Folder]:
            subscribed = tx.mailboxes.subscriptions(account_id)
            return [
                Folder(mailbox, mailbox.name in subscribed)
                for mailbox in tx.mailboxes.of_account(account_id)
            ]

        return await self._store.read("folders", folders_txn)

    async def subscriptions(self, account_id: AccountId) -> set[str]:
        """Subscribed names, whether or not the folders exist (RFC 3501 §6.3.6)."""
        return await self._store.read(
            "subscriptions", lambda tx: tx.mailboxes.subscriptions(account_id)
        )

    async def find(self, account_id: AccountId, name: str) -> Mailbox:
        """The folder of that name. Raises NotFoundError."""
        return await self._glance("find-mailbox", lambda tx: known_txn(tx, account_id, name))

    async def inboxes(self, account_id: AccountId) -> list[Mailbox]:
        """INBOX and the folders that kinds of messages have or had of their own."""
        return await self._store.read("inboxes", lambda tx: inboxes_txn(tx, account_id))

    async def home(self, account_id: AccountId, kind: MessageKind) -> Mailbox:
        """The folder that new messages of that kind go into. Raises NotFoundError."""

        def home_or_none_txn(tx: Transaction) -> Mailbox | None:
            return home_txn(tx, account_id, kind)

        home = await self._store.read("home", home_or_none_txn)
        if home is None:
            raise NotFoundError
        return home

    async def status(self, account_id: AccountId, name: str) -> MailboxStatus:
        """Its counts. Raises NotFoundError."""
        return await self._store.read(
            "status", lambda tx: tx.mailboxes.status(known_txn(tx, account_id, name).id)
        )

    async def statuses(
        self, account_id: AccountId, names: Collection[str]
    ) -> dict[str, MailboxStatus]:
        """The counts of those of `names` that there are, all of one instant."""

        def statuses_txn(tx: Transaction) -> dict[str, MailboxStatus]:
            wanted = set(names)
            return {
                mailbox.name: tx.mailboxes.status(mailbox.id)
                for mailbox in tx.mailboxes.of_account(account_id)
                if mailbox.name in wanted
            }

        return await self._store.read("statuses", statuses_txn)

    # -- looking --------------------------------------------------------------------------------

    async def open(
        self, account_id: AccountId, name: str, *, claim_recent: bool = False
    ) -> Snapshot:
        r"""All entries of the folder; `claim_recent` takes \Recent away from later sessions.

        Raises NotFoundError.
        """

        def open_txn(tx: Transaction, *, claim: bool = False) -> Snapshot:
            mailbox = known_txn(tx, account_id, name)
            floor = mailbox.recent_floor
            if claim:
                floor = tx.mailboxes.claim_recent(mailbox.id)
                # It waits for who writes there just now: what he wrote is in the row from here.
                mailbox = owned_txn(tx, account_id, mailbox.id)
            return Snapshot(mailbox, self._index_txn(tx, mailbox), floor)

        snapshot = await self._at_hand(account_id, name) if self._glances else None
        if snapshot is None:
            snapshot = await self._store.read("open-mailbox", open_txn)
        if claim_recent and _has_unclaimed(snapshot.mailbox):
            claim = partial(open_txn, claim=True)
            snapshot = await self._claimed("open-mailbox", claim, unclaimed=snapshot)
        self._indexes.keep(snapshot.index)
        return snapshot

    async def _at_hand(self, account_id: AccountId, name: str) -> Snapshot | None:
        """The folder, if the index that is kept of it is just what its row asks for."""
        known = self._rows.at(self._stamp())
        mailbox = known.by_name.get((account_id, name))
        if mailbox is None:
            mailbox = await self._glance("open-mailbox", lambda tx: known_txn(tx, account_id, name))
            known.by_name[account_id, name] = mailbox
        index = self._indexes.find(mailbox.id)
        if index is None or index.modseq != mailbox.highest_modseq:
            return None
        return Snapshot(mailbox, index, mailbox.recent_floor)

    async def row(self, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox:
        """The folder's own row, as it is now. Raises NotFoundError."""
        known = self._rows.at(self._stamp())
        mailbox = known.by_id.get((account_id, mailbox_id))
        if mailbox is None:
            mailbox = await self._glance(
                "changes", lambda tx: owned_txn(tx, account_id, mailbox_id)
            )
            known.by_id[account_id, mailbox_id] = mailbox
        return mailbox

    def _index_txn(self, tx: Transaction, mailbox: Mailbox) -> MailboxIndex:
        """All of the mailbox: what is kept of it, and what has changed since."""
        known = self._indexes.find(mailbox.id)
        modseq = mailbox.highest_modseq
        if known is None or known.modseq > modseq:
            return MailboxIndex.of(mailbox.id, modseq, tx.messages.entries(mailbox.id))
        if known.modseq == modseq:
            return known
        since = known.modseq
        entries = tx.messages.entries(mailbox.id, since=since)
        return known.later(modseq, entries, tx.messages.vanished(mailbox.id, since=since))

    def index_at_hand(self, mailbox_id: MailboxId) -> MailboxIndex | None:
        """What is kept of the mailbox, of whatever instant."""
        return self._indexes.find(mailbox_id)

    async def changes(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        *,
        since: ModSeq,
        claim_recent: bool = False,
    ) -> Changes:
        """What changed after `since`. Raises NotFoundError if the folder is gone."""

        def changes_txn(tx: Transaction, *, claim: bool = False) -> Changes:
            mailbox = owned_txn(tx, account_id, mailbox_id)
            if mailbox.highest_modseq <= since:
                return Changes(mailbox, [], [], mailbox.recent_floor)
            floor = mailbox.recent_floor
            if claim:
                floor = tx.mailboxes.claim_recent(mailbox.id)
                mailbox = owned_txn(tx, account_id, mailbox_id)
            return Changes(
                mailbox,
                tx.messages.entries(mailbox_id, since=since),
                tx.messages.vanished(mailbox_id, since=since),
                floor,
            )

        if self._glances:
            mailbox = await self.row(account_id, mailbox_id)
            if mailbox.highest_modseq <= since:
                return Changes(mailbox, [], [], mailbox.recent_floor)
        changes = await self._store.read("changes", changes_txn)
        if claim_recent and changes.entries and _has_unclaimed(changes.mailbox):
            claim = partial(changes_txn, claim=True)
            changes = await self._claimed("changes", claim, unclaimed=changes)
        self._indexes.advance(
            mailbox_id,
            since=since,
            modseq=changes.mailbox.highest_modseq,
            entries=changes.entries,
            vanished=changes.vanished,
        )
        return changes

    async def vanished(
        self, account_id: AccountId, mailbox_id: MailboxId, *, since: ModSeq
    ) -> list[Vanished]:
        """The tombstones of what was expunged after `since`. Raises NotFoundError."""

        def vanished_txn(tx: Transaction) -> list[Vanished]:
            owned_txn(tx, account_id, mailbox_id)
            return tx.messages.vanished(mailbox_id, since=since)

        return await self._store.read("vanished", vanished_txn)

    async def _claimed(
        self, name: str, claim_txn: Callable[[Transaction], T], *, unclaimed: T
    ) -> T:
        r"""What the transaction that claims \Recent sees, or `unclaimed` if none can write now."""
        try:
            claimed = await self._store.run(name, claim_txn)
        except UnavailableError as error:
            if not self._claims_fail:
                log.warning("recent not claimed", transaction=name, error=error.public)
            self._claims_fail = True
            return unclaimed
        self._claims_fail = False
        return claimed

    async def contents(self, entries: Collection[Entry]) -> dict[ContentId, Content]:
        """What the messages of `entries` are; one that has been expunged meanwhile may be missing."""
        ids = {entry.content_id for entry in entries}
        found = self._cache.get(ids)
        missing = ids - found.keys()
        if missing:
            read = await self._store.read("contents", lambda tx: tx.messages.contents(missing))
            self._cache.put(read.values())
            found.update(read)
        return found

    def contents_at_hand(self, entries: Collection[Entry]) -> dict[ContentId, Content]:
        """Those of `contents` that are in memory."""
        return self._cache.get({entry.content_id for entry in entries})

    async def message(
        self, account_id: AccountId, mailbox_id: MailboxId, uid: Uid
    ) -> tuple[Mailbox, Entry, Content]:
        """One message with its folder. Raises NotFoundError."""

        def message_txn(tx: Transaction) -> tuple[Mailbox, Entry, Content]:
            mailbox = owned_txn(tx, account_id, mailbox_id)
            entry = tx.messages.entry(mailbox_id, uid)
            if entry is None:
                raise NotFoundError("There is no such message")
            return mailbox, entry, tx.messages.contents([entry.content_id])[entry.content_id]

        return await self._store.read("message", message_txn)

    async def octets(self, content: Content, start: int = 0, length: int | None = None) -> bytes:
        """Octets of the message itself. Raises NotFoundError, UnavailableError."""
        return await self._blobs.get(content.blob, start, length)

    def octets_at_once(self, content: Content, start: int, length: int) -> bytes | None:
        """Octets that are at hand; None: ask `octets`."""
        if self._blobs_at_once is None:
            return None
        return self._blobs_at_once.get_at_once(content.blob, start, length)

    async def octets_of(self, wanted: Sequence[tuple[Content, int, int]]) -> list[bytes | None]:
        """Octets of several messages, read side by side: (content, start, length) each.

        None where reading failed: ask `octets` for the reason.
        """
        read = await asyncio.gather(
            *(self._blobs.get(content.blob, start, length) for content, start, length in wanted),
            return_exceptions=True,
        )
        return [each if isinstance(each, bytes) else None for each in read]

    async def text(self, content: Content) -> Searchable:
        """The readable text of the body, for searching. Raises as `octets`."""
        return await self._read(content, searchable_text)

    async def first_words(self, content: Content) -> str:
        """What a reader sees first, without markup. Raises as `octets`."""
        return await self._read(content, first_words)

    async def _read(self, content: Content, read: Callable[[Octets, PartIndex], T]) -> T:
        """What `read` makes of the message, of which as little is read as will do."""
        index = PartIndex.decode(content.structure)
        data = Sparse(content.size_octets)
        data.add(0, content.header)
        start, end = index.root.body, _first_end(index)
        for turn in range(TEXT_READS + 1):
            if turn == TEXT_READS:
                start, end = 0, content.size_octets
            data.add(start, await self._octets(content, start, end))
            try:
                if data.held <= TEXT_INLINE_OCTETS:
                    return read(data, index)
                return await asyncio.to_thread(read, data, index)
            except MissingOctetsError as missing:
                start, end = missing.start, max(missing.end, missing.start + TEXT_MORE_OCTETS)
        raise NotFoundError("The message body is shorter than it was")

    async def _octets(self, content: Content, start: int, end: int) -> bytes:
        length = min(end, content.size_octets) - start
        found = self.octets_at_once(content, start, length)
        return found if found is not None else await self.octets(content, start, length)


def _no_stamp() -> Hashable | None:
    return None


def _first_end(index: PartIndex) -> int:
    """How far the first read for a text goes: as few octets as are likely to do."""
    root = index.root
    last = root.children[-1].body if root.children else root.body + TEXT_FIRST_OCTETS
    return min(last + TEXT_MORE_OCTETS, root.body + TEXT_FIRST_OCTETS)


def _has_unclaimed(mailbox: Mailbox) -> bool:
    return mailbox.uidnext - 1 > mailbox.recent_floor

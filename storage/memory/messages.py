"""`Messages` in memory."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from storage import flags as flag_sets
from storage.instants import LATEST
from storage.memory.tables import Unit
from um.core.account import AccountState
from um.core.errors import AlreadyExistsError, InvalidError, NotFoundError
from um.core.ids import AccountId, BlobKey, ContentId, IngestKey, MailboxId, ModSeq, Uid
from um.core.message import (
    SEEN,
    TRASH,
    Content,
    Copied,
    Entry,
    FlagOperation,
    Mailbox,
    MessageKind,
    Vanished,
)


class MemoryMessages:
    """`um.core.ports.Messages`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tables = unit.tables

    def add_content(self, content: Content) -> None:
        if content.account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        if content.id in self._tables.contents:
            raise AlreadyExistsError("The content exists already")
        self._tables.contents[content.id] = content

    def add_entry(
        self,
        mailbox_id: MailboxId,
        content_id: ContentId,
        *,
        flags: Collection[str],
        internal_date: datetime,
        saved_at: datetime,
        trashed_at: datetime | None = None,
    ) -> Entry:
        content = self._tables.contents.get(content_id)
        mailbox = self._known(mailbox_id)
        if content is None or content.account_id != mailbox.account_id:
            raise NotFoundError("There is no such message")
        self._charge(content.account_id, content.size_octets)
        self._unit.steps("transaction.charged")
        entry = Entry(
            mailbox_id=mailbox_id,
            uid=mailbox.uidnext,
            account_id=content.account_id,
            content_id=content_id,
            kind=content.kind,
            size_octets=content.size_octets,
            modseq=self._bump(mailbox, uids=1),
            flags=frozenset(flag_sets.canonical(flags).values()),
            internal_date=internal_date.astimezone(UTC),
            saved_at=saved_at.astimezone(UTC),
            trashed_at=None if trashed_at is None else trashed_at.astimezone(UTC),
        )
        self._tables.entries[mailbox_id, entry.uid] = entry
        self._unit.steps("transaction.entry-added")
        return entry

    def remember_ingest(self, key: IngestKey, entry: Entry, now: datetime) -> None:
        if key in self._tables.ingests:
            raise AlreadyExistsError("The delivery was made before")
        self._tables.ingests[key] = (entry.account_id, entry.mailbox_id, entry.uid, now)

    def ingested(self, key: IngestKey) -> tuple[MailboxId, Uid] | None:
        found = self._tables.ingests.get(key)
        return None if found is None else (found[1], found[2])

    def forget_ingests(self, before: datetime) -> int:
        old = [key for key, (*_, at) in self._tables.ingests.items() if at < before]
        for key in old:
            del self._tables.ingests[key]
        return len(old)

    def entries(self, mailbox_id: MailboxId, *, since: ModSeq = ModSeq(0)) -> list[Entry]:
        return sorted(
            (
                entry
                for (folder, _), entry in self._tables.entries.items()
                if folder == mailbox_id and entry.modseq > since
            ),
            key=lambda entry: entry.uid,
        )

    def entry(self, mailbox_id: MailboxId, uid: Uid) -> Entry | None:
        return self._tables.entries.get((mailbox_id, uid))

    def vanished(self, mailbox_id: MailboxId, *, since: ModSeq = ModSeq(0)) -> list[Vanished]:
        return sorted(
            (
                tombstone
                for (folder, _), tombstone in self._tables.vanished.items()
                if folder == mailbox_id and tombstone.modseq > since
            ),
            key=lambda tombstone: tombstone.uid,
        )

    def contents(self, ids: Collection[ContentId]) -> dict[ContentId, Content]:
        return {key: self._tables.contents[key] for key in ids if key in self._tables.contents}

    def change_flags(
        self,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        operation: FlagOperation,
        flags: Collection[str],
        *,
        unchanged_since: ModSeq | None = None,
        known: Mapping[Uid, Entry] | None = None,  # noqa: ARG002 - it has all in memory
    ) -> tuple[list[Entry], list[Uid]]:
        given = flag_sets.canonical(flags)
        failed: list[Uid] = []
        after: list[Entry] = []
        changed: list[Entry] = []
        for entry in self._present(mailbox_id, uids):
            if unchanged_since is not None and entry.modseq > unchanged_since:
                failed.append(entry.uid)
                continue
            new = flag_sets.changed(entry.flags, operation, given)
            (after if new == entry.flags else changed).append(replace(entry, flags=new))
        after += self._rewrite(mailbox_id, changed)
        return sorted(after, key=lambda entry: entry.uid), failed

    def copy(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, now: datetime
    ) -> list[Copied]:
        source = self._present(mailbox_id, uids)
        copied = self._place(source, target, now)
        for account_id, octets in _sizes(source):
            self._charge(account_id, octets)
        return copied

    def move(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, now: datetime
    ) -> list[Copied]:
        source = self._present(mailbox_id, uids)
        moved = self._place(source, target, now)
        self._bury(mailbox_id, source)
        return moved

    def expunge(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> list[Uid]:
        gone = self._present(mailbox_id, uids)
        self._bury(mailbox_id, gone)
        for account_id, octets in _sizes(gone):
            self._charge(account_id, -octets)
        named = {entry.content_id for entry in self._tables.entries.values()}
        for entry in gone:
            content = self._tables.contents.get(entry.content_id)
            if content is not None and content.id not in named:
                del self._tables.contents[content.id]
                self._unit.discard(content)
        return [entry.uid for entry in gone]

    def set_trashed(
        self, mailbox_id: MailboxId, uids: Collection[Uid], at: datetime | None
    ) -> None:
        instant = None if at is None else at.astimezone(UTC)
        self._rewrite(
            mailbox_id,
            [
                replace(entry, trashed_at=instant)
                for entry in self._present(mailbox_id, uids)
                if entry.trashed_at != instant
            ],
        )

    def trashed_before(self, before: datetime, limit: int) -> list[Entry]:
        emptied = {
            account.id
            for account in self._tables.accounts.values()
            if account.state is AccountState.ACTIVE and account.legal_hold_at is None
        }
        return _in_order(
            entry
            for entry in self._tables.entries.values()
            if entry.trashed_at is not None
            and entry.trashed_at < before
            and entry.account_id in emptied
        )[:limit]

    def aged(
        self,
        account_ids: Collection[AccountId],
        kind: MessageKind,
        *,
        before: datetime,
        seen_only: bool,
        limit: int,
    ) -> list[Entry]:
        return _in_order(
            entry
            for entry in self._tables.entries.values()
            if entry.account_id in account_ids
            and entry.kind is kind
            and entry.saved_at < before
            and (SEEN in entry.flags or not seen_only)
            and not _is_trash(self._tables.mailboxes[entry.mailbox_id])
        )[:limit]

    def aged_sums(
        self,
        account_ids: Collection[AccountId],
        kind: MessageKind,
        *,
        before: datetime,
        seen_only: bool,
    ) -> dict[AccountId, tuple[int, int]]:
        sums: dict[AccountId, tuple[int, int]] = {}
        every = len(self._tables.entries)
        for entry in self.aged(account_ids, kind, before=before, seen_only=seen_only, limit=every):
            messages, octets = sums.get(entry.account_id, (0, 0))
            sums[entry.account_id] = (messages + 1, octets + entry.size_octets)
        return sums

    def blobs_of(self, account_id: AccountId) -> set[BlobKey]:
        named = {
            content.blob
            for content in self._tables.contents.values()
            if content.account_id == account_id
        }
        return named | {
            key for key, (owner, _) in self._tables.discarded.items() if owner == account_id
        }

    def known_blobs(self, keys: Collection[BlobKey]) -> set[BlobKey]:
        return (self._named() | set(self._tables.discarded)) & set(keys)

    def discarded(
        self,
        limit: int,
        *,
        of: Collection[AccountId] | None = None,
        before: datetime | None = None,
    ) -> list[BlobKey]:
        named = self._named()
        found = sorted(
            (at, key)
            for key, (owner, at) in self._tables.discarded.items()
            if (of is None or owner in of) and at < (before or LATEST) and key not in named
        )
        return [key for _, key in found[:limit]]

    def forget_discarded(self, keys: Collection[BlobKey]) -> None:
        for key in keys:
            self._tables.discarded.pop(key, None)

    def _named(self) -> set[BlobKey]:
        return {content.blob for content in self._tables.contents.values()}

    def _known(self, mailbox_id: MailboxId) -> Mailbox:
        mailbox = self._tables.mailboxes.get(mailbox_id)
        if mailbox is None:
            raise NotFoundError("There is no such folder")
        return mailbox

    def _present(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> list[Entry]:
        self._known(mailbox_id)
        return [
            self._tables.entries[mailbox_id, uid]
            for uid in sorted(set(uids))
            if (mailbox_id, uid) in self._tables.entries
        ]

    def _bump(self, mailbox: Mailbox, *, uids: int = 0) -> ModSeq:
        modseq = ModSeq(mailbox.highest_modseq + 1)
        self._tables.mailboxes[mailbox.id] = replace(
            mailbox, highest_modseq=modseq, uidnext=Uid(mailbox.uidnext + uids)
        )
        self._unit.note_mailbox(mailbox.account_id, mailbox.id, modseq)
        return modseq

    def _charge(self, account_id: AccountId, octets: int) -> None:
        self._tables.used[account_id] += octets

    def _rewrite(self, mailbox_id: MailboxId, entries: list[Entry]) -> list[Entry]:
        if not entries:
            return []
        modseq = self._bump(self._known(mailbox_id))
        new = [replace(entry, modseq=modseq) for entry in entries]
        self._tables.entries.update({(mailbox_id, entry.uid): entry for entry in new})
        return new

    def _place(self, source: list[Entry], target: MailboxId, now: datetime) -> list[Copied]:
        mailbox = self._known(target)
        if any(entry.account_id != mailbox.account_id for entry in source):
            raise InvalidError("Messages stay within their account")
        if not source:
            return []
        modseq = self._bump(mailbox, uids=len(source))
        copied = []
        for uid, entry in enumerate(source, start=mailbox.uidnext):
            self._tables.entries[target, Uid(uid)] = replace(
                entry,
                mailbox_id=target,
                uid=Uid(uid),
                modseq=modseq,
                saved_at=now.astimezone(UTC),
                trashed_at=None,
            )
            copied.append(Copied(entry.uid, Uid(uid)))
        return copied

    def _bury(self, mailbox_id: MailboxId, entries: list[Entry]) -> None:
        if not entries:
            return
        modseq = self._bump(self._known(mailbox_id))
        for entry in entries:
            del self._tables.entries[mailbox_id, entry.uid]
            self._tables.vanished[mailbox_id, entry.uid] = Vanished(entry.uid, modseq)


def _is_trash(mailbox: Mailbox) -> bool:
    return mailbox.name == TRASH or mailbox.special_use == "\\Trash"


def _in_order(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.mailbox_id, entry.uid))


def _sizes(entries: Iterable[Entry]) -> Iterable[tuple[AccountId, int]]:
    return [(entry.account_id, entry.size_octets) for entry in entries]

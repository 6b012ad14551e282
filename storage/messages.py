"""`Messages` in the database.

Every change goes through `hold`: on PostgreSQL it locks the account's row, then the folder's, in
that one order, so that UIDs, MODSEQs and the octets used are counted one after another.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

from storage import flags as flag_sets
from storage import message_statements as sql
from storage.instants import LATEST, from_micros
from storage.statement import Statement, Values
from storage.unit import Unit
from um.core.errors import AlreadyExistsError, InvalidError, NotFoundError
from um.core.ids import AccountId, BlobKey, ContentId, IngestKey, MailboxId, ModSeq, Uid
from um.core.message import (
    Content,
    Copied,
    Entry,
    FlagOperation,
    MessageKind,
    Vanished,
    with_flags,
)


class SqlMessages:
    """`um.core.ports.Messages`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def add_content(self, content: Content) -> None:
        columns = {name: getattr(content, name) for name in sql.CONTENT_COLUMNS}
        if not self._unit.do(sql.ADD_CONTENT, **(columns | {"kind": content.kind.value})):
            raise AlreadyExistsError("The content exists already")

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
        row = self._unit.row(sql.CONTENT_IN_FOLDER, id=content_id, key=mailbox_id)
        if row is None:
            raise NotFoundError("There is no such message or folder")
        account_id, kind, size_octets = row
        self._charge(account_id, size_octets)
        self._unit.steps("transaction.charged")
        uid, modseq = self._bump(mailbox_id, uids=1)
        entry = Entry(
            mailbox_id=mailbox_id,
            uid=uid,
            account_id=account_id,
            content_id=content_id,
            kind=MessageKind(kind),
            size_octets=size_octets,
            modseq=modseq,
            flags=frozenset(flag_sets.canonical(flags).values()),
            internal_date=internal_date.astimezone(UTC),
            saved_at=saved_at.astimezone(UTC),
            trashed_at=None if trashed_at is None else trashed_at.astimezone(UTC),
        )
        self._unit.do(sql.ADD_ENTRY, **_columns(entry))
        self._unit.steps("transaction.entry-added")
        return entry

    def remember_ingest(self, key: IngestKey, entry: Entry, now: datetime) -> None:
        if not self._unit.do(
            sql.ADD_INGEST,
            key=key,
            account_id=entry.account_id,
            mailbox_id=entry.mailbox_id,
            uid=entry.uid,
            at=now,
        ):
            raise AlreadyExistsError("The delivery was made before")

    def ingested(self, key: IngestKey) -> tuple[MailboxId, Uid] | None:
        row = self._unit.row(sql.INGESTED, key=key)
        return None if row is None else (row[0], row[1])

    def forget_ingests(self, before: datetime) -> int:
        return self._unit.do(sql.FORGET_INGESTS, before=before)

    def entries(self, mailbox_id: MailboxId, *, since: ModSeq = ModSeq(0)) -> list[Entry]:
        if since:
            return self._entries(sql.ENTRIES_SINCE, key=mailbox_id, since=since)
        return self._entries(sql.ENTRIES, key=mailbox_id)

    def entry(self, mailbox_id: MailboxId, uid: Uid) -> Entry | None:
        found = self._entries(sql.ENTRY, key=mailbox_id, uid=uid)
        return found[0] if found else None

    def vanished(self, mailbox_id: MailboxId, *, since: ModSeq = ModSeq(0)) -> list[Vanished]:
        rows = self._unit.rows(sql.VANISHED, key=mailbox_id, since=since)
        return [Vanished(uid, modseq) for uid, modseq in rows]

    def contents(self, ids: Collection[ContentId]) -> dict[ContentId, Content]:
        if not ids:
            return {}
        found = {}
        for row in self._unit.rows(sql.CONTENTS, ids=list(ids)):
            fields = dict(zip(sql.CONTENT_COLUMNS, row, strict=True))
            fields["kind"] = MessageKind(fields["kind"])
            found[ContentId(row[0])] = Content(**fields)
        return found

    def change_flags(
        self,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        operation: FlagOperation,
        flags: Collection[str],
        *,
        unchanged_since: ModSeq | None = None,
        known: Mapping[Uid, Entry] | None = None,
    ) -> tuple[list[Entry], list[Uid]]:
        given = flag_sets.canonical(flags)
        failed: list[Uid] = []
        after: list[Entry] = []
        changed: list[Entry] = []
        outcome: dict[frozenset[str], frozenset[str]] = {}
        for entry in self._present_or_known(mailbox_id, uids, known):
            if unchanged_since is not None and entry.modseq > unchanged_since:
                failed.append(entry.uid)
                continue
            new = outcome.get(entry.flags)
            if new is None:
                new = outcome[entry.flags] = flag_sets.changed(entry.flags, operation, given)
            (after if new == entry.flags else changed).append(entry)
        if changed:
            _, modseq = self._bump(mailbox_id)
            changed = [with_flags(entry, outcome[entry.flags], modseq) for entry in changed]
            self._write_flags(mailbox_id, changed, modseq, known)
            after = sorted(after + changed, key=attrgetter("uid")) if after else changed
        return after, failed

    def _present_or_known(
        self, mailbox_id: MailboxId, uids: Collection[Uid], known: Mapping[Uid, Entry] | None
    ) -> list[Entry]:
        if known is None:
            return self._present(mailbox_id, uids)
        if self._unit.locks:
            self.hold(mailbox_id)
        return [known[uid] for uid in sorted(set(uids)) if uid in known]

    def copy(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, now: datetime
    ) -> list[Copied]:
        source = self._present(mailbox_id, uids, target)
        copied = self._place(source, target, now)
        if source:
            self._charge(source[0].account_id, sum(entry.size_octets for entry in source))
        return copied

    def move(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, now: datetime
    ) -> list[Copied]:
        source = self._present(mailbox_id, uids, target)
        moved = self._place(source, target, now)
        self._bury(mailbox_id, source)
        return moved

    def expunge(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> list[Uid]:
        gone = self._present(mailbox_id, uids)
        if not gone:
            return []
        self._bury(mailbox_id, gone)
        self._charge(gone[0].account_id, -sum(entry.size_octets for entry in gone))
        self._discard([entry.content_id for entry in gone])
        return [entry.uid for entry in gone]

    def set_trashed(
        self, mailbox_id: MailboxId, uids: Collection[Uid], at: datetime | None
    ) -> None:
        changed = [entry.uid for entry in self._present(mailbox_id, uids) if entry.trashed_at != at]
        if changed:
            _, modseq = self._bump(mailbox_id)
            self._unit.do(
                sql.SET_TRASHED, key=mailbox_id, uids=changed, trashed_at=at, modseq=modseq
            )

    def trashed_before(self, before: datetime, limit: int) -> list[Entry]:
        return self._entries(sql.TRASHED_BEFORE, before=before, limit=limit)

    def aged(
        self,
        account_ids: Collection[AccountId],
        kind: MessageKind,
        *,
        before: datetime,
        seen_only: bool,
        limit: int,
    ) -> list[Entry]:
        return self._entries(
            sql.AGED_AND_SEEN if seen_only else sql.AGED,
            ids=list(account_ids),
            kind=kind.value,
            before=before,
            limit=limit,
        )

    def aged_sums(
        self,
        account_ids: Collection[AccountId],
        kind: MessageKind,
        *,
        before: datetime,
        seen_only: bool,
    ) -> dict[AccountId, tuple[int, int]]:
        rows = self._unit.rows(
            sql.AGED_AND_SEEN_SUMS if seen_only else sql.AGED_SUMS,
            ids=list(account_ids),
            kind=kind.value,
            before=before,
        )
        return {account_id: (messages, octets) for account_id, messages, octets in rows}

    def blobs_of(self, account_id: AccountId) -> set[BlobKey]:
        return {blob for (blob,) in self._unit.rows(sql.BLOBS_OF, id=account_id)}

    def known_blobs(self, keys: Collection[BlobKey]) -> set[BlobKey]:
        return {blob for (blob,) in self._unit.rows(sql.KNOWN_BLOBS, blobs=list(keys))}

    def discarded(
        self,
        limit: int,
        *,
        of: Collection[AccountId] | None = None,
        before: datetime | None = None,
    ) -> list[BlobKey]:
        statement = sql.DISCARDED if of is None else sql.DISCARDED_OF
        rows = self._unit.rows(statement, limit=limit, ids=list(of or ()), before=before or LATEST)
        return [blob for (blob,) in rows]

    def forget_discarded(self, keys: Collection[BlobKey]) -> None:
        self._unit.do(sql.FORGET_DISCARDED, blobs=list(keys))

    def hold(self, *mailbox_ids: MailboxId) -> None:
        """Lock the folders and their account before a change. Raises NotFoundError.

        Raises InvalidError if they are not of one account.
        """
        found = self._unit.rows(sql.OWNERS, keys=list(mailbox_ids))
        if len(found) != len(set(mailbox_ids)):
            raise NotFoundError("There is no such folder")
        owners = {account_id for _, account_id in found}
        if len(owners) > 1:
            raise InvalidError("Messages stay within their account")
        if self._unit.locks:
            self._unit.rows(sql.LOCK_ACCOUNT, id=owners.pop())
            locked = self._unit.rows(sql.LOCK_FOLDERS, keys=list(mailbox_ids))
            if len(locked) != len(found):
                raise NotFoundError("There is no such folder")

    def _entries(self, statement: Statement, **parameters: object) -> list[Entry]:
        return [_entry(row) for row in self._unit.rows(statement, **parameters)]

    def _present(
        self, mailbox_id: MailboxId, uids: Collection[Uid], *others: MailboxId
    ) -> list[Entry]:
        """Those of `uids` that are there, in their order, everything locked."""
        self.hold(mailbox_id, *others)
        return self._entries(sql.ENTRIES_AMONG, key=mailbox_id, uids=list(uids)) if uids else []

    def _charge(self, account_id: AccountId, octets: int) -> None:
        self._unit.do(sql.CHARGE, id=account_id, octets=octets)

    def _bump(self, mailbox_id: MailboxId, *, uids: int = 0) -> tuple[Uid, ModSeq]:
        """Take `uids` UIDs and one MODSEQ; returns the first of the UIDs and the MODSEQ."""
        row = self._unit.row(sql.BUMP, key=mailbox_id, uids=uids)
        if row is None:
            raise NotFoundError("There is no such folder")
        account_id, uidnext, modseq = row
        self._unit.note_mailbox(account_id, mailbox_id, modseq)
        return Uid(uidnext - uids), ModSeq(modseq)

    def _discard(self, ids: list[ContentId]) -> None:
        """Drop those of the contents that no entry names any more; their bodies are to go."""
        at = self._unit.clock.now()
        dropped = self._unit.rows(sql.DROP_UNNAMED, ids=ids)
        self._unit.many(
            sql.DISCARD,
            [{"blob": blob, "account_id": account_id, "at": at} for blob, account_id in dropped],
        )

    def _write_flags(
        self,
        mailbox_id: MailboxId,
        entries: Iterable[Entry],
        modseq: ModSeq,
        known: Mapping[Uid, Entry] | None,
    ) -> None:
        by_flags: defaultdict[frozenset[str], list[Uid]] = defaultdict(list)
        for entry in entries:
            by_flags[entry.flags].append(entry.uid)
        for flags, uids in by_flags.items():
            bits, keywords = flag_sets.encode(flags)
            new = {"key": mailbox_id, "flags": bits, "keywords": keywords, "modseq": modseq}
            if _is_run(uids, known):
                self._unit.do(sql.SET_FLAGS_BETWEEN, low=uids[0], high=uids[-1], **new)
            else:
                self._unit.do(sql.SET_FLAGS, uids=uids, **new)

    def _place(self, source: list[Entry], target: MailboxId, now: datetime) -> list[Copied]:
        if not source:
            return []
        first, modseq = self._bump(target, uids=len(source))
        placed = [
            replace(
                entry,
                mailbox_id=target,
                uid=Uid(first + offset),
                modseq=modseq,
                saved_at=now,
                trashed_at=None,
            )
            for offset, entry in enumerate(source)
        ]
        self._unit.many(sql.ADD_ENTRY, [_columns(entry) for entry in placed])
        return [Copied(a.uid, b.uid) for a, b in zip(source, placed, strict=True)]

    def _bury(self, mailbox_id: MailboxId, entries: list[Entry]) -> None:
        if not entries:
            return
        _, modseq = self._bump(mailbox_id)
        uids = [entry.uid for entry in entries]
        self._unit.do(sql.DROP_ENTRIES, key=mailbox_id, uids=uids)
        self._unit.many(
            sql.ADD_VANISHED,
            [{"mailbox_id": mailbox_id, "uid": uid, "modseq": modseq} for uid in uids],
        )


def _is_run(uids: Sequence[Uid], known: Mapping[Uid, Entry] | None) -> bool:
    """Whether the folder has no other messages between the first and the last of `uids`, ascending."""
    if uids[-1] - uids[0] + 1 == len(uids):
        return True
    if known is None:
        return False
    there = list(known)
    first = bisect_left(there, uids[0])
    return there[first : first + len(uids)] == uids


def _columns(entry: Entry) -> dict[str, object]:
    bits, keywords = flag_sets.encode(entry.flags)
    return {
        "mailbox_id": entry.mailbox_id,
        "uid": entry.uid,
        "account_id": entry.account_id,
        "content_id": entry.content_id,
        "kind": entry.kind.value,
        "size_octets": entry.size_octets,
        "modseq": entry.modseq,
        "flags": bits,
        "keywords": keywords,
        "internal_date": entry.internal_date,
        "saved_at": entry.saved_at,
        "trashed_at": entry.trashed_at,
    }


def _entry(row: Values) -> Entry:
    """An entry of the columns in `message_statements.ENTRY_COLUMNS`; on the path of every FETCH."""
    mailbox, uid, account, content, kind, size, modseq, bits, keywords, date, saved, trashed = row
    return Entry(
        mailbox,
        uid,
        account,
        content,
        _KINDS[kind],
        size,
        modseq,
        flag_sets.decode(bits, keywords),
        from_micros(date),
        from_micros(saved),
        None if trashed is None else from_micros(trashed),
    )


_KINDS = {kind.value: kind for kind in MessageKind}

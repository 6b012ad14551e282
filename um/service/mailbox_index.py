r"""The entries of mailboxes in memory: shared by all sessions, kept between them, bounded.

Laws:
- An index is of one instant, its `modseq`, and is never changed: what comes later is a new one.
- It is used only where the mailbox's own row says in the same transaction that nothing has happened
  since: every change of an entry raises that row's HIGHESTMODSEQ in its own transaction, whichever
  process makes it. So an index may be old, and is then brought up to date; it is never wrong.
- The mailboxes that were used longest ago go first. What sessions hold of them lives on in these.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from um.core.ids import MailboxId, ModSeq, Uid
from um.core.message import SEEN, Entry, Vanished
from um.service.keywords import MAX_KEYWORDS_TOLD

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
ENTRIES_KEPT = 65_536
"""Of all mailboxes together; one takes about 450 octets, so 30 MB."""


@dataclass(frozen=True)
class MailboxIndex:
    """All entries of one mailbox as they were at `modseq`."""

    mailbox_id: MailboxId
    modseq: ModSeq
    uids: Sequence[Uid]
    """Ascending."""
    entries: Mapping[Uid, Entry]
    """In the order of `uids`."""

    @classmethod
    def of(cls, mailbox_id: MailboxId, modseq: ModSeq, entries: Iterable[Entry]) -> "MailboxIndex":
        """The index of `entries`, ascending."""
        by_uid = {entry.uid: entry for entry in entries}
        return cls(mailbox_id, modseq, tuple(by_uid), by_uid)

    def later(
        self, modseq: ModSeq, entries: Iterable[Entry], vanished: Iterable[Vanished]
    ) -> "MailboxIndex":
        """The index at `modseq`, from all that changed since this one."""
        by_uid = dict(self.entries)
        for tombstone in vanished:
            by_uid.pop(tombstone.uid, None)
        left = len(by_uid)
        by_uid.update([(entry.uid, entry) for entry in entries])
        if left == len(by_uid) == len(self.uids):
            return MailboxIndex(self.mailbox_id, modseq, self.uids, by_uid)
        uids = sorted(by_uid)
        if uids != list(by_uid):
            by_uid = {uid: by_uid[uid] for uid in uids}
        return MailboxIndex(self.mailbox_id, modseq, tuple(uids), by_uid)

    @cached_property
    def keywords(self) -> Mapping[str, str]:
        """Keywords in use, by their lower case; the spelling of the first message.

        The first MAX_KEYWORDS_TOLD of them.
        """
        found: dict[str, str] = {}
        for flags in {entry.flags: None for entry in self.entries.values()}:
            for flag in flags:
                if not flag.startswith("\\") and len(found) < MAX_KEYWORDS_TOLD:
                    found.setdefault(flag.lower(), flag)
        return found

    @cached_property
    def newest_first(self) -> Sequence[Entry]:
        """By `rank`, the greatest first: the order of lists that people read."""
        return sorted(self.entries.values(), key=rank, reverse=True)

    @cached_property
    def first_unseen(self) -> int | None:
        r"""The number of the first message that is not \Seen."""
        for number, entry in enumerate(self.entries.values(), 1):
            if SEEN not in entry.flags:
                return number
        return None


def rank(entry: Entry) -> tuple[int, int, str]:
    """When it came, in microseconds, then UID and mailbox: unique, and greater if newer."""
    return (entry.internal_date - _EPOCH) // _MICROSECOND, entry.uid, entry.mailbox_id


class MailboxIndexes:
    """The indexes of a process. `find` may be called on any thread, the rest on the loop's."""

    def __init__(self, limit: int = ENTRIES_KEPT) -> None:
        self.entries = 0
        self._limit = limit
        self._kept: OrderedDict[MailboxId, MailboxIndex] = OrderedDict()

    def find(self, mailbox_id: MailboxId) -> MailboxIndex | None:
        """The index that is kept, of whatever instant."""
        return self._kept.get(mailbox_id)

    def keep(self, index: MailboxIndex) -> None:
        """Keep `index` unless a later one is kept; the others may have to go."""
        known = self._kept.get(index.mailbox_id)
        if known is index or (known is not None and known.modseq > index.modseq):
            self._kept.move_to_end(index.mailbox_id)
            return
        if known is not None:
            self._drop(index.mailbox_id)
        self._kept[index.mailbox_id] = index
        self.entries += len(index.uids)
        while self.entries > self._limit:
            self._drop(next(iter(self._kept)))

    def advance(
        self,
        mailbox_id: MailboxId,
        *,
        since: ModSeq,
        modseq: ModSeq,
        entries: Iterable[Entry],
        vanished: Iterable[Vanished],
    ) -> None:
        """Bring the index up to date, if it is exactly as old as the changes that were read."""
        known = self._kept.get(mailbox_id)
        if known is not None and known.modseq == since < modseq:
            self.keep(known.later(modseq, entries, vanished))

    def _drop(self, mailbox_id: MailboxId) -> None:
        self.entries -= len(self._kept.pop(mailbox_id).uids)

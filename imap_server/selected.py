"""One session's view of its selected mailbox: message numbers that never lie (RFC 3501 §2.3.1.2).

Laws:
- `uids` is what the client was told: a message number is an index into it, and it changes only in
  `announce`, together with the EXISTS or EXPUNGE that is returned there.
- Own and foreign changes come the same way, through `apply`; MODSEQ tells what is old news.
- EXPUNGE is held back while a command counts by number (RFC 3501 §7.4.1); a message that is gone
  but not announced keeps its number and its last known entry.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import cache, lru_cache

from imap_server.entries import Entries
from imap_server.wire import responses
from imap_server.wire.sequence import SequenceSet, compress
from imap_server.wire.tokens import BadCommandError
from um.core.ids import ModSeq, Uid
from um.core.message import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    SEEN,
    Entry,
    FlagOperation,
    Vanished,
)
from um.service.keywords import MAX_KEYWORDS_TOLD
from um.service.mailbox_index import MailboxIndex

RECENT = "\\Recent"
_SYSTEM = (ANSWERED, FLAGGED, DELETED, SEEN, DRAFT)


@lru_cache(maxsize=4096)
def render_flags(flags: frozenset[str], *, recent: bool) -> bytes:
    """A message's flag list as this session sees it."""
    return responses.flags(flags | {RECENT} if recent else flags)


@lru_cache(maxsize=256)
def _flags_line(keywords: tuple[str, ...], *, read_only: bool) -> bytes:
    names = responses.flags((*_SYSTEM, *keywords))
    permanent = b"()" if read_only else names.removesuffix(b")") + b" \\*)"
    return responses.untagged(b"FLAGS", names) + responses.status(
        b"*", b"OK", "Flags permitted", code=b"PERMANENTFLAGS " + permanent
    )


class Selected:
    """The view of one session on one mailbox."""

    def __init__(
        self,
        index: MailboxIndex,
        *,
        recent_after: Uid,
        read_only: bool,
        condstore: bool = False,
        qresync: bool = False,
        tells_recent: bool = True,
    ) -> None:
        self.tells_recent = tells_recent
        """Whether the client knows \\Recent: not in IMAP4rev2 (RFC 9051 Appendix E 12)."""
        self.condstore = condstore
        """Whether what is told of flags carries the mod-sequence (RFC 7162 §3.1)."""
        self.qresync = qresync
        """Whether expunges are told by UID (RFC 7162 §3.2.10)."""
        self.saved: list[Uid] = []
        """What `$` stands for (RFC 5182); those that have gone meanwhile are among them."""
        self.mailbox_id = index.mailbox_id
        self.read_only = read_only
        self.modseq = index.modseq
        """Everything up to here has been applied."""
        self.uids: Sequence[Uid] = index.uids
        """Shared with the index as long as it is the same: never changed, only replaced."""
        self.entries = Entries(index.entries)
        self.recent: set[Uid] = set()
        if tells_recent:
            self.recent.update(index.uids[bisect_right(index.uids, recent_after) :])
        self._newest = index.modseq
        self._arrived: list[Uid] = []
        self._gone: set[Uid] = set()
        self._held: ModSeq | None = None
        """The lowest mod-sequence of the expunges that wait to be told."""
        self._told_held = False
        self._changed: set[Uid] = set()
        self._keywords: dict[str, str] = dict(index.keywords)
        self._new_keywords = False

    # -- numbers --------------------------------------------------------------------------------

    def number(self, uid: Uid) -> int:
        """The message number of a UID that was announced."""
        return bisect_left(self.uids, uid) + 1

    def resolve(self, messages: SequenceSet, *, by_uid: bool) -> list[Uid]:
        """The UIDs that a command means, ascending.

        By number: those that are gone but not announced are among them (see `is_gone`), and a number
        that was never announced is BAD. By UID, and by `$`: what is not there, or is gone, is left
        out.
        """
        if messages.saved:
            return [uid for uid in self.saved if not self.is_gone(uid)]
        if by_uid:
            found = messages.select(self.uids)
            return [uid for uid in found if uid not in self._gone] if self._gone else found
        if messages.names_more_than(len(self.uids)):
            raise BadCommandError("There is no message of that number")
        uids: list[Uid] = []
        for low, high in messages.resolve(len(self.uids)):
            uids.extend(self.uids[low - 1 : high])
        return uids

    def is_gone(self, uid: Uid) -> bool:
        """Whether the message is expunged, announced or not."""
        return uid in self._gone or uid not in self.entries

    def flags(self, uid: Uid) -> bytes:
        r"""The flag list of a message, \Recent included."""
        return render_flags(self.entries[uid].flags, recent=uid in self.recent)

    # -- what happened --------------------------------------------------------------------------

    def apply(
        self,
        entries: Iterable[Entry],
        vanished: Iterable[Vanished],
        *,
        modseq: ModSeq,
        recent_after: Uid,
    ) -> None:
        """Take in what a reading of the mailbox showed beyond `self.modseq`."""
        last = max((*self.uids[-1:], *self._arrived[-1:]), default=Uid(0))
        for entry in entries:
            known = self.entries.get(entry.uid)
            if known is not None:
                if entry.modseq > known.modseq:
                    if entry.flags != known.flags:
                        self._changed.add(entry.uid)
                    self._know(entry)
            elif entry.uid > last:
                self._know(entry)
                self._arrived.append(entry.uid)
                if self.tells_recent and entry.uid > recent_after:
                    self.recent.add(entry.uid)
        self._note_keywords(self.entries[uid] for uid in (*self._changed, *self._arrived))
        gone = [tombstone for tombstone in vanished if tombstone.uid in self.entries]
        self._gone.update(tombstone.uid for tombstone in gone)
        held = [tombstone.modseq for tombstone in gone]
        self._held = min(filter(None, [*held, self._held]), default=None)
        self.modseq = max(self.modseq, modseq)

    def _know(self, entry: Entry) -> None:
        self.entries[entry.uid] = entry
        self._newest = max(self._newest, entry.modseq)

    def caught_up(self, since: ModSeq, modseq: ModSeq) -> bool:
        """All that changed between the two has been taken in; whether the view lacks nothing now."""
        if self.modseq == since:
            self.modseq = modseq
        return self.modseq == modseq

    def rebase(self, index: MailboxIndex | None) -> None:
        """Share `index` instead of holding an own copy, if it is just what the client was told."""
        if index is None or index.modseq != self.modseq or self._newest > index.modseq:
            return
        if self._gone or self._arrived or self.entries.is_based_on(index.entries):
            return
        if self.uids is index.uids or tuple(self.uids) == index.uids:
            self.uids = index.uids
            self.entries = Entries(index.entries)

    def expunged(self, uids: Iterable[Uid]) -> None:
        """These are gone; `announce` will say so."""
        self._gone.update(uid for uid in uids if uid in self.entries)

    def stored(
        self,
        entries: Collection[Entry],
        operation: FlagOperation,
        flags: Collection[str],
        *,
        silent: bool,
    ) -> list[Uid]:
        """Take in the result of an own STORE; returns the UIDs whose flags must be told now.

        A silent STORE tells nothing, unless another session had changed the flags as well, so that
        the client could not know the outcome (RFC 3501 §6.4.6).
        """
        known = self.entries.known(entry.uid for entry in entries)
        both = [(old, new) for old, new in zip(known, entries, strict=True) if old is not None]
        there = [new.uid for _, new in both]
        if silent:
            as_expected = cache(
                lambda before, after: _fold(after) == _expected(before, operation, flags)
            )
            self._changed.update(
                [new.uid for old, new in both if not as_expected(old.flags, new.flags)]
            )
        else:
            self._changed.difference_update(there)
        fresh = {new.uid: new for old, new in both if new.modseq >= old.modseq}
        self.entries.update(fresh)
        self._newest = max([self._newest, *{entry.modseq for entry in fresh.values()}])
        self._note_keywords(entries)
        return [] if silent else there

    def present(self, uids: list[Uid]) -> list[Uid]:
        """Those of `uids`, which the client was told of, that are not gone."""
        return [uid for uid in uids if uid not in self._gone] if self._gone else uids

    def tell_flags(self, uids: Iterable[Uid]) -> None:
        """Let the next `announce` tell the flags of these."""
        self._changed.update(uid for uid in uids if uid in self.entries)

    # -- what is told ---------------------------------------------------------------------------

    def announce(self, *, expunge: bool, flags: bool = True) -> bytes:
        """All that the client has not been told, as untagged responses.

        `expunge` says whether EXPUNGE may be sent now; with it message numbers change. Without
        `flags` what changed of flags is kept for the next time.
        """
        out: list[bytes] = []
        self._forget(self._gone.intersection(self._arrived))
        if expunge and self._gone:
            out += self._announce_expunges()
        if self._arrived:
            self.uids = [*self.uids, *self._arrived]
            self._arrived = []
            out.append(self.exists_line())
        if self._new_keywords:
            out.append(self.flags_line())
            self._new_keywords = False
        if flags:
            for uid in sorted(self._changed - self._gone):
                out.append(self.fetch_flags(uid))
            self._changed.clear()
        if self.qresync:
            out += self._announce_modseq(flags=flags)
        return b"".join(out)

    def _announce_modseq(self, *, flags: bool) -> list[bytes]:
        """How far the client may take changes for known, where expunges wait (RFC 7162 §3.2, §6).

        Else it would take the mod-sequences it is told, and never hear of these if it lost the connection now.
        """
        if not self._gone:
            self._held = None
        if self._held is not None:
            self._told_held = True
            return [_highest_modseq(ModSeq(max(1, self._held - 1)))]
        if not (self._told_held and flags):
            return []
        self._told_held = False
        return [_highest_modseq(self.modseq)]

    def exists_line(self) -> bytes:
        """`* n EXISTS`, and RECENT for who knows it."""
        if not self.tells_recent:
            return b"* %d EXISTS\r\n" % len(self.uids)
        return b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(self.uids), len(self.recent))

    def forget_recent(self) -> None:
        """The client has turned IMAP4rev2 on."""
        self.tells_recent = False
        self.recent.clear()

    def flags_line(self) -> bytes:
        """`* FLAGS (…)` (RFC 3501 §7.2.6) and what may be stored for good."""
        return _flags_line(tuple(self._keywords.values()), read_only=self.read_only)

    def fetch_flags(self, uid: Uid) -> bytes:
        """`* n FETCH (UID u FLAGS (…))`, with MODSEQ for who has turned that on."""
        modseq = b" MODSEQ (%d)" % self.entries[uid].modseq if self.condstore else b""
        return b"* %d FETCH (UID %d FLAGS %b%b)\r\n" % (
            self.number(uid),
            uid,
            self.flags(uid),
            modseq,
        )

    def fetch_modseq(self, uid: Uid) -> bytes:
        """`* n FETCH (UID u MODSEQ (m))`: all that is told of a silent STORE (RFC 7162 §3.1.3)."""
        modseq = self.entries[uid].modseq
        return b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (self.number(uid), uid, modseq)

    def _announce_expunges(self) -> list[bytes]:
        out: list[bytes] = []
        left: list[Uid] = []
        for number, uid in enumerate(self.uids, 1):
            if uid in self._gone:
                out.append(b"* %d EXPUNGE\r\n" % (number - len(out)))
            else:
                left.append(uid)
        if self.qresync:
            out = [responses.untagged(b"VANISHED", compress(sorted(self._gone)))]
        self.uids = left
        self._forget(set(self._gone))
        return out

    def _forget(self, uids: set[Uid]) -> None:
        """Drop messages that no number stands for: come and gone unseen, or announced as gone."""
        if not uids:
            return
        for uid in uids:
            del self.entries[uid]
        self._arrived = [uid for uid in self._arrived if uid not in uids]
        self.recent -= uids
        self._changed -= uids
        self._gone -= uids

    def _note_keywords(self, entries: Iterable[Entry]) -> None:
        for flags in dict.fromkeys([entry.flags for entry in entries]):
            for flag in flags:
                if flag.startswith("\\") or flag.lower() in self._keywords:
                    continue
                if len(self._keywords) < MAX_KEYWORDS_TOLD:
                    self._keywords[flag.lower()] = flag
                    self._new_keywords = True


def _highest_modseq(modseq: ModSeq) -> bytes:
    code = b"HIGHESTMODSEQ %d" % modseq
    return responses.status(b"*", b"OK", "Changes up to here are told", code=code)


def _fold(flags: Iterable[str]) -> set[str]:
    return {flag.lower() for flag in flags}


def _expected(before: frozenset[str], operation: FlagOperation, flags: Collection[str]) -> set[str]:
    if operation is FlagOperation.REPLACE:
        return _fold(flags)
    if operation is FlagOperation.ADD:
        return _fold(before) | _fold(flags)
    return _fold(before) - _fold(flags)

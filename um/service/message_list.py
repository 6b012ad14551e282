"""The list of a folder, or of all, as people read it: newest first, by kind, searched, a page at a time.

Laws:
- A page is of one instant; the cursor names the last message of a page, so that what arrives or
  goes meanwhile neither repeats nor hides another.
- Without a search only the messages of the page are looked at; with one bodies of those alone whose
  headings leave a word missing. Everything that is looked at is of the one account that is named.
- What is read once is kept: a header or text never changes.
"""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from um.core.errors import InvalidError, NotFoundError
from um.core.ids import AccountId, ContentId, MailboxId, Uid
from um.core.message import FLAGGED, INBOX, SEEN, TRASH, Content, Entry, MessageKind
from um.service.headings import Heading, Headings, read_heading
from um.service.mailbox_index import rank
from um.service.mailbox_view import MailboxView, Snapshot
from um.service.searched_texts import SearchedTexts

MAX_PAGE = 200
BATCH = 200
"""Messages whose texts are in hand at once."""
_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,10})(?:\.([0-9a-f]{32}))?")


@dataclass(frozen=True, slots=True)
class Listed:
    """A message in the list. Texts are one line of visible characters, and still a stranger's."""

    mailbox_id: MailboxId
    folder: str
    uid: Uid
    kind: MessageKind
    subject: str
    sender: str
    """A name, else an address, else empty."""
    sender_address: str
    at: datetime
    size_octets: int
    seen: bool
    urgent: bool
    trashed_at: datetime | None
    duration_seconds: int | None
    pages: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a folder."""

    folder: str
    """Empty if it is of all folders."""
    messages: Sequence[Listed]
    total: int
    """Messages there that fit kind and search."""
    unseen: int
    """Of those."""
    next: str | None
    """The cursor of the page that follows; None if this is the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be listed."""

    folder: str = INBOX
    everywhere: bool = False
    """In all folders but Trash, whatever `folder` says."""
    kinds: Collection[MessageKind] = ()
    """Empty: all."""
    search: str = ""
    """Words that sender, subject and text must have, all of them, in any case."""
    limit: int = 50
    after: str | None = None
    """A page's `next`."""


class MessageList:
    """Pages over a view of mailboxes."""

    def __init__(self, mailboxes: MailboxView) -> None:
        self._mailboxes = mailboxes
        self._headings = Headings()
        self._texts = SearchedTexts(mailboxes)

    async def page(self, account_id: AccountId, wanted: Wanted) -> Page:
        """Raises NotFoundError for a folder that is not there, InvalidError for a wrong cursor."""
        if not 1 <= wanted.limit <= MAX_PAGE:
            raise InvalidError(f"A page has 1 to {MAX_PAGE} messages")
        after = _read_cursor(wanted.after) if wanted.after is not None else None
        folders = await self._folders(account_id, wanted)
        names = {each.mailbox.id: each.mailbox.name for each in folders}
        fitting = _merged([each.index.newest_first for each in folders])
        if wanted.kinds:
            fitting = [each for each in fitting if each.kind in wanted.kinds]
        if words := wanted.search.casefold().split():
            fitting = await self._found(fitting, words)
        rest = fitting if after is None else [each for each in fitting if rank(each) < after]
        shown = rest[: wanted.limit]
        known = await self._mailboxes.contents(shown)
        headings = await self._headings.of(list(known.values()))
        return Page(
            folder="" if wanted.everywhere else folders[0].mailbox.name,
            messages=[
                _listed(
                    each,
                    known[each.content_id],
                    headings[each.content_id],
                    folder=names[each.mailbox_id],
                )
                for each in shown
                if each.content_id in known  # it may have been expunged since the snapshot
            ],
            total=len(fitting),
            unseen=sum(SEEN not in each.flags for each in fitting),
            next=_cursor(shown[-1]) if len(rest) > len(shown) else None,
        )

    async def _folders(self, account_id: AccountId, wanted: Wanted) -> list[Snapshot]:
        """Those that are looked at. Raises NotFoundError if the one that is named is not there."""
        if not wanted.everywhere:
            return [await self._mailboxes.open(account_id, wanted.folder)]
        found = []
        for each in await self._mailboxes.folders(account_id):
            if each.mailbox.name != TRASH:
                with suppress(NotFoundError):  # removed by another session meanwhile
                    found.append(await self._mailboxes.open(account_id, each.mailbox.name))
        return found

    async def _found(self, entries: Sequence[Entry], words: Sequence[str]) -> list[Entry]:
        """Those that have all the words, in heading or text. Texts are read of those in doubt only."""
        known = await self._mailboxes.contents(entries)
        headings = await self._headings.of(list(known.values()))
        found: set[ContentId] = set()
        doubtful: list[tuple[Content, list[str]]] = []
        for content_id, content in known.items():
            missing = [word for word in words if word not in headings[content_id].folded]
            if missing:
                doubtful.append((content, missing))
            else:
                found.add(content_id)
        for start in range(0, len(doubtful), BATCH):
            batch = doubtful[start : start + BATCH]
            texts = await self._texts.of([content for content, _ in batch])
            for (content, missing), text in zip(batch, texts, strict=True):
                if all(word in text for word in missing):
                    found.add(content.id)
        return [each for each in entries if each.content_id in found]


def listed(entry: Entry, content: Content, *, folder: str) -> Listed:
    """A message as the list shows it."""
    return _listed(entry, content, read_heading(content.header), folder=folder)


def _listed(entry: Entry, content: Content, heading: Heading, *, folder: str) -> Listed:
    return Listed(
        mailbox_id=entry.mailbox_id,
        folder=folder,
        uid=entry.uid,
        kind=entry.kind,
        subject=heading.subject,
        sender=heading.sender,
        sender_address=heading.sender_address,
        at=entry.internal_date,
        size_octets=entry.size_octets,
        seen=SEEN in entry.flags,
        urgent=FLAGGED in entry.flags or heading.urgent,
        trashed_at=entry.trashed_at,
        duration_seconds=content.duration_seconds,
        pages=content.pages,
    )


def _merged(ranked: Sequence[Sequence[Entry]]) -> Sequence[Entry]:
    """All of them in one order."""
    if len(ranked) == 1:
        return ranked[0]
    return sorted(chain.from_iterable(ranked), key=rank, reverse=True)


def _cursor(entry: Entry) -> str:
    instant, uid, mailbox_id = rank(entry)
    return f"{instant}.{uid}.{mailbox_id}"


def _read_cursor(text: str) -> tuple[int, int, str]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidError("The cursor is none of ours")
    return int(match[1]), int(match[2]), match[3] or ""

"""The list of a folder as people read it: newest first, by kind, searched, a page at a time.

Laws:
- A page is of one instant; the cursor names the last message of a page, so that what arrives or
  goes meanwhile neither repeats nor hides another.
- Without a search only the messages of the page are looked at.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from um.core.errors import InvalidError
from um.core.ids import AccountId, ContentId, MailboxId, Uid
from um.core.message import FLAGGED, INBOX, SEEN, Content, Entry, MessageKind
from um.mime.authors import first_author
from um.mime.clean import clean_text
from um.mime.fields import Fields, parse_fields
from um.mime.headers import decode_text
from um.service.mailbox_view import MailboxView

MAX_PAGE = 200
MAX_SUBJECT = 300
FEW = 200
_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class Listed:
    """A message in the list. Texts are one line of visible characters, and still a stranger's."""

    mailbox_id: MailboxId
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
    messages: Sequence[Listed]
    total: int
    """Messages of the folder that fit kind and search."""
    unseen: int
    """Of those."""
    next: str | None
    """The cursor of the page that follows; None if this is the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be listed."""

    folder: str = INBOX
    kinds: Collection[MessageKind] = ()
    """Empty: all."""
    search: str = ""
    """Words that sender and subject must have, all of them, in any case."""
    limit: int = 50
    after: str | None = None
    """A page's `next`."""


class MessageList:
    """Pages over a view of mailboxes."""

    def __init__(self, mailboxes: MailboxView) -> None:
        self._mailboxes = mailboxes

    async def page(self, account_id: AccountId, wanted: Wanted) -> Page:
        """Raises NotFoundError for a folder that is not there, InvalidError for a wrong cursor."""
        if not 1 <= wanted.limit <= MAX_PAGE:
            raise InvalidError(f"A page has 1 to {MAX_PAGE} messages")
        after = _read_cursor(wanted.after) if wanted.after is not None else None
        snapshot = await self._mailboxes.open(account_id, wanted.folder)
        fitting = sorted(
            (each for each in snapshot.entries if not wanted.kinds or each.kind in wanted.kinds),
            key=_rank,
            reverse=True,
        )
        known: dict[ContentId, Content] = {}
        if words := wanted.search.casefold().split():
            known = await self._mailboxes.contents(fitting)
            fitting = await _found(fitting, known, words)
        rest = fitting if after is None else [each for each in fitting if _rank(each) < after]
        shown = rest[: wanted.limit]
        if not words:
            known = await self._mailboxes.contents(shown)
        return Page(
            folder=snapshot.mailbox.name,
            messages=[listed(each, known[each.content_id]) for each in shown if _in(each, known)],
            total=len(fitting),
            unseen=sum(SEEN not in each.flags for each in fitting),
            next=_cursor(shown[-1]) if len(rest) > len(shown) else None,
        )


def listed(entry: Entry, content: Content) -> Listed:
    """A message as the list shows it."""
    fields = parse_fields(content.header)
    sender, address = first_author(fields)
    return Listed(
        mailbox_id=entry.mailbox_id,
        uid=entry.uid,
        kind=entry.kind,
        subject=_subject(fields),
        sender=sender,
        sender_address=address,
        at=entry.internal_date,
        size_octets=entry.size_octets,
        seen=SEEN in entry.flags,
        urgent=FLAGGED in entry.flags or _is_urgent(fields),
        trashed_at=entry.trashed_at,
        duration_seconds=content.duration_seconds,
        pages=content.pages,
    )


async def _found(
    entries: list[Entry], known: Mapping[ContentId, Content], words: Sequence[str]
) -> list[Entry]:
    """Those that have the words; many are looked at in a thread: the loop has others to serve."""

    def look() -> list[Entry]:
        return [each for each in entries if _has(each, known, words)]

    return look() if len(entries) <= FEW else await asyncio.to_thread(look)


def _in(entry: Entry, known: Mapping[ContentId, Content]) -> bool:
    """Whether it has not been expunged since the snapshot."""
    return entry.content_id in known


def _has(entry: Entry, known: Mapping[ContentId, Content], words: Sequence[str]) -> bool:
    content = known.get(entry.content_id)
    if content is None:
        return False
    fields = parse_fields(content.header)
    text = " ".join((_subject(fields), *first_author(fields))).casefold()
    # A number is written with spaces; who looks for one may leave them out.
    packed = text.replace(" ", "").replace("-", "")
    return all(word in text or word in packed for word in words)


def _subject(fields: Fields) -> str:
    return clean_text(decode_text(fields.first(b"subject") or b""), MAX_SUBJECT)


def _is_urgent(fields: Fields) -> bool:
    return (fields.first(b"importance") or b"").strip().lower() == b"high"


def _rank(entry: Entry) -> tuple[int, int]:
    return int(entry.internal_date.timestamp() * 1_000_000), entry.uid


def _cursor(entry: Entry) -> str:
    instant, uid = _rank(entry)
    return f"{instant}.{uid}"


def _read_cursor(text: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidError("The cursor is none of ours")
    return int(match[1]), int(match[2])

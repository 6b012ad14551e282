"""FETCH (RFC 3501 §6.4.5): the hot path.

Laws:
- What the index holds is rendered without a look at the message; bodies go out in slices of the
  blob, written as the client reads, so that no message is ever held whole.
- A message that is gone is left out, and FETCH by number then ends with NO [EXPUNGEISSUED]
  (RFC 2180 §4.1.2); by UID that is no error.
- A literal that was begun is finished, or the connection is cut: never padded, never short.
"""

from collections.abc import Callable, Sequence

from imap_server.commands.condstore import changed
from imap_server.commands.preview import preview
from imap_server.context import Context, Reply
from imap_server.errors import BrokenResponseError
from imap_server.selected import Selected
from imap_server.wire import commands as c
from imap_server.wire.dates import format_date_time
from imap_server.wire.fetch import Attribute, FetchItem, Preview, Section
from um.core.errors import NotFoundError, ReadOnlyError, UMError
from um.core.ids import AccountId, BlobKey, ContentId, Uid
from um.core.message import SEEN, Content, Entry, FlagOperation, MessageKind
from um.mime.headers import select_fields
from um.mime.index import PartIndex
from um.service.mailboxes import GoneError

BATCH = 100
"""Messages between two looks at the loop; their contents are read together."""
SLICE_OCTETS = 128 * 1024
AHEAD = 8
"""Messages whose first slices are read side by side: about a megabyte."""
WRITE_OCTETS = 64 * 1024
MAX_ITEMS = 100
NO_CONTENT = Content(
    id=ContentId(""),
    account_id=AccountId(""),
    blob=BlobKey(""),
    kind=MessageKind.MAIL,
    size_octets=0,
    envelope=b"",
    body=b"",
    bodystructure=b"",
    structure=b"",
    header=b"",
)
"""Stands in where no item looks at the content."""
_NEEDS_CONTENT = (Attribute.ENVELOPE, Attribute.BODY, Attribute.BODYSTRUCTURE)


async def fetch(context: Context, command: c.Fetch) -> Reply:
    """RFC 3501 §6.4.5; UID FETCH always tells the UID (§6.4.8)."""
    uids = context.view.resolve(command.messages, by_uid=command.by_uid)
    items = list(dict.fromkeys(command.items))[:MAX_ITEMS]
    if command.changed_since is not None:
        uids = await changed(context, command, uids)
        items.append(Attribute.MODSEQ)
    if Attribute.MODSEQ in items:
        context.use_condstore()
    if context.view.condstore and _tells_flags(items) and Attribute.MODSEQ not in items:
        items.append(Attribute.MODSEQ)
    items = list(dict.fromkeys(items))
    if command.by_uid and Attribute.UID not in items:
        items.insert(0, Attribute.UID)
    writer = _Fetch(context, items)
    for start in range(0, len(uids), BATCH):
        await writer.batch(uids[start : start + BATCH])
    await writer.flush()
    if writer.missed and not command.by_uid:
        raise GoneError
    return Reply("FETCH completed")


def _tells_flags(items: Sequence[FetchItem]) -> bool:
    """Whether FLAGS are asked for, or may change (RFC 7162 §3.1: MODSEQ goes with them)."""
    return Attribute.FLAGS in items or any(
        isinstance(item, Section) and not item.peek for item in items
    )


class _Fetch:
    """One FETCH under way."""

    def __init__(self, context: Context, items: Sequence[FetchItem]) -> None:
        self.missed = False
        self._context = context
        self._view = context.view
        self._sections = [item for item in items if isinstance(item, Section)]
        self._render = [_RENDER[item] for item in items if isinstance(item, Attribute)]
        self._previews = [item for item in items if isinstance(item, Preview)]
        self._tells_flags = Attribute.FLAGS in items
        self._tells_uid = Attribute.UID in items
        self._needs_content = bool(self._sections or self._previews) or any(
            each in items for each in _NEEDS_CONTENT
        )
        self._marks_seen = not self._view.read_only and any(
            not section.peek for section in self._sections
        )
        self._ahead: dict[tuple[BlobKey, int], bytes] = {}
        self._output: list[bytes] = []
        self._size = 0

    async def batch(self, uids: Sequence[Uid]) -> None:
        """Fetch these messages."""
        view = self._view
        seen_now = await self._mark_seen(uids) if self._marks_seen else frozenset()
        contents = {}
        if self._needs_content:
            mailboxes = self._context.mailboxes
            contents = await mailboxes.contents([view.entries[uid] for uid in uids])
        number = view.number(uids[0]) - 1
        for place, uid in enumerate(uids):
            number += 1
            if self._sections and place % AHEAD == 0:
                entries = [view.entries[each] for each in uids[place : place + AHEAD]]
                await self._read_ahead([contents.get(each.content_id) for each in entries])
            if view.uids[number - 1] != uid:  # the set has a gap
                number = view.number(uid)
            entry = view.entries[uid]
            content = contents.get(entry.content_id)
            if self._needs_content and content is None:
                self.missed = True
                continue
            head = [render(view, entry, content or NO_CONTENT) for render in self._render]
            if uid in seen_now and not self._tells_flags:
                head.append(b"FLAGS " + view.flags(uid))
            if content is not None and self._previews:
                text = await preview(self._context, content, lazy=self._previews[0].lazy)
                head.append(b"PREVIEW " + text)
            if content is not None and self._sections:
                await self._message(number, head, content)
            else:
                self._put(b"* %d FETCH (%b)\r\n" % (number, b" ".join(head)))
            if self._size >= WRITE_OCTETS:
                await self.flush()
        await self._context.drain()

    async def flush(self) -> None:
        """Write what is put together, and wait for the client if it is slow."""
        if self._output:
            self._context.write(b"".join(self._output))
            self._output.clear()
            self._size = 0
        await self._context.drain()

    def _put(self, data: bytes) -> None:
        self._output.append(data)
        self._size += len(data)

    async def _mark_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        r"""BODY[…] sets \Seen (RFC 3501 §6.4.5); those that it changed are told with their flags."""
        view, context = self._view, self._context
        unseen = [
            uid for uid in uids if SEEN not in view.entries[uid].flags and not view.is_gone(uid)
        ]
        if not unseen:
            return frozenset()
        try:
            entries = await context.mailboxes.change_flags(
                context.account_id,
                view.mailbox_id,
                uids=unseen,
                operation=FlagOperation.ADD,
                flags=(SEEN,),
            )
        except (ReadOnlyError, NotFoundError):
            return frozenset()
        return frozenset(view.stored(entries, FlagOperation.ADD, (SEEN,), silent=False))

    async def _message(self, number: int, head: list[bytes], content: Content) -> None:
        """One message with sections. Until its first octets are there nothing of it is put out."""
        begun = False
        lead = b"* %d FETCH (" % number + b"".join(item + b" " for item in head)
        for section in self._sections:
            span = _span(content, section)
            if span is None:
                lead += section.label + b" NIL "
                continue
            if isinstance(span, bytes):
                lead += _literal(section.label, len(span)) + span + b" "
                continue
            start, end = span
            try:
                piece = await self._read(content, start, end)
                if section.fields is not None:
                    piece = await self._fields(content, section, piece, start, end)
                    start, end = 0, len(piece)
            except UMError as error:
                self._fail(error, begun=begun)
                return
            begun = True
            self._put(lead + _literal(section.label, end - start))
            self._put(piece)
            lead = b" "
            await self._rest(content, start + len(piece), end)
        self._put(lead.removesuffix(b" ") + b")\r\n")

    def _fail(self, error: UMError, *, begun: bool) -> None:
        if begun:
            raise BrokenResponseError from error
        if not isinstance(error, NotFoundError):
            raise error
        self.missed = True

    async def _fields(
        self, content: Content, section: Section, piece: bytes, start: int, end: int
    ) -> bytes:
        """HEADER.FIELDS of a message within the message."""
        header = piece
        while start + len(header) < end:
            header += await self._read(content, start + len(header), end)
        return _partial(_selected_fields(header, section), section)

    async def _read_ahead(self, contents: Sequence[Content | None]) -> None:
        """Read the first slice of the first section of these messages, all at once."""
        wanted = []
        for content in contents:
            span = _span(content, self._sections[0]) if content is not None else None
            if content is not None and isinstance(span, tuple) and span[0] < span[1]:
                wanted.append((content, span[0], min(span[1] - span[0], SLICE_OCTETS)))
        self._ahead.clear()
        if len(wanted) > 1:
            read = await self._context.mailboxes.octets_of(wanted)
            for (content, start, _), octets in zip(wanted, read, strict=True):
                if octets is not None:
                    self._ahead[content.blob, start] = octets

    async def _read(self, content: Content, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        length = min(end - start, SLICE_OCTETS)
        piece = self._ahead.pop((content.blob, start), b"")
        if len(piece) != length:
            piece = await self._context.mailboxes.octets(content, start, length)
        if len(piece) != length:
            raise NotFoundError("The message body is shorter than it was")
        return piece

    async def _rest(self, content: Content, start: int, end: int) -> None:
        """Go on with a literal that was begun, slice by slice, at the client's pace."""
        while start < end:
            await self.flush()
            try:
                piece = await self._read(content, start, end)
            except UMError as error:
                raise BrokenResponseError from error
            self._put(piece)
            start += len(piece)


def _span(content: Content, section: Section) -> tuple[int, int] | bytes | None:
    """Where the section's octets are: in the blob, at hand, or nowhere."""
    if not section.path and section.what == "HEADER":
        header = content.header
        if section.fields is not None:
            header = _selected_fields(header, section)
        return _partial(header, section)
    if not section.path and not section.what:
        whole: tuple[int, int] | None = (0, content.size_octets)
    else:
        whole = PartIndex.decode(content.structure).span(section.path, section.what)
    if whole is None or section.start is None or section.fields is not None:
        return whole
    start = min(whole[0] + section.start, whole[1])
    return start, min(start + section.count, whole[1])


def _selected_fields(header: bytes, section: Section) -> bytes:
    names = [name.decode("ascii") for name in section.fields or ()]
    return select_fields(header, names, negate=section.negate)


def _partial(octets: bytes, section: Section) -> bytes:
    if section.start is None:
        return octets
    return octets[section.start : section.start + section.count]


def _literal(label: bytes, size: int) -> bytes:
    return b"%b {%d}\r\n" % (label, size)


# -- what the index holds -------------------------------------------------------------------------

Render = Callable[[Selected, Entry, Content], bytes]

_RENDER: dict[Attribute, Render] = {
    Attribute.SAVEDATE: lambda _view, entry, _content: (
        b"SAVEDATE " + format_date_time(entry.saved_at)
    ),
    Attribute.EMAILID: lambda _view, entry, _content: (
        b"EMAILID (" + entry.content_id.encode("ascii") + b")"
    ),
    Attribute.THREADID: lambda _view, _entry, _content: b"THREADID NIL",
    Attribute.MODSEQ: lambda _view, entry, _content: b"MODSEQ (%d)" % entry.modseq,
    Attribute.UID: lambda _view, entry, _content: b"UID %d" % entry.uid,
    Attribute.FLAGS: lambda view, entry, _content: b"FLAGS " + view.flags(entry.uid),
    Attribute.INTERNALDATE: lambda _view, entry, _content: (
        b"INTERNALDATE " + format_date_time(entry.internal_date)
    ),
    Attribute.SIZE: lambda _view, entry, _content: b"RFC822.SIZE %d" % entry.size_octets,
    Attribute.ENVELOPE: lambda _view, _entry, content: b"ENVELOPE " + content.envelope,
    Attribute.BODY: lambda _view, _entry, content: b"BODY " + content.body,
    Attribute.BODYSTRUCTURE: lambda _view, _entry, content: (
        b"BODYSTRUCTURE " + content.bodystructure
    ),
}

"""FETCH (RFC 3501 §6.4.5): the hot path.

Laws:
- What the index holds is rendered without a look at the message; bodies go out in slices of the
  blob, written as the client reads, so that no message is ever held whole.
- A message that is gone is left out, and FETCH by number then ends with NO [EXPUNGEISSUED]
  (RFC 2180 §4.1.2); by UID that is no error.
- A literal that was begun is finished, or the connection is cut: never padded, never short.
"""

from collections.abc import Sequence
from dataclasses import replace

from imap_server.commands.binary import Surveyed, pieces, start_of, survey_all
from imap_server.commands.condstore import changed
from imap_server.commands.preview import preview
from imap_server.context import Context, Reply
from imap_server.errors import BrokenResponseError, SessionOverError, UnknownEncodingError
from imap_server.rows import NO_CONTENT, Batch, Rows, numbers_of
from imap_server.sections import chosen_fields, partial, span_of
from imap_server.wire import commands as c
from imap_server.wire.fetch import Attribute, Binary, FetchItem, Preview, Section
from um.core.errors import NotFoundError, ReadOnlyError, UMError, UnavailableError
from um.core.ids import BlobKey, Uid
from um.core.message import SEEN, Content, FlagOperation
from um.service.mailboxes import GoneError

BATCH = 100
"""Messages between two looks at the loop; their contents are read together."""
BATCH_OF_ENTRIES = 1000
"""Where no content is asked for: a quarter of a millisecond."""
SLICE_OCTETS = 128 * 1024
AHEAD = 8
"""Messages whose first slices are read side by side: about a megabyte."""
WRITE_OCTETS = 256 * 1024
"""Sent at once: each sending wakes the client up, and costs more than the copy of what is sent."""
FEW_PIECES = 16
"""More are joined: bodies are few and large, rows many and small."""
_NEEDS_CONTENT = (Attribute.ENVELOPE, Attribute.BODY, Attribute.BODYSTRUCTURE)


async def fetch(context: Context, command: c.Fetch) -> Reply:
    """RFC 3501 §6.4.5; UID FETCH always tells the UID (§6.4.8)."""
    uids = context.view.resolve(command.messages, by_uid=command.by_uid)
    items = list(dict.fromkeys(command.items))
    if command.changed_since is not None:
        uids = await changed(context, command, uids)
        items.append(Attribute.MODSEQ)
    if Attribute.MODSEQ in items:
        context.use_condstore()
    if context.view.condstore and _tells_flags(items) and Attribute.MODSEQ not in items:
        items.append(Attribute.MODSEQ)
    items = list(dict.fromkeys(items))
    # RFC 7162 §3.2.4: with mod-sequences the UID goes with flags that change unasked, too.
    tells_uid = command.by_uid or (context.view.condstore and _may_mark_seen(items))
    if tells_uid and Attribute.UID not in items:
        items.insert(0, Attribute.UID)
    writer = _Fetch(context, items)
    for start in range(0, len(uids), writer.batch_size):
        await writer.batch(uids[start : start + writer.batch_size])
    await writer.flush()
    if writer.unknown_encoding:
        raise UnknownEncodingError
    if writer.missed and not command.by_uid:
        raise GoneError
    return Reply("FETCH completed")


async def tell_items(context: Context, uids: Sequence[Uid], items: Sequence[FetchItem]) -> None:
    """Tell these of messages that have arrived, unasked (RFC 5465 §5.2): it reads none of them."""
    told = dict.fromkeys((Attribute.UID, *items))
    if context.view.condstore:  # RFC 7162 §3.2.4: with all that is told unasked
        told[Attribute.MODSEQ] = None
    peeking = [
        replace(item, peek=True) if isinstance(item, Section | Binary) else item for item in told
    ]
    writer = _Fetch(context, peeking)
    for start in range(0, len(uids), BATCH):
        await writer.batch(uids[start : start + BATCH])


def _tells_flags(items: Sequence[FetchItem]) -> bool:
    """Whether FLAGS are asked for, or may change (RFC 7162 §3.1: MODSEQ goes with them)."""
    return Attribute.FLAGS in items or _may_mark_seen(items)


def _may_mark_seen(items: Sequence[FetchItem]) -> bool:
    return any(isinstance(item, Section | Binary) and not item.peek for item in items)


class _Fetch:
    """One FETCH under way."""

    def __init__(self, context: Context, items: Sequence[FetchItem]) -> None:
        self.missed = False
        self.unknown_encoding = False
        self._context = context
        self._view = context.view
        self._sections = [item for item in items if isinstance(item, Section | Binary)]
        attributes = [item for item in items if isinstance(item, Attribute)]
        self._rows = Rows(attributes, utf8=context.utf8)
        self._previews = [item for item in items if isinstance(item, Preview)]
        self._tells_flags = Attribute.FLAGS in items
        self._needs_content = bool(self._sections or self._previews) or any(
            each in items for each in _NEEDS_CONTENT
        )
        self._marks_seen = not self._view.read_only and any(
            not section.peek for section in self._sections
        )
        self._is_indexed = not (self._previews or self._marks_seen) and all(
            isinstance(item, Section) and not item.path and item.what == "HEADER"
            for item in self._sections
        )
        """Whether nothing but the index is looked at: whole rows are put together at once."""
        self._ahead: dict[tuple[BlobKey, int], bytes] = {}
        self._output: list[bytes] = []
        self._size = 0

    @property
    def batch_size(self) -> int:
        """How many messages are rendered between two looks at the loop."""
        return BATCH if self._needs_content else BATCH_OF_ENTRIES

    async def batch(self, uids: Sequence[Uid]) -> None:
        """Fetch these messages."""
        seen_now = await self._mark_seen(uids) if self._marks_seen else frozenset()
        numbers, batch = await self._load(uids)
        if self._is_indexed:
            headers = [self._headers(section, batch.contents) for section in self._sections]
            self._put(b"".join(self._rows.lines(numbers, batch, headers)))
        else:
            await self._messages(numbers, batch, seen_now)
        await self.flush()

    async def _load(self, uids: Sequence[Uid]) -> tuple[Sequence[int], Batch]:
        """Their entries and contents, as far as they are there."""
        view = self._view
        numbers = numbers_of(view, uids)
        entries = view.entries.many(uids)
        if not self._needs_content:
            return numbers, Batch(view, entries, [NO_CONTENT] * len(entries))
        found = await self._context.mailboxes.contents(entries)
        contents = [found.get(each.content_id) for each in entries]
        if None in contents:
            self.missed = True
            there = [place for place, content in enumerate(contents) if content is not None]
            numbers = [numbers[place] for place in there]
            entries = [entries[place] for place in there]
        return numbers, Batch(view, entries, [each for each in contents if each is not None])

    async def _messages(
        self, numbers: Sequence[int], batch: Batch, seen_now: frozenset[Uid]
    ) -> None:
        heads = self._rows.heads(batch)
        for place, (entry, content) in enumerate(zip(batch.entries, batch.contents, strict=True)):
            if self._sections and place % AHEAD == 0:
                await self._read_ahead(batch.contents[place : place + AHEAD])
            head = [heads[place]] if heads[place] else []
            if entry.uid in seen_now and not self._tells_flags:
                head.append(b"FLAGS " + self._view.flags(entry.uid))
            if self._previews:
                text = await preview(self._context, content, lazy=self._previews[0].lazy)
                head.append(b"PREVIEW " + text)
            if self._sections:
                await self._message(numbers[place], head, content)
            else:
                self._put(b"* %d FETCH (%b)\r\n" % (numbers[place], b" ".join(head)))
            if self._size >= WRITE_OCTETS:
                await self.flush()

    async def flush(self) -> None:
        """Write what is put together, and wait for the client if it is slow."""
        if len(self._output) > FEW_PIECES:
            self._context.write(b"".join(self._output))
        elif self._output:
            self._context.write_all(self._output)
        self._output.clear()
        self._size = 0
        await self._context.drain()

    async def _flush_within(self, *, begun: bool) -> None:
        """As `flush`, where a response may have `begun`: there is no place in it for a BYE."""
        try:
            await self.flush()
        except SessionOverError as over:
            if begun:
                raise BrokenResponseError from over
            raise

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
        except UnavailableError:
            # To be read is what was asked for, and no write is tried again.
            self._marks_seen = False
            return frozenset()
        if (
            view.condstore
        ):  # what others changed before has a lower mod-sequence than what is told here
            context.expect_change()
        return frozenset(view.stored(entries, FlagOperation.ADD, (SEEN,), silent=False))

    async def _message(self, number: int, head: list[bytes], content: Content) -> None:
        """One message with sections. Until its first octets are there nothing of it is put out."""
        begun = False
        lead = b"* %d FETCH (" % number + b"".join(item + b" " for item in head)
        try:
            binary = [item for item in self._sections if isinstance(item, Binary)]
            surveyed = await survey_all(self._context, self._read, content, binary)
        except UMError as error:
            self._fail(error, begun=begun)
            return
        for section in self._sections:
            if isinstance(section, Binary):
                found = surveyed[section]
                lead += section.label + b" " + start_of(section, found)
                if found is not None and not section.size_only:
                    begun = True
                    self._put(lead)
                    await self._put_decoded(content, section, found)
                    lead = b""
                lead += b" "
                continue
            span = self._span(content, section)
            if span is None:
                lead += section.label + b" NIL "
                continue
            if isinstance(span, bytes):
                lead += b"%b {%d}\r\n%b " % (section.label, len(span), span)
                continue
            start, end = span
            try:
                piece = await self._read(content, start, end)
                if section.fields is not None:
                    piece = await self._fields(content, section, piece, start, end)
                    start, end = 0, len(piece)
                    await self._flush_within(begun=begun)
            except UMError as error:
                self._fail(error, begun=begun)
                return
            begun = True
            self._put(lead + _literal(section.label, end - start))
            self._put(piece)
            lead = b" "
            await self._rest(content, start + len(piece), end)
        self._put(lead.removesuffix(b" ") + b")\r\n")

    async def _put_decoded(self, content: Content, item: Binary, found: Surveyed) -> None:
        if found.kept is not None:
            for piece in found.kept:
                self._put(piece)
            return
        told = 0
        try:
            async for piece in pieces(self._read, content, item, found):
                self._put(piece)
                told += len(piece)
                await self._flush_within(begun=True)
        except UMError as error:
            raise BrokenResponseError from error
        if told != found.size_octets:
            raise BrokenResponseError

    def _fail(self, error: UMError, *, begun: bool) -> None:
        if begun:
            raise BrokenResponseError from error
        if isinstance(error, UnknownEncodingError):
            self.unknown_encoding = True
            return
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
        return partial(chosen_fields(header, section), section)

    def _span(self, content: Content, section: Section) -> tuple[int, int] | bytes | None:
        """Where the section's octets are: in the blob, at hand, or nowhere."""
        if section.path or section.what != "HEADER":
            return span_of(content, section)
        if section.fields is None:
            return partial(content.header, section)
        return partial(chosen_fields(content.header, section), section)

    def _headers(self, section: Section | Binary, contents: Sequence[Content]) -> list[bytes]:
        """The item of each message; what was chosen of a header is kept for the next FETCH."""
        assert isinstance(section, Section)
        fields = self._context.services.fields
        name = b"%b %d" % (section.label, section.count)
        if section.fields is None:
            return [_whole(section, partial(each.header, section)) for each in contents]
        items = []
        for content in contents:
            item = fields.get(name, content.id)
            if item is None:
                chosen = partial(chosen_fields(content.header, section), section)
                item = _whole(section, chosen)
                fields.put(name, content.id, item)
            items.append(item)
        return items

    async def _read_ahead(self, contents: Sequence[Content]) -> None:
        """Read the first slice of the first section of these messages, all at once.

        If the first of them is in the kernel's memory, so are the others, most likely: then each is
        read in its turn, without a thread.
        """
        section = self._sections[0]
        self._ahead.clear()
        if isinstance(section, Binary):
            return
        if not section.path and section.what == "HEADER":
            return
        wanted = []
        for content in contents:
            span = span_of(content, section)
            if span is not None and span[0] < span[1]:
                wanted.append((content, span[0], min(span[1] - span[0], SLICE_OCTETS)))
        if len(wanted) < 2 or self._at_hand(*wanted[0]):
            return
        read = await self._context.mailboxes.octets_of(wanted)
        for (content, start, _), octets in zip(wanted, read, strict=True):
            if octets is not None:
                self._ahead[content.blob, start] = octets

    def _at_hand(self, content: Content, start: int, length: int) -> bool:
        octets = self._context.mailboxes.octets_at_once(content, start, length)
        if octets is None:
            return False
        self._ahead[content.blob, start] = octets
        return True

    async def _read(self, content: Content, start: int, end: int) -> bytes:
        if start >= end:
            return b""
        length = min(end - start, SLICE_OCTETS)
        mailboxes = self._context.mailboxes
        piece = self._ahead.pop((content.blob, start), None)
        if piece is None or len(piece) != length:
            piece = mailboxes.octets_at_once(content, start, length)
        if piece is None:
            piece = await mailboxes.octets(content, start, length)
        if len(piece) != length:
            raise NotFoundError("The message body is shorter than it was")
        return piece

    async def _rest(self, content: Content, start: int, end: int) -> None:
        """Go on with a literal that was begun, slice by slice, at the client's pace."""
        while start < end:
            await self._flush_within(begun=True)
            try:
                piece = await self._read(content, start, end)
            except UMError as error:
                raise BrokenResponseError from error
            self._put(piece)
            start += len(piece)


def _whole(section: Section, octets: bytes) -> bytes:
    return b"%b {%d}\r\n%b" % (section.label, len(octets), octets)


def _literal(label: bytes, size: int) -> bytes:
    return b"%b {%d}\r\n" % (label, size)

"""What the index holds of messages, as octets for FETCH: a column for each item, many rows at once.

Laws: a row is put together by one `%` of one template, so that a thousand cost a fraction of a
millisecond; nothing here looks at a message's own octets.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from imap_server.selected import Selected, render_flags
from imap_server.wire.dates import format_date_time
from imap_server.wire.fetch import Attribute
from um.core.ids import AccountId, BlobKey, ContentId, Uid
from um.core.message import Content, Entry, MessageKind
from um.mime.downgrade import envelope_in_ascii, structure_in_ascii

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


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of a view that are fetched together."""

    view: Selected
    entries: Sequence[Entry]
    contents: Sequence[Content]
    """Of each entry, `NO_CONTENT` where none is needed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One FETCH item: its part of the template, and its values for a batch."""

    template: bytes
    values: Callable[[Batch], Iterable[Any]]


def _flags(batch: Batch) -> list[bytes]:
    recent = batch.view.recent
    rendered = {
        flags: render_flags(flags, recent=False) for flags in {e.flags for e in batch.entries}
    }
    if not recent:
        return [rendered[each.flags] for each in batch.entries]
    return [
        render_flags(each.flags, recent=True) if each.uid in recent else rendered[each.flags]
        for each in batch.entries
    ]


def _dates(batch: Batch) -> list[bytes]:
    return [format_date_time(each.internal_date) for each in batch.entries]


COLUMNS: dict[Attribute, Column] = {
    Attribute.UID: Column(b"UID %d", lambda batch: [each.uid for each in batch.entries]),
    Attribute.FLAGS: Column(b"FLAGS %b", _flags),
    Attribute.MODSEQ: Column(b"MODSEQ (%d)", lambda batch: [each.modseq for each in batch.entries]),
    Attribute.INTERNALDATE: Column(b"INTERNALDATE %b", _dates),
    Attribute.SIZE: Column(
        b"RFC822.SIZE %d", lambda batch: [each.size_octets for each in batch.entries]
    ),
    Attribute.ENVELOPE: Column(
        b"ENVELOPE %b", lambda batch: [each.envelope for each in batch.contents]
    ),
    Attribute.BODY: Column(b"BODY %b", lambda batch: [each.body for each in batch.contents]),
    Attribute.BODYSTRUCTURE: Column(
        b"BODYSTRUCTURE %b", lambda batch: [each.bodystructure for each in batch.contents]
    ),
    Attribute.SAVEDATE: Column(
        b"SAVEDATE %b", lambda batch: [format_date_time(each.saved_at) for each in batch.entries]
    ),
    Attribute.EMAILID: Column(
        b"EMAILID (%b)", lambda batch: [each.content_id.encode("ascii") for each in batch.entries]
    ),
    Attribute.THREADID: Column(b"THREADID NIL", lambda _batch: ()),
}


def _envelopes_in_ascii(batch: Batch) -> list[bytes]:
    return [
        each.envelope if each.envelope.isascii() else envelope_in_ascii(each.header)
        for each in batch.contents
    ]


COLUMNS_IN_ASCII: dict[Attribute, Column] = COLUMNS | {
    Attribute.ENVELOPE: Column(b"ENVELOPE %b", _envelopes_in_ascii),
    Attribute.BODY: Column(
        b"BODY %b", lambda batch: [structure_in_ascii(each.body) for each in batch.contents]
    ),
    Attribute.BODYSTRUCTURE: Column(
        b"BODYSTRUCTURE %b",
        lambda batch: [structure_in_ascii(each.bodystructure) for each in batch.contents],
    ),
}
"""For who has not turned UTF-8 on (RFC 6855 §7): 8-bit headers are told in surrogates."""


class Rows:
    """The items of one FETCH that come from the index."""

    def __init__(self, items: Iterable[Attribute], *, utf8: bool) -> None:
        table = COLUMNS if utf8 else COLUMNS_IN_ASCII
        columns = [table[item] for item in items]
        self._template = b" ".join(column.template for column in columns)
        self._columns = [column.values for column in columns if b"%" in column.template]

    def heads(self, batch: Batch) -> list[bytes]:
        """The items of each message, without parentheses; empty if there are none."""
        if not self._columns:
            return [self._template] * len(batch.entries)
        values = [column(batch) for column in self._columns]
        return [self._template % row for row in zip(*values, strict=True)]

    def lines(
        self, numbers: Sequence[int], batch: Batch, more: Sequence[Iterable[bytes]] = ()
    ) -> list[bytes]:
        """Whole responses: `* n FETCH (…)`; `more` are columns of items behind the others."""
        items = [self._template] if self._template else []
        template = b"* %d FETCH (" + b" ".join([*items, *[b"%b"] * len(more)]) + b")\r\n"
        values = [*(column(batch) for column in self._columns), *more]
        return [template % row for row in zip(numbers, *values, strict=True)]


def numbers_of(view: Selected, uids: Sequence[Uid]) -> Sequence[int]:
    """The message numbers of ascending, announced UIDs."""
    first = view.number(uids[0])
    if list(view.uids[first - 1 : first - 1 + len(uids)]) == list(uids):
        return range(first, first + len(uids))
    return [view.number(uid) for uid in uids]


def flag_lines(view: Selected, uids: Sequence[Uid]) -> bytes:
    """`* n FETCH (UID u FLAGS (…))` of each, with MODSEQ for who has turned that on."""
    if len(uids) <= 1:
        return b"".join([view.fetch_flags(uid) for uid in uids])
    items = [Attribute.UID, Attribute.FLAGS]
    if view.condstore:
        items.append(Attribute.MODSEQ)
    entries = view.entries.many(uids)
    batch = Batch(view, entries, [NO_CONTENT] * len(entries))
    return b"".join(Rows(items, utf8=False).lines(numbers_of(view, uids), batch))

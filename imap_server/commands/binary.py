"""BINARY (RFC 3516): parts without their transfer encoding, with as little memory as bodies take.

Laws: the size stands before the octets, so that a part is decoded twice unless it is small; what is
held of it is bounded. An encoding that nobody knows is found out before anything is told.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from imap_server.context import Context
from imap_server.errors import UnknownEncodingError
from imap_server.wire.fetch import Binary
from um.core.message import Content
from um.mime.fields import parse_fields
from um.mime.index import IndexedPart, PartIndex, Shape
from um.mime.parameters import token
from um.mime.transfer import Decoder, decoder

Read = Callable[[Content, int, int], Awaitable[bytes]]
"""Octets of a message from one offset towards another: one slice, at least one octet."""
KEEP_OCTETS = 512 * 1024
"""Of all parts of a message together."""
HEADER_OCTETS = 64 * 1024
"""Of a part's header so much is looked at."""


@dataclass(slots=True)
class Surveyed:
    """What is known of a part before its octets are told."""

    part: IndexedPart
    encoding: bytes
    size_octets: int = 0
    """Decoded, of the part asked for."""
    has_nul: bool = False
    kept: list[bytes] | None = field(default_factory=list)
    """All of it, if it is small."""


async def survey_all(
    context: Context, read: Read, content: Content, items: Iterable[Binary]
) -> dict[Binary, Surveyed | None]:
    """What is known of all these parts of one message. Raises UnknownEncodingError."""
    room = KEEP_OCTETS
    surveyed: dict[Binary, Surveyed | None] = {}
    for item in items:
        found = await _survey(context, read, content, item, keep_octets=room)
        surveyed[item] = found
        if found is not None and found.kept is not None:
            room -= found.size_octets
    return surveyed


async def _survey(
    context: Context, read: Read, content: Content, item: Binary, *, keep_octets: int
) -> Surveyed | None:
    """Decode the part to see what it is; None if there is none."""
    part = PartIndex.decode(content.structure).part(item.path)
    if part is None:
        return None
    encoding = b""
    if item.path and part.shape is Shape.LEAF:
        encoding = await _encoding(read, content, part)
    found = Surveyed(part, encoding)
    async for piece in pieces(read, content, item, found):
        found.size_octets += len(piece)
        found.has_nul = found.has_nul or b"\0" in piece
        if found.kept is not None:
            found.kept.append(piece)
            if item.size_only or found.size_octets > keep_octets:
                found.kept = None
        await context.drain()
    return found


async def pieces(
    read: Read, content: Content, item: Binary, found: Surveyed
) -> AsyncIterator[bytes]:
    """The decoded octets that the item asks for, slice by slice."""
    undo = decoder(found.encoding)
    if undo is None:
        raise UnknownEncodingError
    skip = item.start or 0
    left = found.part.end if item.start is None else item.count
    async for piece in _decoded(read, content, found.part, undo, whole=not item.path):
        wanted = piece[skip : skip + left]
        skip = max(0, skip - len(piece))
        left -= len(wanted)
        if wanted:
            yield wanted
        if not left:
            return


async def _decoded(
    read: Read, content: Content, part: IndexedPart, undo: Decoder, *, whole: bool
) -> AsyncIterator[bytes]:
    at = part.start if whole else part.body
    while at < part.end:
        piece = await read(content, at, part.end)
        at += len(piece)
        yield undo.feed(piece)
    yield undo.finish()


async def _encoding(read: Read, content: Content, part: IndexedPart) -> bytes:
    end = min(part.body, part.start + HEADER_OCTETS)
    header = b""
    while part.start + len(header) < end:
        header += await read(content, part.start + len(header), end)
    value = parse_fields(header).last(b"content-transfer-encoding")
    return (token(value) or value) if value else b""


def start_of(item: Binary, found: Surveyed | None) -> bytes:
    """What stands behind the item's name: the size, or all of a literal but its octets."""
    if found is None:
        return b"0" if item.size_only else b"NIL"
    if item.size_only:
        return b"%d" % found.size_octets
    return b"%b{%d}\r\n" % (b"~" if found.has_nul else b"", found.size_octets)

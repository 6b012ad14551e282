"""The readable text of a message, for SEARCH BODY and TEXT: text parts decoded, bounded."""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from um.mime.charsets import decode_octets
from um.mime.fields import MAX_HEADER_OCTETS, Fields, parse_fields
from um.mime.headers import decode_text
from um.mime.index import IndexedPart, PartIndex, Shape
from um.mime.markup import words_of
from um.mime.parameters import ContentType, content_type
from um.mime.sparse import Octets

DEFAULT_LIMIT_OCTETS = 4 * 1024 * 1024
"""Of each message's text, as transferred: more is not searched."""
PREVIEWED_OCTETS = 64 * 1024
"""Of a part, as transferred: its first words are looked for there."""
REMEMBERED_OCTETS = 512
"""Headers of parts are few and short: programs write the same again and again."""

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True)
class Searchable:
    """What a message can be found by, its own header apart."""

    body: str
    """The text parts and the headers of messages within it."""
    fields: str
    """The header fields of its parts, where the names of attachments stand."""


def searchable_text(
    data: Octets, index: PartIndex, *, limit_octets: int = DEFAULT_LIMIT_OCTETS
) -> Searchable:
    """The text in `data`, decoded. Raises nothing but what a slice of `data` does."""
    pieces: list[str] = []
    headers: list[str] = []
    for part, encapsulated in _parts(index.root):
        if limit_octets <= 0:
            break
        if part is not index.root:
            header = data[part.start : min(part.body, part.start + limit_octets)]
            (pieces if encapsulated else headers).append(decode_text(header))
            limit_octets -= len(header)
        if part.shape is not Shape.LEAF:
            continue
        header = data[part.start : min(part.body, part.start + MAX_HEADER_OCTETS)]
        form = _known_form(header) if len(header) <= REMEMBERED_OCTETS else _form(header)
        if form.charset is not None:
            octets = data[part.body : min(part.end, part.body + limit_octets)]
            limit_octets -= len(octets)
            pieces.append(decode_octets(_decoded(octets, form.encoding), form.charset))
    return Searchable("\n".join(pieces), "\n".join(headers))


def first_words(data: Octets, index: PartIndex, *, most: int = 2000) -> str:
    """What a reader sees first, without HTML's markup. Raises as above.

    Of alternatives the plainest stands first (RFC 2046 §5.1.4): the first part with words in it it is.
    """
    for part, _ in _parts(index.root):
        if part.shape is not Shape.LEAF:
            continue
        form = _form(data[part.start : min(part.body, part.start + MAX_HEADER_OCTETS)])
        if form.charset is None:
            continue
        octets = data[part.body : min(part.end, part.body + PREVIEWED_OCTETS)]
        text = decode_octets(_decoded(octets, form.encoding), form.charset)
        words = words_of(text, most=most) if form.is_html else text
        if words.strip():
            return words.lstrip()[:most]
    return ""


def transfer_decoded(octets: bytes, fields: Fields) -> bytes:
    """Undo the Content-Transfer-Encoding; what is broken is decoded as far as it goes."""
    return _decoded(octets, _encoding(fields))


@dataclass(frozen=True, slots=True)
class _Form:
    """How the text of a part is written."""

    charset: str | None
    """None if it is no text."""
    encoding: bytes
    is_html: bool


def _form(header: bytes) -> _Form:
    fields = parse_fields(header)
    value = fields.first(b"content-type")
    found = content_type(value) if value else None
    is_html = found is not None and found.subtype.lower() == b"html"
    return _Form(_text_charset(found), _encoding(fields), is_html)


_known_form = lru_cache(maxsize=1024)(_form)


def _encoding(fields: Fields) -> bytes:
    return (fields.last(b"content-transfer-encoding") or b"").lower()


def _decoded(octets: bytes, encoding: bytes) -> bytes:
    if encoding == b"base64":
        return _base64(octets)
    return quopri.decodestring(octets) if encoding == b"quoted-printable" else octets


def _base64(octets: bytes) -> bytes:
    digits = _NOT_BASE64.sub(b"", octets)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4))
    except binascii.Error:  # pragma: no cover - the digits were filtered
        return b""


def _text_charset(found: ContentType | None) -> str | None:
    """The charset of a text part (UTF-8 if it names none), None if the part is no text.

    What a mail server reports of a message (`message/delivery-status`) is text.
    """
    if found is None:
        return "utf-8"
    if found.type.lower() not in (b"text", b"message"):
        return None
    return (found.get(b"charset") or b"utf-8").decode("ascii", "replace")


def _parts(part: IndexedPart, *, encapsulated: bool = False) -> Iterator[tuple[IndexedPart, bool]]:
    """Parts in order, each with whether its header is that of a message within the message."""
    yield part, encapsulated
    for child in part.children:
        yield from _parts(child, encapsulated=part.shape is Shape.MESSAGE)

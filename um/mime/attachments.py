"""The documents in a message: which there are, what they hold, and how they go into another message.

Laws: any octets give a result, nothing raises; names and types are safe to write into a header.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from um.mime.charsets import decode_octets
from um.mime.clean import clean_filename
from um.mime.headers import decode_text, select_fields
from um.mime.parameters import parameter, token, token_with_parameters
from um.mime.structure import Part, parse_structure

WHOLE = ()
"""The path of a document that is the whole message."""

_SAFE_TYPE = re.compile(r"[a-z0-9]+/[a-z0-9.+-]+")
_CONTENT_FIELDS = (
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-Description",
    "Content-ID",
    "Content-Language",
)
_NAME = re.compile(r'\b(?:file)?name(\*?)[0-9]*\*?\s*=\s*("[^"]*"|[^;\s]+)', re.IGNORECASE)
_ENDINGS = {"audio/mpeg": ".mp3", "audio/wav": ".wav", "application/pdf": ".pdf"}


@dataclass(frozen=True, slots=True)
class Document:
    """A part of a message that is a file, by offsets into the message."""

    path: tuple[int, ...]
    """Part numbers from 1 (RFC 3501 §6.4.5)."""
    filename: str
    media_type: str
    body: int
    end: int
    encoding: str
    """Content-Transfer-Encoding in small letters."""


def documents(data: bytes) -> list[Document]:
    """The files in a message, in order: what is said to be an attachment, and what is no text."""
    return list(_documents(parse_structure(data), WHOLE))


def content(data: bytes, document: Document) -> bytes:
    """The file itself, decoded; as it stands if it cannot be."""
    body = data[document.body : document.end]
    if document.encoding == "base64":
        try:
            return base64.b64decode(re.sub(rb"[^A-Za-z0-9+/]", b"", body) + b"==")
        except binascii.Error:
            return body
    return quopri.decodestring(body) if document.encoding == "quoted-printable" else body


def plain_text(data: bytes) -> str:
    """The text of a message that is one text part."""
    root = parse_structure(data)
    return decode_octets(content(data, _leaf(root, (1,), "text")), None)


def file_names(fields: str) -> list[str]:
    """The names of files in the header fields of parts, as far as they can be read (RFC 2183, RFC 2231)."""
    found = []
    for star, value in _NAME.findall(fields):
        text = value.strip('"')
        found.append(unquote(text.rpartition("'")[2], errors="replace") if star else text)
    return found


def parts_to_copy(data: bytes, *, without_text: bool) -> list[bytes]:
    """The parts of a message as parts of another, octet for octet, each with its own fields.

    Args:
        data: the whole message.
        without_text: leave the first part out: the text that we wrote ourselves.
    """
    root = parse_structure(data)
    if root.type.media == b"multipart/mixed" and root.children:
        chosen = root.children[1:] if without_text else root.children
        return [data[part.start : part.end] for part in chosen]
    fields = select_fields(data[root.start : root.body], _CONTENT_FIELDS)
    return [fields + data[root.body : root.end]]


def _documents(part: Part, path: tuple[int, ...]) -> Iterator[Document]:
    if part.is_multipart:
        for number, child in enumerate(part.children, start=1):
            yield from _documents(child, (*path, number))
    elif found := _document(part, path or (1,)):
        yield found


def _document(part: Part, path: tuple[int, ...]) -> Document | None:
    disposition = token_with_parameters(part.fields.first(b"content-disposition") or b"")
    attached = disposition is not None and disposition[0].lower() == b"attachment"
    if not attached and (part.is_text or part.is_message):
        return None
    name = parameter(disposition[1], b"filename") if disposition else None
    media_type = part.type.media.decode("ascii", "replace")
    if not _SAFE_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    filename = decode_text(name or part.type.get(b"name") or b"")
    return _leaf(part, path, filename or f"document{_ENDINGS.get(media_type, '')}", media_type)


def _leaf(
    part: Part, path: tuple[int, ...], filename: str, media_type: str = "text/plain"
) -> Document:
    encoding = token(part.fields.first(b"content-transfer-encoding") or b"") or b"7bit"
    return Document(
        path=path,
        filename=clean_filename(filename),
        media_type=media_type,
        body=part.body,
        end=part.end,
        encoding=encoding.decode("ascii", "replace").lower(),
    )

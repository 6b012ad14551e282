"""Writes header fields and parts: CRLF, 7-bit, lines of at most 78 characters where words allow it.

Laws:
- No value can begin a new field or end the header: every text passes `clean_text` here, whatever
  was done to it before.
- Deterministic: the same values give the same octets.
"""

import base64
import quopri
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from um.mime.clean import clean_filename, clean_lines, clean_local_part, clean_text

MAX_LINE = 78
"""RFC 5322 §2.1.1."""
_MAX_WORD_OCTETS = 45
"""Octets of text in one encoded word: 60 base64 digits and 12 of wrapping (RFC 2047 §2: 75)."""

_NOT_DOMAIN = re.compile(r"[^A-Za-z0-9.-]+")
_NOT_ID = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part with a document in it."""

    media_type: str
    filename: str
    data: bytes
    description: str
    disposition_parameters: tuple[tuple[str, str], ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    """More fields of the part, such as Content-Duration."""


def text_field(name: str, text: str, limit: int = 900) -> bytes:
    """A field of free text, RFC 2047 encoded if it is not plain ASCII."""
    value = clean_text(text, limit)
    if value.isascii() and "=?" not in value:
        return _folded(name, value.split(" "))
    return _folded(name, _encoded_for(name, value))


def address_field(name: str, address: str, display: str = "") -> bytes:
    """A field of one address; `address` comes from `mail_address`."""
    return _folded(name, [*_display_name(name, clean_text(display)), f"<{address}>"])


def mail_address(local_part: str, domain: str, *, default: str = "anonymous") -> str:
    """An address that is safe to write; `default` stands for an empty local part."""
    return f"{clean_local_part(local_part) or default}@{clean_domain(domain)}"


def clean_domain(domain: str) -> str:
    """Letters, digits, dots and dashes only."""
    return _NOT_DOMAIN.sub("", domain)[:255].strip(".-") or "localhost"


def message_id(kind: str, identifier: str, domain: str) -> str:
    """The Message-ID that this delivery has, however often it is rendered."""
    return f"<{kind}.{_NOT_ID.sub('', identifier)[:64]}@{clean_domain(domain)}>"


def local_time(instant: datetime, timezone: str) -> datetime:
    """The instant in the account's time zone; UTC if the zone is unknown here."""
    try:
        return instant.astimezone(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return instant.astimezone(ZoneInfo("UTC"))


def date_field(instant: datetime, timezone: str) -> bytes:
    """Date (RFC 5322 §3.3) in the account's time zone."""
    return _folded("Date", [format_datetime(local_time(instant, timezone))])


def encoded_words(text: str, first_octets: int = _MAX_WORD_OCTETS) -> list[str]:
    """RFC 2047 words of `text`, each of whole characters and at most 75 long.

    The first one holds at most `first_octets`, since it shares its line with the field's name.
    """
    words: list[str] = []
    run, room = b"", first_octets
    for char in text:
        octets = char.encode("utf-8", "replace")
        if run and len(run) + len(octets) > room:
            words.append(_encoded_word(run))
            run, room = b"", _MAX_WORD_OCTETS
        run += octets
    return [*words, _encoded_word(run)] if run else words


def multipart(header: Iterable[bytes], identifier: str, text: str, attachment: Attachment) -> bytes:
    """A whole multipart/mixed message: a text and one document."""
    boundary = f"=_um_{_NOT_ID.sub('', identifier)[:40]}"
    mark = b"--" + boundary.encode()
    return b"".join(
        (
            *header,
            b"MIME-Version: 1.0\r\n",
            _parameters_field("Content-Type", "multipart/mixed", (("boundary", boundary),)),
            b"\r\n" + mark + b"\r\n",
            text_part(text),
            mark + b"\r\n",
            _attachment_part(attachment),
            mark + b"--\r\n",
        )
    )


def container(subtype: str, boundary: str, parts: Iterable[bytes]) -> bytes:
    """Fields and body of a multipart; each of `parts` is fields, an empty line and a body."""
    mark = b"--" + boundary.encode()
    content_type = _parameters_field(
        "Content-Type", f"multipart/{subtype}", (("boundary", boundary),)
    )
    closed = (part if part.endswith(b"\r\n") else part + b"\r\n" for part in parts)
    body = b"".join(mark + b"\r\n" + part for part in closed)
    return content_type + b"\r\n" + body + mark + b"--\r\n"


def text_part(text: str, subtype: str = "plain") -> bytes:
    """Fields and body of a text part in UTF-8; as it is if 7-bit and short, else encoded."""
    lines = clean_lines(text).split("\n")
    plain = all(line.isascii() and len(line) <= MAX_LINE for line in lines)
    body = "\n".join(lines).encode("utf-8", "replace") + b"\n"
    if not plain:
        body = quopri.encodestring(body)
    encoding = b"7bit" if plain else b"quoted-printable"
    return (
        b"Content-Type: text/"
        + subtype.encode("ascii")
        + b"; charset=utf-8\r\nContent-Transfer-Encoding: "
        + encoding
        + b"\r\n\r\n"
        + body.replace(b"\n", b"\r\n")
    )


def _attachment_part(attachment: Attachment) -> bytes:
    name = clean_filename(attachment.filename)
    parameters = (("filename", name), *attachment.disposition_parameters)
    return b"".join(
        (
            _parameters_field("Content-Type", attachment.media_type, (("name", name),)),
            b"Content-Transfer-Encoding: base64\r\n",
            _parameters_field("Content-Disposition", "attachment", parameters),
            text_field("Content-Description", attachment.description),
            *(text_field(key, value) for key, value in attachment.fields),
            b"\r\n",
            base64.encodebytes(attachment.data).replace(b"\n", b"\r\n"),
        )
    )


def _parameters_field(name: str, value: str, parameters: Iterable[tuple[str, str]]) -> bytes:
    """A field with parameters of our own making: tokens, or quoted where they must be."""
    pairs = [f"{key}={_token_or_quoted(text)}" for key, text in parameters]
    words = [f"{word};" for word in [value, *pairs][:-1]] + [[value, *pairs][-1]]
    return _folded(name, words)


def _token_or_quoted(text: str) -> str:
    safe = re.sub(r'[^ -~]|["\\]', "", text)
    return safe if re.fullmatch(r"[A-Za-z0-9-]+", safe) else f'"{safe}"'


def _display_name(field: str, name: str) -> list[str]:
    """A quoted string, which may be folded at its spaces (RFC 5322 §3.2.4), or encoded words."""
    if not name:
        return []
    if not name.isascii() or "=?" in name:
        return _encoded_for(field, name)
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.split(" ")


def _encoded_for(field: str, text: str) -> list[str]:
    room = MAX_LINE - len(field) - len(": ") - len(_encoded_word(b""))
    return encoded_words(text, min(_MAX_WORD_OCTETS, max(4, room // 4 * 3)))


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(octets).decode()}?="


def _folded(name: str, words: Iterable[str]) -> bytes:
    """`name: words`, folded before the word that would pass MAX_LINE (RFC 5322 §2.2.3)."""
    lines = [f"{name}:"]
    for word in words:
        fits = len(lines[-1]) + 1 + len(word) <= MAX_LINE
        if fits or lines[-1] == f"{name}:":
            lines[-1] += f" {word}"
        else:
            lines.append(f" {word}")
    return "\r\n".join(lines).encode("ascii", "replace") + b"\r\n"

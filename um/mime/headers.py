"""Single header fields: by name, as text, and the subsets that IMAP asks for."""

import base64
import binascii
import re
from collections.abc import Collection

from um.mime.charsets import decode_octets
from um.mime.fields import field_pattern, header_end, parse_fields

_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?]*)\?=")
_BETWEEN = re.compile(r"(\?=)[ \t\r\n]+(?==\?[^?\s]+\?[bBqQ]\?)")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
MAX_TEXT_OCTETS = 64 * 1024


def get(header: bytes, name: str) -> bytes | None:
    """The value of the first field of that name in a header block, unfolded and trimmed, or None."""
    return parse_fields(header).first(name.lower().encode("utf-8", "replace"))


def select_fields(header: bytes, names: Collection[str], *, negate: bool = False) -> bytes:
    """The fields that HEADER.FIELDS (or with `negate` HEADER.FIELDS.NOT) asks for.

    Octets, order and folding as in the message, then the empty line (RFC 3501 §6.4.5).
    """
    fields = field_pattern(frozenset(name.lower() for name in names))
    end = header_end(header, 0, len(header))
    block = header[:end]
    if block.endswith((b"\n\r\n", b"\n\n")) or not block.strip(b"\r\n"):
        block = block.removesuffix(b"\n").removesuffix(b"\r")
    if block and not block.endswith(b"\n"):
        block += b"\r\n"
    found = fields.sub(b"", block) if negate else b"".join(fields.findall(block))
    return found + b"\r\n"


def decode_text(raw: bytes) -> str:
    """Make readable text of a field value: unfold, decode RFC 2047 words, any charset, any octets."""
    text = decode_octets(raw[:MAX_TEXT_OCTETS], None).replace("\r", "").replace("\n", "")
    if "=?" in text:
        text = _join_words(_BETWEEN.sub(r"\1", text))
    return text.strip()


def _join_words(text: str) -> str:
    """Decode encoded words; neighbours of one charset are joined first (split characters)."""
    out: list[str] = []
    run: tuple[str, bytes] | None = None
    position = 0
    for match in _WORD.finditer(text):
        octets = _word_octets(match[2], match[3])
        if octets is None:
            continue
        charset = match[1].lower()
        between = text[position : match.start()]
        if run and (between or run[0] != charset):
            out.append(decode_octets(run[1], run[0]))
            run = None
        out.append(between)
        run = (charset, (run[1] if run else b"") + octets)
        position = match.end()
    if run:
        out.append(decode_octets(run[1], run[0]))
    out.append(text[position:])
    return "".join(out)


def _word_octets(encoding: str, payload: str) -> bytes | None:
    octets = payload.encode("utf-8", "replace")
    if encoding in "qQ":
        return _HEX.sub(lambda found: bytes((int(found[1], 16),)), octets.replace(b"_", b" "))
    try:
        return base64.b64decode(octets + b"=" * (-len(octets) % 4))
    except binascii.Error:
        return None

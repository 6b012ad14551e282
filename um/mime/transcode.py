"""Messages with NUL in them made storable (RFC 3516 §4.4): binary parts in base64, the rest as it is."""

import binascii
import re
from collections.abc import Iterator

from um.mime.structure import Part, parse_structure

_ENCODING = re.compile(
    rb"^content-transfer-encoding[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n?", re.IGNORECASE | re.MULTILINE
)
_LINE_OCTETS = 57
"""Of a line of base64: 76 characters (RFC 2045 §6.8)."""


def without_nul(data: bytes) -> bytes | None:
    """The message with its binary parts that hold NUL in base64; None if NUL is elsewhere too."""
    if b"\0" not in data:
        return data
    out, position = [], 0
    for start, end, octets in _edits(data, parse_structure(data)):
        out += [data[position:start], octets]
        position = end
    out.append(data[position:])
    told = b"".join(out)
    return None if b"\0" in told else told


def _edits(data: bytes, part: Part) -> Iterator[tuple[int, int, bytes]]:
    """What is replaced, in order: (start, end, octets)."""
    if data.find(b"\0", part.body, part.end) < 0 or not _is_binary(part):
        return
    match = _ENCODING.search(data[part.start : part.body])
    if match is None:
        return
    leaf = not part.children
    name = b"base64" if leaf else b"8bit"
    field = b"Content-Transfer-Encoding: %b\r\n" % name
    yield part.start + match.start(), part.start + match.end(), field
    if leaf:
        yield part.body, part.end, _base64(data[part.body : part.end])
    for child in part.children:
        yield from _edits(data, child)


def _is_binary(part: Part) -> bool:
    return (part.fields.last(b"content-transfer-encoding") or b"").lower() == b"binary"


def _base64(octets: bytes) -> bytes:
    lines = (
        binascii.b2a_base64(octets[start : start + _LINE_OCTETS], newline=False)
        for start in range(0, len(octets), _LINE_OCTETS)
    )
    return b"".join(line + b"\r\n" for line in lines)

"""The text of a message as it is read: its first plain text, and its first HTML apart from it.

Laws: any octets give a result, nothing raises. HTML is a stranger's program: it is given as it came,
for a frame that lets nothing run, and never mixed with the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from um.mime.charsets import decode_octets
from um.mime.clean import clean_lines
from um.mime.parameters import token_with_parameters
from um.mime.structure import Part, parse_structure
from um.mime.text import transfer_decoded

MAX_CHARACTERS = 100_000
"""Of each; more is not shown."""
_MAX_OCTETS = 8 * MAX_CHARACTERS


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says."""

    text: str
    """Lines of visible characters, separated by LF; empty if there is no plain text."""
    html: str
    """Untouched; empty if there is none."""


def reading(data: bytes) -> Reading:
    """The first text/plain and the first text/html that are not attachments."""
    text, html = "", ""
    for part in _leaves(parse_structure(data)):
        if part.type.media == b"text/plain" and not text:
            text = clean_lines(_decoded(data, part), MAX_CHARACTERS)
        elif part.type.media == b"text/html" and not html:
            html = _decoded(data, part)[:MAX_CHARACTERS]
    return Reading(text, html)


def _leaves(part: Part) -> Iterator[Part]:
    if part.is_multipart:
        for child in part.children:
            yield from _leaves(child)
    elif not _is_attachment(part):
        yield part


def _is_attachment(part: Part) -> bool:
    found = token_with_parameters(part.fields.first(b"content-disposition") or b"")
    return found is not None and found[0].lower() == b"attachment"


def _decoded(data: bytes, part: Part) -> str:
    octets = data[part.body : min(part.end, part.body + _MAX_OCTETS)]
    charset = (part.type.get(b"charset") or b"utf-8").decode("ascii", "replace")
    return decode_octets(transfer_decoded(octets, part.fields), charset)

"""One scan of a message, at delivery: everything that IMAP will be asked about it, pre-rendered.

Laws: any octets give a result, nothing raises; the time is linear in the size; bodies are not copied.
"""

from dataclasses import dataclass, field

from um.mime.headers import decode_text
from um.mime.index import PartIndex
from um.mime.render import body_structures, envelope
from um.mime.structure import parse_structure


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one scan tells of a message. Rendered values stand in their parentheses."""

    header: bytes = field(repr=False)
    """The header block with its empty line."""
    envelope: bytes
    body: bytes
    """BODY: the structure without extension data."""
    bodystructure: bytes
    structure: bytes = field(repr=False)
    """`PartIndex` in its stored form."""
    message_id: str
    """With its angle brackets; empty if there is none."""
    subject: str
    """Decoded (RFC 2047)."""
    size_octets: int


def scan(data: bytes) -> Scanned:
    """Scan a whole message (RFC 5322, CRLF; bare LF is understood too)."""
    root = parse_structure(data)
    body, bodystructure = body_structures(data, root)
    return Scanned(
        header=data[: root.body],
        envelope=envelope(root.fields),
        body=body,
        bodystructure=bodystructure,
        structure=PartIndex.of(root).encode(),
        message_id=decode_text(root.fields.last(b"message-id") or b""),
        subject=decode_text(root.fields.last(b"subject") or b""),
        size_octets=len(data),
    )

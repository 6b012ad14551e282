"""The tree of a message's parts, found by offsets (RFC 2046 §5.1): bodies are neither copied nor split.

Laws:
- A boundary is a line that begins with `--` and a boundary of an open multipart; among several that
  match, the longest counts, then the innermost. A boundary of an outer multipart closes the inner.
- The line end before a boundary belongs to the boundary.
- Past MAX_DEPTH or MAX_PARTS a part is an opaque leaf: its octets are there, its inside is not read.
- Every octet is searched at most once a nesting level: linear in the size for any input.
"""

from dataclasses import dataclass, field

from um.mime.fields import Fields, header_end, parse_fields
from um.mime.parameters import ContentType, content_type

MAX_DEPTH = 20
MAX_PARTS = 200
_MAX_BOUNDARY_OCTETS = 1000

TEXT_PLAIN = ContentType(b"text", b"plain")
MESSAGE_RFC822 = ContentType(b"message", b"rfc822")
OPAQUE = ContentType(b"application", b"octet-stream")


@dataclass(slots=True)
class Part:
    """One part: its header block is `data[start:body]`, its body `data[body:end]`."""

    start: int
    body: int
    end: int
    fields: Fields
    type: ContentType
    children: list["Part"] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        """Its children are the parts of a multipart."""
        return self.type.type.lower() == b"multipart"

    @property
    def is_message(self) -> bool:
        """Its only child is the message it encloses."""
        return self.type.media == b"message/rfc822"

    @property
    def is_text(self) -> bool:
        """It is of a text type: IMAP tells the number of its lines."""
        return self.type.type.lower() == b"text"


@dataclass(slots=True)
class _Boundary:
    marker: bytes
    hit: int = -2
    """Where the next line that begins with the marker is (offset of the LF before it), if known."""
    clear_to: int = -1
    """No such line begins at or before this offset, but for `hit`: never search there again."""


@dataclass(frozen=True, slots=True)
class _Event:
    """The next boundary from some place on: `level` in the stack, -1 for the end of the data."""

    at: int
    level: int


def parse_structure(data: bytes) -> Part:
    """Find the parts of a whole message. Never raises."""
    part, _ = _Structure(data).part(0, depth=0, default=TEXT_PLAIN)
    return part


class _Structure:
    """One walk over `data`; `open` is the stack of boundaries that may come."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.open: list[_Boundary] = []
        self.count = 0

    def part(self, start: int, *, depth: int, default: ContentType) -> tuple[Part, _Event]:
        """Read the part at `start` up to the boundary that ends it, which is returned with it."""
        event = self.next_event(start - 1)
        body = header_end(self.data, start, min(len(self.data), event.at + 1))
        fields = parse_fields(self.data, start, body)
        part = Part(start, body, body, fields, _type_of(fields, default))
        self.count += 1
        if part.is_multipart:
            event = self.multipart(part, depth=depth)
        elif part.is_message:
            event = self.message(part, depth=depth)
        else:
            event = self.next_event(body - 1)
        # A header that runs into the boundary keeps its line end, and so does what encloses it.
        part.end = max([self.text_end(event, body), *(child.end for child in part.children)])
        return part, event

    def message(self, part: Part, *, depth: int) -> _Event:
        if depth >= MAX_DEPTH or self.count >= MAX_PARTS:
            part.type = OPAQUE
            return self.next_event(part.body - 1)
        child, event = self.part(part.body, depth=depth + 1, default=TEXT_PLAIN)
        part.children.append(child)
        return event

    def multipart(self, part: Part, *, depth: int) -> _Event:
        boundary = (part.type.get(b"boundary") or b"").rstrip(b" ")[:_MAX_BOUNDARY_OCTETS]
        if not boundary:
            part.type = TEXT_PLAIN  # RFC 2045 §5.2: a type that cannot be understood
            return self.next_event(part.body - 1)
        if depth >= MAX_DEPTH or self.count >= MAX_PARTS:
            part.type = OPAQUE
            return self.next_event(part.body - 1)
        level = len(self.open)
        self.open.append(_Boundary(b"\n--" + boundary))
        event = self.children(part, level, depth=depth)
        del self.open[level:]
        return event

    def children(self, part: Part, level: int, *, depth: int) -> _Event:
        """Read the parts between the boundaries of stack `level`; stop at its end or an outer one."""
        digest = part.type.subtype.lower() == b"digest"
        default = MESSAGE_RFC822 if digest else TEXT_PLAIN
        event = self.next_event(part.body - 1)
        while event.level == level:
            after = event.at + len(self.open[level].marker)
            line_end = self.data.find(b"\n", after)
            start = line_end + 1 if line_end >= 0 else len(self.data)
            if self.data.startswith(b"--", after):
                del self.open[level:]
                return self.next_event(start - 1)
            if line_end < 0:
                return _Event(len(self.data), -1)
            if self.count >= MAX_PARTS - 1:
                del self.open[level:]
            child, event = self.part(start, depth=depth + 1, default=default)
            part.children.append(child)
        return event

    def next_event(self, position: int) -> _Event:
        """The first boundary line at or after `position` (offset of the LF before the line)."""
        best, bound = _Event(len(self.data), -1), len(self.data)
        for level, boundary in enumerate(self.open):
            if boundary.hit < position:
                self.find(boundary, position, bound)
            if boundary.hit < position:
                continue
            if boundary.hit < best.at or (
                boundary.hit == best.at and self.is_closer(level, best.level)
            ):
                best = _Event(boundary.hit, level)
                bound = min(bound, boundary.hit)
        return best

    def find(self, boundary: _Boundary, position: int, bound: int) -> None:
        """Look for the next hit from `position` to `bound`, where an outer boundary's hit is."""
        start = max(position, boundary.clear_to + 1)
        if start > bound:
            return
        found = self.data.find(boundary.marker, start, bound + len(boundary.marker))
        boundary.hit, boundary.clear_to = found, bound if found < 0 else found

    def is_closer(self, level: int, other: int) -> bool:
        if other < 0:
            return False
        return len(self.open[level].marker) >= len(self.open[other].marker)

    def text_end(self, event: _Event, body: int) -> int:
        """Where the text before a boundary ends: the line end there is the boundary's own."""
        if event.level < 0:
            return len(self.data)
        end = event.at
        if end > body and self.data[end - 1] == 0x0D:
            end -= 1
        return max(end, body)


def _type_of(fields: Fields, default: ContentType) -> ContentType:
    value = fields.first(b"content-type")
    if value is None:
        return default
    return content_type(value) or TEXT_PLAIN

"""What the list shows of a message's header, read once: a header never changes."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from um.core.ids import ContentId
from um.core.message import Content
from um.mime.authors import first_author
from um.mime.clean import clean_text
from um.mime.fields import Fields, parse_fields
from um.mime.headers import decode_text

MAX_SUBJECT = 300
MOST = 20_000
"""Headings kept: at some 600 octets each 12 MB."""
FEW = 100
"""More are read in a thread: the loop has others to serve."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Subject and author. Texts are one line of visible characters, and still a stranger's."""

    subject: str
    sender: str
    """A name, else an address, else empty."""
    sender_address: str
    urgent: bool
    folded: str
    """All of that for searching: case folded, and once more without the marks within numbers."""


class Headings:
    """The least recently used go first. Call it on the loop's thread only."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[ContentId, Heading] = OrderedDict()

    async def of(self, contents: Collection[Content]) -> Mapping[ContentId, Heading]:
        """The headings of `contents`."""
        found = {each.id: self._known[each.id] for each in contents if each.id in self._known}
        missing = [each for each in contents if each.id not in found]
        if len(missing) > FEW:
            read = await asyncio.to_thread(_read_all, missing)
        else:
            read = _read_all(missing)
        for content_id in found:
            if content_id in self._known:  # others may have pushed it out meanwhile
                self._known.move_to_end(content_id)
        self._known.update(read)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found | read


def read_heading(header: bytes) -> Heading:
    """The heading of a header block."""
    fields = parse_fields(header)
    subject = clean_text(decode_text(fields.first(b"subject") or b""), MAX_SUBJECT)
    sender, address = first_author(fields)
    text = f"{subject} {sender} {address}".casefold()
    # A number is written with spaces; who looks for one may leave them out.
    packed = text.replace(" ", "").replace("-", "")
    return Heading(subject, sender, address, _is_urgent(fields), f"{text}\n{packed}")


def _read_all(contents: Collection[Content]) -> dict[ContentId, Heading]:
    return {each.id: read_heading(each.header) for each in contents}


def _is_urgent(fields: Fields) -> bool:
    return (fields.first(b"importance") or b"").strip().lower() == b"high"

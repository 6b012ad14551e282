"""Header blocks as fields (RFC 5322 §2.2), found in one pass and bounded.

Laws:
- Any octets are a header block: lines that are no field are passed over.
- At most MAX_FIELDS fields in the first MAX_HEADER_OCTETS octets are looked at; what a flood puts
  beyond them is kept in the message but not interpreted.
- Values are raw octets after the colon, still folded; `unfold` makes one line of them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from um.mime.sparse import Octets

MAX_FIELDS = 1000
MAX_HEADER_OCTETS = 256 * 1024

_NAME = rb"[^\x00-\x20\x7f-\xff:]"
_FIELD = re.compile(
    rb"^([^\x00-\x20\x7f-\xff:]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE
)
_FOLD = re.compile(rb"\r*\n")


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one header block by lower-case name, each with its values in order."""

    by_name: dict[bytes, list[bytes]]

    def first(self, name: bytes) -> bytes | None:
        """The first value of that name, unfolded, or None."""
        values = self.by_name.get(name)
        return unfold(values[0]) if values else None

    def last(self, name: bytes) -> bytes | None:
        """The last value of that name, unfolded, or None."""
        values = self.by_name.get(name)
        return unfold(values[-1]) if values else None

    def every(self, name: bytes) -> list[bytes]:
        """All values of that name, unfolded, in order."""
        return [unfold(value) for value in self.by_name.get(name, ())]


def unfold(value: bytes) -> bytes:
    """Join the lines of a folded value (RFC 5322 §2.2.3) and trim white space at both ends."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return value.strip(b" \t\r\n")


def parse_fields(data: Octets, start: int = 0, end: int | None = None) -> Fields:
    """Read the header block at `data[start:end]`."""
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in raw_fields(data, start, end):
        by_name.setdefault(name.lower(), []).append(value)
    return Fields(by_name)


def raw_fields(
    data: Octets, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name, raw value) for each field, at most MAX_FIELDS of them."""
    stop = min(len(data) if end is None else end, start + MAX_HEADER_OCTETS)
    block = data[start:stop]
    for count, match in enumerate(_FIELD.finditer(block)):
        if count >= MAX_FIELDS:
            return
        yield match[1], match[2]


def has_too_many_fields(data: bytes, end: int) -> bool:
    """Whether the header block at `data[:end]` has more than MAX_FIELDS fields."""
    return any(islice(_FIELD.finditer(data[:end]), MAX_FIELDS, None))


@lru_cache(maxsize=256)
def field_pattern(
    names: frozenset[str], prefixes: frozenset[str] = frozenset()
) -> re.Pattern[bytes]:
    """Finds whole fields, continuations and line ends included, by name or how the name begins.

    Any case. Unlike `parse_fields` a search with it is not bounded: it runs over a flood of a
    header at the speed of the regular expression.
    """
    exact = [re.escape(name.encode("utf-8", "replace")) for name in sorted(names)]
    begun = [
        re.escape(name.encode("utf-8", "replace")) + _NAME + b"*+" for name in sorted(prefixes)
    ]
    one_of = b"|".join(exact + begun) or b"(?!)"
    return re.compile(
        b"^(?:" + one_of + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)",
        re.MULTILINE | re.IGNORECASE,
    )


def header_end(data: bytes, start: int, limit: int) -> int:
    """Offset just after the empty line that ends the header block; `limit` if there is none."""
    if data.startswith((b"\r\n", b"\n"), start) and start < limit:
        return min(limit, data.index(b"\n", start) + 1)
    crlf = data.find(b"\n\r\n", start, limit)
    bare = data.find(b"\n\n", start, limit if crlf < 0 else crlf)
    if bare >= 0:
        return bare + 2
    return crlf + 3 if crlf >= 0 else limit

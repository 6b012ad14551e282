"""A message under search: what is loaded of it, made ready to be compared once for all keys.

Pure. A hostile search has a thousand keys and a message four million letters: nothing here is decoded
or folded twice.
"""

import re
from dataclasses import dataclass, field

from um.core.message import Entry
from um.mime.headers import decode_text, get, select_fields
from um.mime.text import Searchable

_BETWEEN = b"\0"
"""Stands in no search text (RFC 3501 §9 `CHAR8`), so that nothing matches across two fields."""
FIELD_NAME = re.compile(r"[!-9;-~]+")


@dataclass(slots=True)
class Candidate:
    """`header` and `text` are None until they are loaded."""

    number: int
    entry: Entry
    recent: bool
    header: bytes | None = None
    """The header block."""
    text: Searchable | None = None
    """The text of the body, decoded."""
    _fields: dict[str, bytes] = field(default_factory=dict)
    _header: bytes | None = None
    _body: bytes | None = None
    _parts: bytes | None = None

    @property
    def loaded(self) -> int:
        """Octets and letters of what is loaded: so much may be gone through for each key."""
        text = len(self.text.body) + len(self.text.fields) if self.text is not None else 0
        return len(self.header or b"") + text

    def field_values(self, name: str) -> bytes:
        """All values of that field, folded, each behind a NUL; empty if there is no such field."""
        if name not in self._fields:
            header = self.header or b""
            chosen = select_fields(header, [name])
            missing = chosen == b"\r\n" or (
                not _is_short(header, name) and get(header, name) is None
            )
            self._fields[name] = b"" if missing else folded_values(chosen)
        return self._fields[name]

    def whole_header(self) -> bytes:
        """All fields, decoded and as they stand, folded."""
        if self._header is None:
            header = self.header or b""
            self._header = (
                folded_values(header) + _BETWEEN + folded(header.decode("utf-8", "replace"))
            )
        return self._header

    def body(self) -> bytes:
        """The text of the body, folded."""
        if self._body is None:
            self._body = folded(self.text.body) if self.text is not None else b""
        return self._body

    def parts(self) -> bytes:
        """The header fields of the parts, folded."""
        if self._parts is None:
            self._parts = folded(self.text.fields) if self.text is not None else b""
        return self._parts

    def forget_text(self) -> None:
        """Let the memory go."""
        self.text = self._body = self._parts = None


def _is_short(header: bytes, name: str) -> bool:
    """Whether all fields are looked at, so that none of that name is there unseen.

    1000 fields (`um.mime.fields.MAX_FIELDS`) have more octets than that.
    """
    return len(header) < 3000 and FIELD_NAME.fullmatch(name) is not None


def folded(text: str) -> bytes:
    """`text` without regard to case, in UTF-8: one text is within another just if its octets are."""
    return text.casefold().encode("utf-8", "surrogatepass")


def folded_values(header: bytes) -> bytes:
    """The values of the fields of a header block, decoded and folded, each behind a NUL."""
    lines = header.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b" ")
    values = (line.partition(b":")[2] for line in lines.split(b"\n"))
    return b"".join(_BETWEEN + folded(decode_text(value)) for value in values)

"""What an SQLite page still holds of rows that are no longer there. Pure.

`PRAGMA secure_delete` zeroes a row when it is deleted, and a page when it is freed. But when a page of
a b-tree is split or balanced, the rows that move leave copies of themselves in the room between its
pointers and its cells, and no deletion looks there. That room belongs to nobody: it can be zeroed.

Layout: https://www.sqlite.org/fileformat2.html §1.6 (b-tree pages), §1.5 (the freelist), §4 (the log).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

Span = tuple[int, int]
"""Where it begins in the page, and where it ends."""

HEADER_OCTETS = 100
_LOG_HEADER_OCTETS, _FRAME_HEADER_OCTETS = 32, 24
_MAGIC = b"SQLite format 3\x00"
_LEAVES, _INTERIORS = frozenset({10, 13}), frozenset({2, 5})
_MAX_PAGES = 1 << 25
"""From here on the number that an overflow page begins with could look like the type of a b-tree page."""
_LOCK_OCTET = 1 << 30
"""The page with this octet is never used (§1.4)."""


class UnknownLayoutError(Exception):
    """The file is not laid out as this module knows it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the file's header says."""

    page_octets: int
    pages: int
    first_trunk: int

    @classmethod
    def of(cls, header: bytes, file_octets: int) -> "Layout":
        """Read the first 100 octets. Raises UnknownLayoutError."""
        size = int.from_bytes(header[16:18], "big")
        size = 65536 if size == 1 else size
        has_pointer_map, has_checksums = any(header[52:56]), bool(header[20])
        if header[:16] != _MAGIC or size < 512 or has_pointer_map or file_octets % size:
            raise UnknownLayoutError
        if has_checksums:  # in octets reserved at the end of each page, by an extension
            raise UnknownLayoutError
        pages = file_octets // size
        if pages >= _MAX_PAGES:
            raise UnknownLayoutError
        first_trunk = int.from_bytes(header[32:36], "big")
        return cls(size, pages, first_trunk)

    def is_ours(self, number: int) -> bool:
        """Whether page `number` may be looked at: not the first, which tells of tables, nor the lock's."""
        return 1 < number <= self.pages and number != _LOCK_OCTET // self.page_octets + 1

    def stale_spans(self, page: bytes, *, is_free: bool) -> list[Span]:
        """The room of a page that belongs to nobody and is not zero. Raises UnknownLayoutError."""
        if not is_free:
            return stale_spans(page, self.page_octets)
        return [(0, self.page_octets)] if any(page) else []


def free_leaves(layout: Layout, read: Callable[[int], bytes]) -> set[int]:
    """The pages that hold nothing at all, by the freelist. Raises UnknownLayoutError."""
    found: set[int] = set()
    trunk, seen = layout.first_trunk, 0
    while trunk:
        seen += 1
        page = read(trunk)
        count = int.from_bytes(page[4:8], "big")
        if seen > layout.pages or count > layout.page_octets // 4 - 2:
            raise UnknownLayoutError
        found.update(struct.unpack_from(f">{count}I", page, 8))
        trunk = int.from_bytes(page[:4], "big")
    return found


def logged_pages(
    read: Callable[[int, int], bytes], seen: tuple[bytes, int]
) -> tuple[bytes, list[int]]:
    """A write-ahead log's salts, new ones each time it begins anew, and the page of each frame not seen yet.

    `read` gives octets by their place and number; `seen` tells the salts of then, and how many frames
    there were. Frames whose transaction was not committed are among them; what is left of the log
    before is not.
    """
    header = read(0, _LOG_HEADER_OCTETS)
    salts, step = header[16:24], _FRAME_HEADER_OCTETS + int.from_bytes(header[8:12], "big")
    at = _LOG_HEADER_OCTETS + (seen[1] * step if salts == seen[0] else 0)
    pages: list[int] = []
    while (frame := read(at, _FRAME_HEADER_OCTETS))[8:16] == salts and len(
        frame
    ) == _FRAME_HEADER_OCTETS:
        pages.append(int.from_bytes(frame[:4], "big"))
        at += step
    return salts, pages


def stale_spans(page: bytes, page_octets: int) -> list[Span]:
    """The room of a page that belongs to nobody and is not zero.

    Nothing for what is no b-tree page. Raises UnknownLayoutError for one that contradicts itself.
    """
    if page[0] not in _LEAVES | _INTERIORS:
        return []
    first_free, cells, top = (int.from_bytes(page[at : at + 2], "big") for at in (1, 3, 5))
    begin = (12 if page[0] in _INTERIORS else 8) + 2 * cells
    top = top or 65536
    if not begin <= top <= page_octets:
        raise UnknownLayoutError
    spans = [(begin, top), *_freeblocks(page, first_free, top, page_octets)]
    return [(start, end) for start, end in spans if page.count(b"\0", start, end) != end - start]


def _freeblocks(page: bytes, at: int, top: int, page_octets: int) -> list[Span]:
    """What each block of free room holds behind its own four octets."""
    found: list[Span] = []
    end = top
    while at:
        size = int.from_bytes(page[at + 2 : at + 4], "big")
        if at < end or size < 4 or at + size > page_octets:
            raise UnknownLayoutError
        end = at + size
        found.append((at + 4, end))
        at = int.from_bytes(page[at : at + 2], "big")
    return found

"""The structure of fax TIFFs, read with suspicion and written plainly (TIFF 6.0, RFC 2301, RFC 2306).

Nothing is decoded here. Laws: a hostile file costs no more than a short walk: directories are
counted, loops seen, sizes compared with what a fax can be before anything is allocated. What is
wrong with one page does not touch the others. Bad input raises RefusedDocumentError only.
"""

import struct
from dataclasses import dataclass

from um.core.errors import RefusedDocumentError

MAX_PAGES = 200
MAX_WIDTH = 7296
"""A3 at 600 dots an inch, the widest of T.30."""
MAX_ROWS = 30_000
"""Two metres at fine resolution: beyond any page, short of any bomb."""
MAX_PAGE_PIXELS = 80_000_000
"""A3 at 600 dpi, and 46,000 rows of a normal width."""

CCITT_RLE, CCITT_T4, CCITT_T6 = 2, 3, 4
_COMPRESSIONS = {1: "none", 5: "LZW", 7: "JPEG", 8: "Deflate", 32773: "PackBits", 34661: "JBIG"}

_MAX_ENTRIES = 200
_MAX_STRIPS = 10_000
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS = 273, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, T4_OPTIONS, RESOLUTION_UNIT, TILE_WIDTH = 282, 283, 292, 296, 322
BAD_FAX_LINES = 326

_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One page as the file declares it; strips are the compressed octets, first bit highest."""

    width: int
    rows: int
    compression: int
    photometric: int
    """0: a zero bit is white, as faxes have it; 1: black."""
    t4_options: int
    x_dpi: float
    y_dpi: float
    rows_per_strip: int
    strips: tuple[bytes, ...]
    bad_rows: int = 0
    """BadFaxLines: rows that its receiver could not read and made up (RFC 2306 §2.2.4)."""


@dataclass(frozen=True, slots=True)
class BadPage:
    """A page that cannot be read, and why."""

    reason: str


class _PageError(Exception):
    """One page is wrong; its text is the reason."""


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    count: int
    value: bytes
    """The four octets of the entry's value or offset."""


def read_pages(data: bytes, *, max_pages: int = MAX_PAGES) -> list[TiffPage | BadPage]:
    """The pages of a TIFF in order, good or bad; at least one.

    Raises RefusedDocumentError: no TIFF, no page in it, or more than `max_pages`.
    """
    reader = _Reader(data)
    pages: list[TiffPage | BadPage] = []
    for directory in reader.directories():
        if len(pages) >= max_pages:
            raise RefusedDocumentError(f"The TIFF has more than {max_pages} pages")
        if isinstance(directory, BadPage):
            pages.append(directory)
            break
        try:
            pages.append(reader.page(directory))
        except _PageError as error:
            pages.append(BadPage(str(error)))
    if not pages:
        raise RefusedDocumentError("The TIFF has no pages")
    return pages


class _Reader:
    """A TIFF in memory."""

    def __init__(self, data: bytes) -> None:
        if not data:
            raise RefusedDocumentError("The document is empty")
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8:
            raise RefusedDocumentError("The document is no TIFF")
        magic, self._first = struct.unpack_from(order + "HI", data, 2)
        if magic != 42:
            raise RefusedDocumentError("The document is no TIFF that a fax has")
        self._data = data
        self._order = order

    def directories(self) -> "_Directories":
        return _Directories(self._data, self._order, self._first)

    def page(self, entries: dict[int, _Entry]) -> TiffPage:
        """Raises _PageError."""
        if TILE_WIDTH in entries:
            raise _PageError("it is made of tiles")
        width = self._number(entries, WIDTH)
        rows = self._number(entries, LENGTH)
        _check_size(width, rows)
        if self._number(entries, BITS, 1) != 1 or self._number(entries, SAMPLES, 1) != 1:
            raise _PageError("it is not black and white")
        compression = self._number(entries, COMPRESSION, 1)
        if compression not in (CCITT_RLE, CCITT_T4, CCITT_T6):
            name = _COMPRESSIONS.get(compression, str(compression))
            raise _PageError(f"its compression ({name}) is none of a fax's")
        photometric = self._number(entries, PHOTOMETRIC, 0)
        if photometric not in (0, 1):
            raise _PageError("it is not black and white")
        x_dpi, y_dpi = self._resolution(entries, width)
        rows_per_strip = min(self._number(entries, ROWS_PER_STRIP, rows) or rows, rows)
        return TiffPage(
            width=width,
            rows=rows,
            compression=compression,
            photometric=photometric,
            t4_options=self._number(entries, T4_OPTIONS, 0) if compression == CCITT_T4 else 0,
            x_dpi=x_dpi,
            y_dpi=y_dpi,
            rows_per_strip=rows_per_strip,
            strips=self._strips(entries, -(-rows // rows_per_strip)),
            bad_rows=self._bad_rows(entries, rows),
        )

    def _bad_rows(self, entries: dict[int, _Entry], rows: int) -> int:
        """What a broken tag says of bad rows is no reason to lose the page."""
        try:
            return min(self._number(entries, BAD_FAX_LINES, 0), rows)
        except _PageError:
            return 0

    def _strips(self, entries: dict[int, _Entry], count: int) -> tuple[bytes, ...]:
        offsets = self._numbers(entries, STRIP_OFFSETS)
        lengths = self._numbers(entries, STRIP_COUNTS)
        if len(offsets) != count or len(lengths) != count:
            raise _PageError("its strips do not match its length")
        strips = []
        for offset, length in zip(offsets, lengths, strict=True):
            strip = self._data[offset : offset + length]
            if not strip:
                raise _PageError("its image lies outside the file")
            strips.append(strip)
        if self._number(entries, FILL_ORDER, 1) == 2:
            strips = [strip.translate(_REVERSED) for strip in strips]
        return tuple(strips)

    def _resolution(self, entries: dict[int, _Entry], width: int) -> tuple[float, float]:
        """Dots an inch; what is missing or absurd is taken for a fine fax of that width."""
        per_inch = 2.54 if self._number(entries, RESOLUTION_UNIT, 2) == 3 else 1.0
        x_dpi = self._rational(entries, X_RESOLUTION) * per_inch
        y_dpi = self._rational(entries, Y_RESOLUTION) * per_inch
        if 50 <= x_dpi <= 1300 and 50 <= y_dpi <= 1300:
            return x_dpi, y_dpi
        return (204.0, 196.0) if width <= 2432 else (408.0, 392.0)

    def _rational(self, entries: dict[int, _Entry], tag: int) -> float:
        entry = entries.get(tag)
        if entry is None or entry.kind != 5:
            return 0.0
        (offset,) = struct.unpack(self._order + "I", entry.value)
        octets = self._data[offset : offset + 8]
        if len(octets) < 8:
            return 0.0
        above, below = struct.unpack(self._order + "II", octets)
        return above / below if below else 0.0

    def _number(self, entries: dict[int, _Entry], tag: int, default: int | None = None) -> int:
        if tag not in entries and default is not None:
            return default
        numbers = self._numbers(entries, tag)
        if len(numbers) != 1:
            raise _PageError(f"its tag {tag} has {len(numbers)} values")
        return numbers[0]

    def _numbers(self, entries: dict[int, _Entry], tag: int) -> tuple[int, ...]:
        entry = entries.get(tag)
        if entry is None or entry.kind not in (3, 4) or entry.count > _MAX_STRIPS:
            raise _PageError(f"its tag {tag} is missing or wrong")
        size = _TYPE_SIZES[entry.kind] * entry.count
        octets = entry.value[:size]
        if size > 4:
            (offset,) = struct.unpack(self._order + "I", entry.value)
            octets = self._data[offset : offset + size]
        if len(octets) < size:
            raise _PageError("its directory points outside the file")
        letter = "H" if entry.kind == 3 else "I"
        return struct.unpack(f"{self._order}{entry.count}{letter}", octets)


class _Directories:
    """Walks the chain of directories; a loop ends it, a break in it is a bad page."""

    def __init__(self, data: bytes, order: str, first: int) -> None:
        self._data = data
        self._order = order
        self._next = first
        self._seen: set[int] = set()

    def __iter__(self) -> "_Directories":
        return self

    def __next__(self) -> dict[int, _Entry] | BadPage:
        at = self._next
        if at == 0 or at in self._seen:
            raise StopIteration
        self._seen.add(at)
        self._next = 0
        if at + 2 > len(self._data):
            return BadPage("its directory lies outside the file")
        (count,) = struct.unpack_from(self._order + "H", self._data, at)
        end = at + 2 + 12 * count
        if count > _MAX_ENTRIES or end > len(self._data):
            return BadPage("its directory is broken off")
        entries = {}
        for position in range(at + 2, end, 12):
            tag, kind, number = struct.unpack_from(self._order + "HHI", self._data, position)
            entries[tag] = _Entry(kind, number, self._data[position + 8 : position + 12])
        if end + 4 <= len(self._data):
            (self._next,) = struct.unpack_from(self._order + "I", self._data, end)
        return entries


def _check_size(width: int, rows: int) -> None:
    if not 1 <= width <= MAX_WIDTH or not 1 <= rows <= MAX_ROWS or width * rows > MAX_PAGE_PIXELS:
        raise _PageError(f"its size, {width} by {rows}, is none of a fax's")


def write_page(page: TiffPage) -> bytes:
    """A little-endian TIFF of this page alone; equal pages give equal octets."""
    resolution = struct.pack(
        "<IIII", round(page.x_dpi * 1000), 1000, round(page.y_dpi * 1000), 1000
    )
    body = bytearray(b"II*\0\0\0\0\0") + resolution
    offsets = []
    for strip in page.strips:
        offsets.append(len(body))
        body += strip + b"\0" * (len(strip) % 2)
    lengths = [len(strip) for strip in page.strips]
    offsets_at, lengths_at = offsets[0], lengths[0]
    if len(offsets) > 1:
        offsets_at = len(body)
        body += struct.pack(f"<{len(offsets)}I", *offsets)
        lengths_at = len(body)
        body += struct.pack(f"<{len(lengths)}I", *lengths)
    entries = [
        (WIDTH, 4, 1, page.width),
        (LENGTH, 4, 1, page.rows),
        (BITS, 3, 1, 1),
        (COMPRESSION, 3, 1, page.compression),
        (PHOTOMETRIC, 3, 1, page.photometric),
        (FILL_ORDER, 3, 1, 1),
        (STRIP_OFFSETS, 4, len(offsets), offsets_at),
        (SAMPLES, 3, 1, 1),
        (ROWS_PER_STRIP, 4, 1, page.rows_per_strip),
        (STRIP_COUNTS, 4, len(lengths), lengths_at),
        (X_RESOLUTION, 5, 1, 8),
        (Y_RESOLUTION, 5, 1, 16),
        (RESOLUTION_UNIT, 3, 1, 2),
    ]
    if page.compression == CCITT_T4:
        entries.insert(-1, (T4_OPTIONS, 4, 1, page.t4_options))
    if page.bad_rows:
        entries.append((BAD_FAX_LINES, 4, 1, page.bad_rows))
    struct.pack_into("<I", body, 4, len(body))
    body += struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack("<HHII", tag, kind, count, value)
    return bytes(body + b"\0\0\0\0")

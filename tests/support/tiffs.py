"""Fax TIFFs for the tests: whole ones in every shape a fax has, and the damaged ones.

Pages are made by Pillow's libtiff; the damaged set is made of them by hand.
"""

import io
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

A4_FINE_ROWS = 2292
FINE = (204, 196)
STANDARD = (204, 98)
SUPERFINE = (204, 391)


def text_page(text: str, *, width: int = 1728, rows: int = 400, spacing: int = 40) -> Image.Image:
    """A page with a line of text every `spacing` rows, black on white."""
    page = Image.new("1", (width, rows), 1)
    draw = ImageDraw.Draw(page)
    for number, top in enumerate(range(10, max(rows - 20, 11), spacing), start=1):
        draw.text((100, top), f"{text}, line {number}: the quick brown fax jumps", fill=0)
    return page


READABLE = (
    "Invoice number 4711 for Anna Bell",
    "The quick brown fox jumps over the lazy dog",
    "Total amount 1234.56 payable in December",
)
"""What `readable_page` says."""


def readable_page(*, rows: int = 1146) -> Image.Image:
    """An A4 page with READABLE in letters of an office's size, squeezed to so many rows."""
    page = Image.new("1", (1728, A4_FINE_ROWS), 1)
    draw = ImageDraw.Draw(page)
    typeface = ImageFont.load_default(40)
    for number, line in enumerate(READABLE):
        draw.text((150, 200 + 120 * number), line, fill=0, font=typeface)
    return page.resize((1728, rows))


def dense_page(text: str, *, rows: int = A4_FINE_ROWS) -> Image.Image:
    """A page full of the smallest text, about 260 kB in G4 when fine."""
    page = Image.new("1", (1728, rows), 1)
    draw = ImageDraw.Draw(page)
    line = f"{text} the quick brown fax jumps over the lazy operator 0123456789 " * 5
    for number, top in enumerate(range(10, rows - 20, 14)):
        draw.text((60, top), f"{number} {line}"[:260], fill=0)
    return page


def tiff(
    pages: Sequence[Image.Image],
    *,
    dpi: tuple[int, int] = STANDARD,
    compression: str = "group4",
    rows_per_strip: int | None = None,
    white: int = 0,
) -> bytes:
    """One TIFF of `pages`. Compression: `group4`, `group3`, `tiff_ccitt`, `tiff_lzw`, `raw`.

    `white` is the bit of a white dot: 0 in faxes.
    """
    out = io.BytesIO()
    rows = rows_per_strip or max(page.height for page in pages)
    info = {278: rows, 296: 2}
    first, *others = pages if white else [_inverted(page) for page in pages]
    first.save(
        out,
        "TIFF",
        save_all=True,
        append_images=others,
        compression=compression,
        dpi=dpi,
        tiffinfo=info,
        strip_size=1 << 24,
    )
    data = out.getvalue()
    for number in range(0 if white else len(pages)):
        data = with_value(data, 262, 0, page=number)
    return data


def _inverted(page: Image.Image) -> Image.Image:
    """Pillow always says that a one bit is white; the tag is set right afterwards."""
    bits = page.tobytes().translate(bytes(range(255, -1, -1)))
    return Image.frombytes("1", page.size, bits)


def write_tiff(path: Path, pages: Sequence[Image.Image], **shape: object) -> Path:
    """`tiff` into a file; returns the path."""
    path.write_bytes(tiff(pages, **shape))  # type: ignore[arg-type]
    return path


def _directories(data: bytes) -> list[int]:
    """Offsets of the directories of a little-endian TIFF."""
    offsets = []
    (at,) = struct.unpack_from("<I", data, 4)
    while at:
        offsets.append(at)
        (count,) = struct.unpack_from("<H", data, at)
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)
    return offsets


def entry_position(data: bytes, tag: int, *, page: int = 0) -> int:
    """Where the twelve octets of a tag's entry stand."""
    at = _directories(data)[page]
    (count,) = struct.unpack_from("<H", data, at)
    for index in range(count):
        position = at + 2 + 12 * index
        if struct.unpack_from("<H", data, position)[0] == tag:
            return position
    raise LookupError(tag)


def with_value(data: bytes, tag: int, value: int, *, page: int = 0) -> bytes:
    """The TIFF with a tag's value replaced, as one LONG."""
    position = entry_position(data, tag, page=page)
    entry = struct.pack("<HHII", tag, 4, 1, value)
    return data[:position] + entry + data[position + 12 :]


def strip_of(data: bytes, *, page: int = 0) -> tuple[int, int]:
    """Offset and length of a page's only strip."""
    values = []
    for tag in (273, 279):
        position = entry_position(data, tag, page=page)
        (kind,) = struct.unpack_from("<H", data, position + 2)
        values.append(struct.unpack_from("<H" if kind == 3 else "<I", data, position + 8)[0])
    return values[0], values[1]


def truncated_strip(data: bytes, *, page: int = 0, keep: float = 0.5) -> bytes:
    """The page's strip says that it ends after a part of its octets."""
    return with_value(data, 279, int(strip_of(data, page=page)[1] * keep), page=page)


def flipped(data: bytes, bits: Sequence[int], *, page: int = 0) -> bytes:
    """Bits of a page's image turned over, by their number within the strip."""
    start, _ = strip_of(data, page=page)
    out = bytearray(data)
    for bit in bits:
        out[start + bit // 8] ^= 1 << bit % 8
    return bytes(out)


def with_loop(data: bytes) -> bytes:
    """The last directory points back to the first."""
    offsets = _directories(data)
    (count,) = struct.unpack_from("<H", data, offsets[-1])
    end = offsets[-1] + 2 + 12 * count
    return data[:end] + struct.pack("<I", offsets[0]) + data[end + 4 :]


def many_pages(count: int, *, width: int = 1728, rows: int = 32) -> bytes:
    """A TIFF of `count` tiny directories that share one strip of 32 rows of 1728 dots."""
    page = tiff([text_page("bomb", rows=32)])
    start, length = strip_of(page)
    strip = page[start : start + length]
    out = bytearray(b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip)
    tags = [
        (256, width),
        (257, rows),
        (258, 1),
        (259, 4),
        (262, 0),
        (273, 8),
        (278, rows),
        (279, length),
    ]
    for number in range(count):
        following = len(out) + 2 + 12 * len(tags) + 4 if number + 1 < count else 0
        out += struct.pack("<H", len(tags))
        for tag, value in tags:
            out += struct.pack("<HHII", tag, 4, 1, value)
        out += struct.pack("<I", following)
    return bytes(out)


def damaged_set() -> dict[str, bytes]:
    """Documents of which no page can be delivered, by name (F15's hopeless half)."""
    one = tiff([text_page("one")])
    return {
        "empty": b"",
        "header only": one[:8],
        "garbage": bytes(range(256)) * 40,
        "html": b"<html><body>Your fax is ready</body></html>",
        "zero pages": b"II*\0\0\0\0\0",
        "no rows": with_value(one, 257, 0),
        "10^6 x 10^6": with_value(with_value(one, 256, 10**6), 257, 10**6),
        "1728 x 2*10^9": with_value(one, 257, 2 * 10**9),
        "60000 x 60000": with_value(with_value(one, 256, 60_000), 257, 60_000),
        "50 x 1.8 Gpx": many_pages(50, width=60_000, rows=30_000),
        "foreign compression": with_value(one, 259, 7),
        "5000 pages": many_pages(5000),
        "truncated strip": truncated_strip(one),
        "directory outside": b"II*\0" + struct.pack("<I", 10**6),
        "strip outside": with_value(one, 273, 10**8),
        "big tiff": b"II+\0\x08\0\0\0" + bytes(64),
    }


def salvageable_set() -> dict[str, tuple[bytes, int, int]]:
    """Damaged documents of which something can be delivered, by name.

    Each with the pages that are delivered and those that are dropped (F15's hopeful half).
    """
    five = tiff([text_page(f"page {number}", rows=300 + number) for number in range(5)])
    g3 = tiff([text_page("one"), text_page("two", rows=300)], compression="group3")
    return {
        "truncated strip of page 2": (truncated_strip(five, page=1), 4, 1),
        "cut at 60 %": (five[: len(five) * 6 // 10], 3, 1),
        "40 bit flips in G4": (flipped(five, range(1000, 9000, 200), page=2), 4, 1),
        "40 bit flips in G3": (flipped(g3, range(1000, 33_000, 800)), 1, 1),
        "IFD loop": (with_loop(five), 5, 0),
        "one page of foreign compression": (with_value(five, 259, 34661, page=3), 4, 1),
        "one page of 10^6 x 10^6": (
            with_value(with_value(five, 256, 10**6, page=4), 257, 10**6, page=4),
            4,
            1,
        ),
    }


def mutants(count: int, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """`count` TIFFs with 1 to 40 bits turned over anywhere, headers and directories included."""
    dice = random.Random(seed)
    pages = [text_page("one", rows=200), text_page("two", rows=150)]
    kinds = {
        "G4": tiff(pages),
        "G3": tiff(pages, compression="group3"),
        "RLE": tiff(pages, compression="tiff_ccitt"),
        "G4 in strips": tiff(pages, rows_per_strip=32),
    }
    for number in range(count):
        kind = dice.choice(sorted(kinds))
        data = bytearray(kinds[kind])
        for _ in range(dice.randint(1, 40)):
            # Half of the flips hit the first and last kilobyte, where the structure stands.
            within = len(data) if dice.random() < 0.5 else 1024
            position = dice.randrange(min(within, len(data)))
            data[-1 - position if dice.random() < 0.5 else position] ^= 1 << dice.randrange(8)
        yield f"{kind} {number}", bytes(data)

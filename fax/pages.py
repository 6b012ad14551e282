"""Whole pages out of a TIFF that may be damaged: each decoded to its last row, each one G4 strip.

A G4 page in one strip keeps its octets; everything else is encoded to G4 here, once.
A G4 page with a single bad row is dropped (every row after it is guesswork); a G3 page, whose rows
stand for themselves, may have as many bad rows as T.30 lets pass, and says so in a note.
"""

import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from PIL import Image

from fax.libtiff import Decoded, decode
from fax.tiff import CCITT_T6, MAX_PAGES, BadPage, TiffPage, read_pages
from um.core.errors import RefusedDocumentError

_INVERTED = bytes(range(255, -1, -1))
_MAX_BAD_SHARE = 0.15
"""T.30 receivers call a page bad above this (SpanDSP's copy quality, after T.30 I.1)."""
_MAX_THREADS = 4


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What could be kept of a document."""

    pages: tuple[TiffPage, ...]
    """Whole pages: one strip, T.6."""
    dropped: int
    notes: tuple[str, ...]
    """One sentence for each page that was dropped or kept with flaws."""
    numbers: tuple[int, ...]
    """The place of each kept page among all pages of the document, from 1."""


def salvage(documents: Sequence[bytes], *, max_pages: int = MAX_PAGES) -> Salvaged:
    """Decode all pages of the TIFFs in order and keep the whole ones.

    Raises RefusedDocumentError with the reasons if none is whole.
    """
    found = find_pages(documents, max_pages=max_pages)
    pages: list[TiffPage] = []
    notes: list[str] = []
    numbers: list[int] = []
    for number, (kept, note) in enumerate(_judged(found), start=1):
        if kept:
            pages.append(kept)
            numbers.append(number)
        if note:
            what = "was kept" if kept else "could not be read"
            notes.append(f"Page {number} {what}: {note}.")
    if not pages:
        more = f" ({len(notes)} pages)" if len(notes) > 1 else ""
        raise RefusedDocumentError(f"No page could be read{more}. {notes[0]}")
    return Salvaged(tuple(pages), len(found) - len(pages), tuple(notes), tuple(numbers))


def find_pages(
    documents: Sequence[bytes], *, max_pages: int = MAX_PAGES
) -> list[TiffPage | BadPage]:
    """All pages of the TIFFs in order, undecoded. Raises RefusedDocumentError."""
    found: list[TiffPage | BadPage] = []
    for document in documents:
        found += read_pages(document, max_pages=max_pages)
        if len(found) > max_pages:
            raise RefusedDocumentError(f"The fax has more than {max_pages} pages")
    return found


def _judged(found: Sequence[TiffPage | BadPage]) -> Iterator[tuple[TiffPage | None, str]]:
    """`whole_page` of each, on all processors: libtiff decodes without holding the interpreter."""
    if len(found) < 2:
        yield from map(_judge, found)
        return
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MAX_THREADS)) as pool:
        yield from pool.map(_judge, found)


def _judge(page: TiffPage | BadPage) -> tuple[TiffPage | None, str]:
    return (None, page.reason) if isinstance(page, BadPage) else whole_page(page)


def whole_page(page: TiffPage) -> tuple[TiffPage | None, str]:
    """The page as one T.6 strip, or None if it does not decode; and what is to be said of it."""
    if page.compression == CCITT_T6 and len(page.strips) == 1:
        why = _damage_of_g4(page)
        return (None, why) if why else (page, "")
    decoded = decode(page)
    if decoded.broken_off:
        return None, f"it breaks off after row {decoded.first_bad_row or 0} of {page.rows}"
    if page.compression == CCITT_T6:
        if decoded.bad_rows:
            return None, f"row {decoded.first_bad_row} of {page.rows} is damaged"
        return _encoded(page, decoded), ""
    if decoded.bad_rows > page.rows * _MAX_BAD_SHARE:
        return None, f"{decoded.bad_rows} of {page.rows} rows are damaged"
    note = f"{decoded.bad_rows} of {page.rows} rows are damaged" if decoded.bad_rows else ""
    return _encoded(page, decoded), note


def _damage_of_g4(page: TiffPage) -> str:
    """What is wrong with a page of one T.6 strip; empty if it is whole.

    One row more is asked for than the page has: the decoder must get just so far and find the end
    there. Damage that happens to decode to other rows is seen by this: the end is elsewhere.
    """
    decoded = decode(replace(page, rows=page.rows + 1, rows_per_strip=page.rows + 1))
    if decoded.first_bad_row == page.rows:
        return ""
    if decoded.first_bad_row is None:
        return f"its image goes on after row {page.rows}, its last"
    if decoded.broken_off:
        return f"it breaks off after row {decoded.first_bad_row} of {page.rows}"
    return f"row {decoded.first_bad_row} of {page.rows} is damaged"


def _encoded(page: TiffPage, decoded: Decoded) -> TiffPage:
    """The page as a fax has it: T.6, one strip, a one bit black.

    Pillow calls a one bit white; it is shown the bits as they are and believed otherwise, since its
    own way to photometric 0 is wrong (it blackens the page) and takes a second.
    """
    bits = decoded.bitmap.translate(_INVERTED) if page.photometric else decoded.bitmap
    image = Image.frombytes("1", (page.width, page.rows), bits)
    out = io.BytesIO()
    image.save(out, "TIFF", compression="group4", strip_size=1 << 30)
    (again,) = read_pages(out.getvalue())
    if not isinstance(again, TiffPage) or len(again.strips) != 1:
        raise RefusedDocumentError("A page could not be encoded")
    bad_rows = max(page.bad_rows, decoded.bad_rows)
    return replace(again, photometric=0, x_dpi=page.x_dpi, y_dpi=page.y_dpi, bad_rows=bad_rows)

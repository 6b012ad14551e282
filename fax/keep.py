"""Making one received page safe: read again from disk, decoded to its last row, written durably.

Runs off the child's loop. The page is read from the file that SpanDSP is writing, whose directory
for it is complete by then; it ends as `page-NNNN.tif`, a TIFF of its own, synced with its folder.
Law: a file of that name is a whole page for which there was room; what is not yet so has another name.
"""

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fax.pages import whole_page
from fax.tiff import MAX_PAGES, BadPage, TiffPage, read_pages, write_page
from um.core.errors import RefusedDocumentError
from um.core.steps import Steps, no_steps

RECEIVING = "receiving.tif"
"""Where SpanDSP writes, in the spool entry's folder."""


def page_name(number: int) -> str:
    """The name of page `number` (from 1) in the spool entry."""
    return f"page-{number:04d}.tif"


def is_page(name: str) -> bool:
    """Whether a spool entry's file is a kept page."""
    return name.startswith("page-") and name.endswith(".tif")


def read_received_page(folder: Path, number: int, *, bad_rows: int = 0) -> bytes:
    """Page `number` of the file being received, as a TIFF of its own.

    `bad_rows` came damaged and were made up: SpanDSP writes G4, where that is seen no more, so that
    it is written into the page (BadFaxLines, RFC 2306 §2.2.4) for whoever makes the message.

    Raises RefusedDocumentError if it is not there or does not decode whole, OSError if the disk fails.
    """
    pages = read_pages((folder / RECEIVING).read_bytes(), max_pages=MAX_PAGES + 1)
    if len(pages) < number:
        raise RefusedDocumentError(f"Page {number} is not in the file")
    page = pages[number - 1]
    if isinstance(page, BadPage):
        raise RefusedDocumentError(f"Page {number} cannot be read: {page.reason}")
    whole, why = whole_page(page)
    if whole is None:
        raise RefusedDocumentError(f"Page {number} cannot be read: {why}")
    return write_page(replace(_with_true_resolution(whole), bad_rows=min(bad_rows, whole.rows)))


def _with_true_resolution(page: TiffPage) -> TiffPage:
    """SpanDSP writes dots an inch; keep a rounding of the fax's own as it is named (204 x 98)."""
    return replace(page, x_dpi=round(page.x_dpi), y_dpi=round(page.y_dpi))


def keep_page(folder: Path, number: int, page: bytes, *, steps: Steps = no_steps) -> None:
    """Write a page durably: when this returns, a power cut cannot take it. Raises OSError."""
    final = folder / page_name(number)
    temporary = folder / f"{final.name}.new"
    try:
        _write(temporary, page)
    except OSError:
        with suppress(OSError):  # what is there of it takes the room that the call's end needs
            temporary.unlink()
        raise
    steps("page.written")
    temporary.rename(final)
    steps("page.renamed")
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

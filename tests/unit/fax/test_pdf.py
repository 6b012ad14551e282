"""TIFFs to one PDF, in a worker that may die; PDFs to TIFF by Ghostscript."""

import asyncio
import io
import os
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import fax.ghostscript as gs
from fax import pdf
from fax.ghostscript import Ghostscript
from fax.pages import salvage
from fax.pdf import PdfMaker
from fax.room import message_octets
from tests.support.tiffs import (
    FINE,
    dense_page,
    flipped,
    text_page,
    tiff,
    truncated_strip,
)
from um.core.errors import RefusedDocumentError
from um.policy.quota import base64_octets

PAGES = [text_page("first", rows=1143), text_page("second", rows=400)]


def convert(*documents, **settings):
    """One conversion by a pool of its own."""

    async def go():
        maker = PdfMaker(**settings)
        try:
            return await maker.convert(list(documents))
        finally:
            await maker.close()

    return asyncio.run(go())


def images_of(document, folder):
    """The pages' images as an independent reader (poppler) decodes them."""
    source = folder / "document.pdf"
    source.write_bytes(document)
    subprocess.run(["pdfimages", "-png", source, folder / "image"], check=True)
    return [Image.open(path).convert("1") for path in sorted(folder.glob("image-*.png"))]


@pytest.mark.parametrize("compression", ["group4", "group3"])
@pytest.mark.parametrize("white", [0, 1])
def test_the_pixels_are_the_senders(tmp_path, compression, white):
    """Poppler sees exactly the dots that went in."""
    document = convert(tiff(PAGES, compression=compression, white=white))
    assert (document.pages, document.dropped, document.notes) == (2, 0, ())
    images = images_of(document.pdf, tmp_path)
    assert [image.size for image in images] == [page.size for page in PAGES]
    assert [image.tobytes() for image in images] == [page.tobytes() for page in PAGES]


def test_pages_have_the_papers_width_and_their_own_length(tmp_path):
    """A4 wide; an A4 sheet at 98 lines an inch and a strip of paper are not stretched."""
    (tmp_path / "a.pdf").write_bytes(convert(tiff(PAGES)).pdf)
    command = ["pdfinfo", "-f", "1", "-l", "2", tmp_path / "a.pdf"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Page    1 size:  595.276 x 821.4" in shown
    assert "Page    2 size:  595.276 x 287.4" in shown


def test_g4_is_passed_through_and_the_same_fax_is_the_same_pdf():
    """The received octets stand in the PDF; a replay makes the same message."""
    page = tiff([PAGES[0]])
    first, again = convert(page), convert(page)
    assert first.pdf == again.pdf
    assert salvage([page]).pages[0].strips[0] in first.pdf


def test_single_pages_join_to_one_document():
    """As they come from the spool: one TIFF a page."""
    assert convert(*(tiff([page]) for page in PAGES)).pages == 2


def test_the_reserved_room_covers_the_message():
    """Thirty dense pages in base64 are not larger than what was promised for them."""
    pages = [tiff([dense_page("x", rows=800)], dpi=FINE)] * 30
    octets = base64_octets(len(convert(*pages).pdf)) + 4096
    promised = message_octets(sum(map(len, pages)), len(pages))
    assert octets <= promised <= octets * 1.05 + 64 * 1024


def test_what_decodes_is_delivered_with_a_note():
    """One page of two, and the sentence that says so."""
    document = convert(truncated_strip(tiff(PAGES), page=1))
    assert (document.pages, document.dropped) == (1, 1)
    assert document.notes[0].startswith("Page 2 could not be read: it breaks off after row")


def test_flipped_bits_never_make_a_page_that_pretends():
    """Each of 60 flips gives the page whole or refuses it; one worker stands them all."""
    whole = tiff([PAGES[1]])

    async def go():
        maker = PdfMaker(workers=1)
        outcomes = []
        for bit in range(100, 12_100, 200):
            try:
                outcomes.append((await maker.convert(flipped(whole, [bit]))).pages)
            except RefusedDocumentError:
                outcomes.append(0)
        await maker.close()
        return outcomes

    outcomes = asyncio.run(go())
    assert len(outcomes) == 60
    # A bit that turns "one dot left" into "one dot right" gives another whole page: T.6 has no
    # sum that could tell.
    assert outcomes.count(0) >= 50


def test_a_worker_that_is_killed_is_replaced():
    """The next document has a new worker."""

    async def go():
        maker = PdfMaker(workers=1)
        await maker.start()
        os.kill(maker._idle[0]._process.pid, signal.SIGKILL)
        await maker._idle[0]._process.wait()
        document = await maker.convert(tiff(PAGES))
        await maker.close()
        return document

    assert asyncio.run(go()).pages == 2


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.05])
def test_a_worker_that_is_given_up_while_it_starts_leaves_nothing(seconds):
    """No process that nobody knows of, and no descriptor."""

    async def go():
        before = descriptors(), children()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(PdfMaker(workers=1).start(), seconds)
        assert (descriptors(), children()) == before

    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    def children():
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text()

    asyncio.run(go())


def test_a_worker_that_takes_too_long_is_killed(monkeypatch):
    """The document is refused, and the worker does not live on."""
    monkeypatch.setattr(pdf, "WALL_SECONDS", 0.01)
    with pytest.raises(RefusedDocumentError, match="too long"):
        convert(tiff([dense_page("x")] * 20), workers=1)


def pdf_of(*pages):
    out = io.BytesIO()
    pages[0].convert("L").save(
        out, "PDF", save_all=True, append_images=[page.convert("L") for page in pages[1:]]
    )
    return out.getvalue()


def test_ghostscript_makes_fax_pages_in_a_sandbox():
    """A PDF of two pages is a fine fax of two pages; the sandbox is used wherever it works."""
    ghostscript = Ghostscript()
    data = asyncio.run(ghostscript.to_fax_tiff(pdf_of(*PAGES)))
    pages = salvage([data]).pages
    assert [(page.width, page.rows) for page in pages] == [(1728, 2292)] * 2
    assert (round(pages[0].x_dpi), round(pages[0].y_dpi)) == (204, 196)
    bubblewrap = subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"], check=False
    )
    assert bool(asyncio.run(ghostscript.sandbox.around())) == (bubblewrap.returncode == 0)


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.4\n" + bytes(500),
        b"%PDF-1.4\n%%EOF",
        pdf_of(*PAGES)[:2000],
        b"%PDF-1.4 %!PS\n(/etc/passwd) (r) file 1000 string readstring pop print",
    ],
)
def test_a_pdf_that_cannot_be_read_is_refused(data):
    """Torn, empty, or a program in disguise."""
    assert gs.is_pdf(data)
    with pytest.raises(RefusedDocumentError):
        asyncio.run(Ghostscript().to_fax_tiff(data))


def test_a_pdf_that_never_ends_is_refused(monkeypatch):
    """Wall time is limited, and nothing is left running."""
    monkeypatch.setattr(gs, "WALL_SECONDS", 0.01)
    with pytest.raises(RefusedDocumentError):
        asyncio.run(Ghostscript().to_fax_tiff(pdf_of(*PAGES)))

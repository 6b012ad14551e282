"""What a fax's PDF is: pages of true size, marks of PDF/A, a line above, words beneath."""

import io
import re
import subprocess

import pikepdf
import pytest

from fax.document import Additions, make_pdf
from fax.layout import page_points
from fax.pages import salvage
from fax.settings import SRGB_PROFILE
from fax.stamp import BAND_POINTS
from fax.text_layer import MAX_LAYER_OCTETS, layer
from fax.words import Word
from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.tiffs import FINE, STANDARD, SUPERFINE, text_page, tiff, truncated_strip

PAGES = [text_page("first", rows=1143), text_page("second", rows=400)]
HEADER = "2026-11-26 01:02 EST   From +1 555 000 0001 (+1 555 123 0001)   To +15551230002"
WORDS = {1: [Word("Rechnung", 0.1, 0.2, 0.2, 0.02), Word("naïve€😀", 0.4, 0.2, 0.2, 0.02)]}
MM = 72 / 25.4


def pdf_of(pages, *, paper="a4", dpi=STANDARD, **additions):
    """The PDF of page images."""
    return make_pdf(salvage([tiff(pages, dpi=dpi)]), paper=paper, additions=Additions(**additions))


def asked(program, pdf, folder, *options):
    """What a program of poppler says of the PDF."""
    file = folder / "asked.pdf"
    file.write_bytes(pdf)
    command = [program, *options, str(file)] + (["-"] if program == "pdftotext" else [])
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sizes_of(pdf, folder):
    """Widths and heights of all pages in points."""
    shown = asked("pdfinfo", pdf, folder, "-f", "1", "-l", "9")
    return [
        (float(width), float(height))
        for width, height in re.findall(r"size: +([\d.]+) x ([\d.]+) pts", shown)
    ]


@pytest.mark.parametrize("dpi", [STANDARD, FINE, SUPERFINE])
@pytest.mark.parametrize(("width", "paper_mm"), [(1728, 215), (2048, 255), (2432, 303)])
@pytest.mark.parametrize("length_mm", [50, 297, 355.6, 900])
def test_true_aspect_at_every_width_length_and_resolution(dpi, width, paper_mm, length_mm):
    """T.4 §2: 1728 dots are 215 mm, 2048 are 255, 2432 are 303; short, A4, legal and very long."""
    rows = round(length_mm * {98: 3.85, 196: 7.7, 391: 15.4}[dpi[1]])
    for paper, points in (("a4", 210 * MM), ("letter", 612)):
        shown = page_points(width, rows, x_dpi=dpi[0], y_dpi=dpi[1], paper=paper)
        assert shown[0] == pytest.approx(points)
        assert shown[1] / shown[0] == pytest.approx(length_mm / paper_mm, rel=0.006)


def test_pages_of_one_fax_have_each_its_own_length(tmp_path):
    """Letter wide; a strip, a legal sheet at superfine and two metres, as poppler sees them."""
    tall = [text_page("tall", rows=rows) for rows in (385, 5476, 30_000)]
    widths, heights = zip(
        *sizes_of(pdf_of(tall, paper="letter", dpi=SUPERFINE), tmp_path), strict=True
    )
    assert set(widths) == {612.0}
    true = [rows / 15.4 / 215.15 * 612 for rows in (385, 5476, 30_000)]
    assert heights == pytest.approx(true, rel=1e-3)


def test_the_line_above_a_page_leaves_the_image_as_it_was(tmp_path):
    """The page is longer by the band; the octets and the dots of the image are the received ones."""
    plain, stamped = pdf_of(PAGES), pdf_of(PAGES, header=HEADER)
    for before, after in zip(sizes_of(plain, tmp_path), sizes_of(stamped, tmp_path), strict=True):
        assert after[0] == before[0]
        assert after[1] == pytest.approx(before[1] + BAND_POINTS, abs=0.01)
    assert same_pixels(PAGES, pages_of_pdf(stamped))
    for page in salvage([tiff(PAGES)]).pages:
        assert page.strips[0] in stamped
    text = asked("pdftotext", stamped, tmp_path, "-layout").replace("\f", "")
    assert re.findall(r"(.*?) +Page (\d) of 2", text) == [(HEADER, "1"), (HEADER, "2")]
    # Nothing is drawn over the image: without the band both render alike.
    assert below_the_band(stamped, tmp_path) == below_the_band(plain, tmp_path)


def below_the_band(pdf, folder):
    """The first page as poppler paints it, 72 dots an inch, its last 810 rows."""
    file = folder / "painted.pdf"
    file.write_bytes(pdf)
    command = ["pdftoppm", "-r", "72", "-f", "1", "-l", "1", "-gray", str(file)]
    painted = subprocess.run(command, check=True, capture_output=True).stdout
    return painted[-810 * 596 :]


def test_a_page_keeps_its_number_when_another_is_lost(tmp_path):
    """The third of three is page 3 of 3, though the second could not be read."""
    three = tiff([*PAGES, text_page("third", rows=500)])
    salvaged = salvage([truncated_strip(three, page=1)])
    pdf = make_pdf(salvaged, paper="a4", additions=Additions(header=HEADER))
    assert re.findall(r"Page \d of \d", asked("pdftotext", pdf, tmp_path)) == [
        "Page 1 of 3",
        "Page 3 of 3",
    ]


@pytest.mark.parametrize(
    "header",
    ["\0\r\nX: y\u202egnp.exe", ") Tj ET Q q BT (", "\\(\\", "é€漢字😀", "W" * 400, " ", "<>%[]{}"],
)
def test_no_sender_can_write_into_the_page(header, tmp_path):
    """Whatever the line is, the page has one image, one line and the same size."""
    pdf = pdf_of(PAGES[1:], header=header)
    assert same_pixels(PAGES[1:], pages_of_pdf(pdf))
    assert "Page 1 of 1" in asked("pdftotext", pdf, tmp_path, "-layout")
    boxes = re.findall(r'xMax="([\d.]+)"', asked("pdftotext", pdf, tmp_path, "-bbox"))
    assert max(map(float, boxes)) <= 595.3
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert document.check_pdf_syntax() == []


def test_the_document_calls_itself_pdf_a(tmp_path):
    """ISO 19005-1: output intent with an sRGB profile, XMP part 1 B, an identity, fonts inside."""
    pdf = pdf_of(PAGES, header=HEADER, words=WORDS)
    assert pdf.startswith(b"%PDF-1.4\n")
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert document.check_pdf_syntax() == []
        (intent,) = document.Root.OutputIntents
        assert (intent.S, str(intent.OutputConditionIdentifier)) == ("/GTS_PDFA1", "sRGB")
        assert intent.DestOutputProfile.read_bytes() == SRGB_PROFILE.read_bytes()
        assert document.open_metadata().pdfa_status == "1B"
        other = pikepdf.open(io.BytesIO(pdf_of(PAGES[:1])))
        assert bytes(document.trailer.ID[0]) != bytes(other.trailer.ID[0])
        for name, font in document.pages[0].Resources.Font.items():
            # A font of mode 3 alone needs no program (§6.3.4); Type 3 has its glyphs in itself.
            assert name == "/Words" or font.Subtype == "/Type3"
    assert pdf == pdf_of(PAGES, header=HEADER, words=WORDS)


def test_words_are_found_where_they_were_seen(tmp_path):
    """A reader selects and copies them; they are not painted."""
    pdf = pdf_of(PAGES[:1], words=WORDS)
    shown = asked("pdftotext", pdf, tmp_path, "-bbox")
    found = {
        text: [float(edge) for edge in edges]
        for *edges, text in re.findall(
            r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</word>',
            shown,
        )
    }
    assert found.keys() == {"Rechnung", "naïve€?"}
    ((width, height),) = sizes_of(pdf, tmp_path)
    left, top, right, bottom = found["Rechnung"]
    assert (left, right) == pytest.approx((0.1 * width, 0.3 * width), abs=1)
    assert top == pytest.approx(0.2 * height, abs=2)
    assert bottom == pytest.approx(0.22 * height, abs=8)  # poppler thinks of letters below the line
    assert below_the_band(pdf, tmp_path) == below_the_band(pdf_of(PAGES[:1]), tmp_path)


def test_a_page_with_too_many_words_has_no_layer():
    """The room that a fax reserves is not passed."""
    many = [
        Word(f"{number * 7919:x}", 0.001 * (number % 997), 0.5, 0.1, 0.1) for number in range(4000)
    ]
    assert layer(many, width=595, height=842) == b""
    assert layer(many[:400], width=595, height=842)
    assert MAX_LAYER_OCTETS == 16 * 1024

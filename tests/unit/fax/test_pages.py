"""TIFFs, whole and damaged: what is read, what is dropped, and that nothing hurts."""

import re
import struct
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fax.libtiff import decode
from fax.pages import salvage
from fax.tiff import CCITT_T6, BadPage, TiffPage, read_pages, write_page
from tests.support.tiffs import (
    FINE,
    SUPERFINE,
    damaged_set,
    flipped,
    many_pages,
    text_page,
    tiff,
    truncated_strip,
    with_loop,
    with_value,
)
from um.core.errors import RefusedDocumentError

PAGE = text_page("one")
TWO = tiff([PAGE, text_page("two", rows=300)])
REASONS = {
    "empty": "empty",
    "header only": "outside the file",
    "garbage": "no TIFF",
    "html": "no TIFF",
    "zero pages": "no pages",
    "no rows": "none of a fax's",
    "10^6 x 10^6": "none of a fax's",
    "1728 x 2*10^9": "none of a fax's",
    "60000 x 60000": "none of a fax's",
    "50 x 1.8 Gpx": r"\(50 pages\).*none of a fax's",
    "foreign compression": r"its compression \(JPEG\)",
    "5000 pages": "more than 200 pages",
    "truncated strip": "breaks off after row",
    "directory outside": "outside the file",
    "strip outside": "outside the file",
    "big tiff": "no TIFF",
}


def black_dots(page: TiffPage) -> bytes:
    """The page as rows of bits, black as one."""
    bitmap = decode(page).bitmap
    return bitmap if page.photometric == 0 else bytes(octet ^ 0xFF for octet in bitmap)


EXPECTED = bytes(octet ^ 0xFF for octet in PAGE.tobytes())


@pytest.mark.parametrize("compression", ["group4", "group3", "tiff_ccitt"])
@pytest.mark.parametrize("rows_per_strip", [None, 64, 7])
@pytest.mark.parametrize("white", [0, 1])
def test_every_fax_compression_gives_the_same_dots(compression, rows_per_strip, white):
    """G3, G4 and RLE, one strip or many, white or black as zero: one G4 strip of the same page."""
    data = tiff([PAGE], compression=compression, rows_per_strip=rows_per_strip, white=white)
    salvaged = salvage([data])
    (page,) = salvaged.pages
    assert (page.compression, len(page.strips), page.rows) == (CCITT_T6, 1, 400)
    assert black_dots(page) == EXPECTED
    assert salvaged.notes == ()
    assert salvaged.dropped == 0


def test_a_page_of_one_g4_strip_keeps_its_octets():
    """Lossless and unchanged: what was received is what is stored."""
    (page,) = read_pages(tiff([PAGE]))
    assert salvage([tiff([PAGE])]).pages == (page,)


@pytest.mark.parametrize("dpi", [(204, 98), FINE, SUPERFINE, (300, 300), (400, 400)])
def test_resolutions_are_kept(dpi):
    """From 204 x 98 to 400 x 400."""
    (page,) = salvage([tiff([PAGE], dpi=dpi)]).pages
    assert (page.x_dpi, page.y_dpi) == dpi


@pytest.mark.parametrize("name", sorted(damaged_set()))
def test_the_damaged_set_is_refused_with_the_reason(name):
    """Each for what is wrong with it."""
    with pytest.raises(RefusedDocumentError, match=REASONS[name].replace("^", r"\^")):
        salvage([damaged_set()[name]])


@pytest.mark.parametrize(
    ("damaged", "note"),
    [
        (truncated_strip(TWO, page=1), "Page 2 could not be read: it breaks off after row"),
        (truncated_strip(TWO, page=0), "Page 1 could not be read: it breaks off after row"),
        (flipped(TWO, [3000]), "Page 1 could not be read: row"),
        (with_value(TWO, 257, 10**6, page=1), "Page 2 could not be read: its size"),
        (with_value(TWO, 259, 7, page=1), r"its compression \(JPEG\)"),
        (with_value(TWO, 258, 8, page=0), "it is not black and white"),
        (with_value(TWO, 273, 10**8, page=1), "outside the file"),
        (TWO[: len(TWO) * 6 // 10], "Page 2 could not be read: its directory"),
    ],
)
def test_one_bad_page_does_not_take_the_other_with_it(damaged, note):
    """The page that decodes is kept, the other one is noted with its number and why."""
    salvaged = salvage([damaged])
    assert len(salvaged.pages) == 1
    assert salvaged.dropped == 1
    (text,) = salvaged.notes
    assert re.search(note, text)


def test_a_g3_page_with_a_bad_row_is_kept_and_says_so():
    """A row of G3 stands for itself: the others are as they were sent."""
    salvaged = salvage([flipped(tiff([PAGE], compression="group3"), [3000])])
    assert len(salvaged.pages) == 1
    assert salvaged.notes == ("Page 1 was kept: 1 of 400 rows are damaged.",)


def test_rows_that_the_receiver_made_up_are_counted_through_every_step():
    """BadFaxLines (RFC 2306) is read, kept by G4, added up with G3's own, and written again."""
    (page,) = read_pages(tiff([PAGE]))
    noted = write_page(replace(page, bad_rows=12))
    assert salvage([noted]).pages[0].bad_rows == 12
    assert salvage([with_value(noted, 326, 10**6)]).pages[0].bad_rows == 400
    flipped_row = salvage([flipped(tiff([PAGE], compression="group3"), [3000])])
    assert flipped_row.pages[0].bad_rows == 1


def test_a_loop_of_directories_ends():
    """Each page once."""
    assert len(salvage([with_loop(TWO)]).pages) == 2


def test_two_hundred_pages_are_allowed_and_no_more():
    """The limit counts pages over all documents of one fax."""
    assert len(salvage([many_pages(200)]).pages) == 200
    with pytest.raises(RefusedDocumentError, match="more than 200"):
        salvage([many_pages(150), many_pages(51)])


def test_a_long_page_is_kept():
    """Two metres of paper are a page."""
    (page,) = salvage([tiff([text_page("long", rows=15_000)])]).pages
    assert page.rows == 15_000


def test_big_endian_is_read():
    """MM as well as II."""
    strip = read_pages(tiff([PAGE]))[0].strips[0]
    tags = [
        (256, 3, 1728 << 16),
        (257, 3, 400 << 16),
        (259, 3, 4 << 16),
        (262, 3, 0),
        (273, 4, 8),
        (279, 4, len(strip)),
    ]
    data = b"MM\0*" + struct.pack(">I", 8 + len(strip)) + strip + struct.pack(">H", len(tags))
    data += b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    (page,) = salvage([data + bytes(4)]).pages
    assert black_dots(page) == EXPECTED
    assert (page.x_dpi, page.y_dpi) == (204, 196)


@given(st.binary(max_size=400))
def test_any_octets_give_pages_or_the_one_error(data):
    """A parser of hostile input raises nothing else."""
    with suppress(RefusedDocumentError):
        assert read_pages(data)


@given(st.lists(st.tuples(st.integers(0, len(TWO) - 1), st.integers(0, 255)), max_size=12))
@settings(max_examples=300, deadline=None)
def test_a_mutated_tiff_gives_whole_pages_or_the_one_error(changes):
    """What is kept decodes to its last row, whatever was done to the file."""
    data = bytearray(TWO)
    for position, value in changes:
        data[position] = value
    try:
        salvaged = salvage([bytes(data)])
    except RefusedDocumentError:
        return
    for page in salvaged.pages:
        decoded = decode(page)
        assert not decoded.broken_off
        assert decoded.bad_rows == 0
        assert len(decoded.bitmap) == (page.width + 7) // 8 * page.rows


@given(
    st.builds(
        TiffPage,
        width=st.integers(1, 7296),
        rows=st.integers(1, 5000),
        compression=st.just(CCITT_T6),
        photometric=st.integers(0, 1),
        t4_options=st.just(0),
        x_dpi=st.integers(50, 1300).map(float),
        y_dpi=st.integers(50, 1300).map(float),
        rows_per_strip=st.just(0),
        strips=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6).map(tuple),
    )
)
def test_write_then_read_is_the_identity(page):
    """A page written is the page read."""
    rows_per_strip = -(-page.rows // len(page.strips))
    count = -(-page.rows // rows_per_strip)
    page = replace(page, rows_per_strip=rows_per_strip, strips=page.strips[:count])
    assert read_pages(write_page(page)) == [page]


def test_what_has_no_pages_that_are_good_is_a_bad_page():
    """`read_pages` tells of bad pages without raising, so that the others are seen."""
    first, second = read_pages(with_value(TWO, 257, 0))
    assert isinstance(first, BadPage)
    assert isinstance(second, TiffPage)

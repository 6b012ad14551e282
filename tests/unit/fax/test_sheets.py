"""Pages as pictures: drawn by poppler in the sandbox, and refused in words."""

import asyncio
from io import BytesIO

import img2pdf
import pytest
from PIL import Image

from fax.sheets import LONGEST_SIDE, Sheets
from um.core.errors import RefusedDocumentError


def pdf(pages):
    """A4 pages, each with a dark band lower down than on the page before."""
    drawn = []
    for number in range(pages):
        page, png = Image.new("L", (827, 1169), 255), BytesIO()
        page.paste(0, (0, 100 * (number + 1), 827, 100 * (number + 1) + 50))
        page.save(png, "PNG")
        drawn.append(png.getvalue())
    return bytes(img2pdf.convert(drawn))


def test_pages_are_drawn_a_run_at_a_time():
    """In order, from the first that is asked for; none after the last."""
    document = pdf(3)

    async def story():
        sheets = Sheets(at_once=2)
        return [await sheets.draw(document, first) for first in (1, 3)]

    first, second = asyncio.run(story())
    assert (len(first), len(second)) == (2, 1)
    for number, png in enumerate([*first, *second], start=1):
        with Image.open(BytesIO(png)) as picture:
            assert max(picture.size) == LONGEST_SIDE
            x, y = picture.width // 2, round((100 * number + 25) * picture.height / 1169)
            assert picture.convert("L").getpixel((x, y)) < 50


@pytest.mark.parametrize("document", [b"", b"words", b"%PDF-1.4 broken", pdf(1)[:200]])
def test_what_cannot_be_drawn_is_refused(document):
    with pytest.raises(RefusedDocumentError):
        asyncio.run(Sheets(at_once=2).draw(document, 1))

"""A fax page as a picture that character recognition reads well: square dots, grey, no compression.

A standard fax has half as many dots down as across; read as they are, its letters are flat.
"""

from PIL import Image

from fax.layout import READING_DPI, true_dpi
from fax.libtiff import decode
from fax.pages import whole_page
from fax.tiff import TiffPage

_INVERTED = bytes(range(255, -1, -1))


def upright(page: TiffPage) -> bytes | None:
    """The page as a PGM of 204 dots an inch both ways; None if it does not decode."""
    whole, _ = whole_page(page)
    if whole is None:
        return None
    bits = decode(whole).bitmap
    white_is_one = bits if whole.photometric else bits.translate(_INVERTED)
    image = Image.frombytes("1", (whole.width, whole.rows), white_is_one).convert("L")
    x, y = true_dpi(whole.x_dpi, whole.y_dpi)
    size = round(whole.width * READING_DPI / x), round(whole.rows * READING_DPI / y)
    if size != image.size:
        image = image.resize((max(size[0], 1), max(size[1], 1)), Image.Resampling.BICUBIC)
    return f"P5\n{image.width} {image.height}\n255\n".encode("ascii") + image.tobytes()

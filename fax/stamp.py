"""The line above a page that says who sent it, when, and which page it is: text, never pixels.

It stands in a band of its own: the page is longer by the band, the received image below it is
untouched. The letters are bitmaps in a font of the PDF's own (Type 3, ISO 32000-1 §9.6.5), drawn
once from the typeface that Pillow carries, so that the line can be searched and no font is missing.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

BAND_POINTS = 12.0
"""A full A4 page of a fax, made as wide as the paper, still fits the sheet with it."""
_SIZE_POINTS = 8.0
_MARGIN_POINTS = 18.0
_BASELINE_POINTS = 3.5
_PIXELS_AN_EM = 32
"""Of a letter's bitmap: 288 dots an inch at that size."""
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Letter:
    """One glyph: its content stream and how far it moves on, in pixels."""

    procedure: bytes
    advance: int


@dataclass(frozen=True, slots=True)
class StampFont:
    """The letters of all stamps of one document, by character code (printable ASCII)."""

    letters: dict[int, Letter]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "StampFont":
        """The font that has just the letters of `texts`."""
        typeface = ImageFont.load_default(_PIXELS_AN_EM)
        codes = sorted({code for text in texts for code in plain(text)})
        return cls({code: _letter(typeface, chr(code)) for code in codes})

    def width_points(self, text: str) -> float:
        """How wide a text is."""
        pixels = sum(self.letters[code].advance for code in plain(text))
        return pixels / _PIXELS_AN_EM * _SIZE_POINTS

    def to_unicode(self) -> bytes:
        """What the codes mean (ISO 32000-1 §9.10.3): themselves."""
        lines = "\n".join(f"<{code:02X}> <{code:04X}>" for code in self.letters)
        return to_unicode_map(f"{len(self.letters)} beginbfchar\n{lines}\nendbfchar", "<00> <FF>")


def plain(text: str) -> bytes:
    """The text in the letters that the font can have."""
    return "".join(c if " " <= c <= "~" else _UNKNOWN for c in text).encode("ascii")


def stamp(font: StampFont, left: str, right: str, *, page_width: float, bottom: float) -> bytes:
    """The operators that write one line: `left` from the left margin, `right` up to the right one.

    Args: page_width, bottom: points; the band begins at `bottom`. A line too long is narrowed.
    """
    room = page_width - 2 * _MARGIN_POINTS
    gap = _SIZE_POINTS if left and right else 0.0
    widths = font.width_points(left), font.width_points(right)
    scale = min(1.0, room / max(sum(widths) + gap, 1.0))
    baseline = bottom + _BASELINE_POINTS
    right_at = page_width - _MARGIN_POINTS - widths[1] * scale
    shown = ((left, _MARGIN_POINTS), (right, right_at))
    return b"".join(_shown(text, at, baseline, scale) for text, at in shown if text)


def to_unicode_map(body: str, codes: str) -> bytes:
    """A ToUnicode CMap around its mappings; `codes` is its code space."""
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n{codes}\nendcodespacerange\n{body}\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode("ascii")


def _shown(text: str, x: float, y: float, scale: float) -> bytes:
    size = f"/Stamp {_SIZE_POINTS:g} Tf {scale * 100:.2f} Tz"
    return f"BT {size} {x:.2f} {y:.2f} Td <{plain(text).hex()}> Tj ET\n".encode("ascii")


def _letter(typeface: ImageFont.FreeTypeFont | ImageFont.ImageFont, char: str) -> Letter:
    left, top, right, bottom = (round(edge) for edge in typeface.getbbox(char, anchor="ls"))
    advance = round(typeface.getlength(char))
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        return Letter(f"{advance} 0 d0\n".encode("ascii"), advance)
    image = Image.new("1", (width, height), 0)
    ImageDraw.Draw(image).text((-left, -top), char, fill=1, font=typeface, anchor="ls")
    mask = f"BI /IM true /W {width} /H {height} /BPC 1 /D [1 0] /F /AHx ID {image.tobytes().hex()}>"
    box = f"{advance} 0 {left} {-bottom} {right} {-top} d1"
    place = f"q {width} 0 0 {height} {left} {-bottom} cm"
    return Letter(f"{box}\n{place}\n{mask}\nEI Q\n".encode("ascii"), advance)


def deflated(data: bytes) -> bytes:
    """As FlateDecode wants it."""
    return zlib.compress(data, 9)


FONT_MATRIX = [1 / _PIXELS_AN_EM, 0, 0, 1 / _PIXELS_AN_EM, 0, 0]

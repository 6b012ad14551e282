"""One PDF of whole fax pages (img2pdf): images passed through, a line above each, words beneath.

Laws: the G4 octets of a page stand in the PDF as they are; equal input gives equal octets. The
document calls itself PDF/A-1b when the machine has an sRGB profile to name as output intent.
"""

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import img2pdf

from fax.layout import page_points
from fax.pages import Salvaged
from fax.settings import SRGB_PROFILE
from fax.stamp import BAND_POINTS, FONT_MATRIX, StampFont, deflated, stamp
from fax.text_layer import layer, to_unicode
from fax.tiff import TiffPage, write_page
from fax.words import Word

_VERSION = "1.4"


@dataclass(frozen=True, slots=True)
class Additions:
    """What a document shows beside the received images."""

    header: str = ""
    """The line above every page, without its page number; no line if empty."""
    words: Mapping[int, Sequence[Word]] = field(default_factory=dict)
    """What was read, by the page's place among all pages, from 1."""


def make_pdf(salvaged: Salvaged, *, paper: str, additions: Additions | None = None) -> bytes:
    """The document. `paper` is `a4` or `letter`: the pages' width; their length is the sender's."""
    adds = additions or Additions()
    band = BAND_POINTS if adds.header else 0.0
    sizes = [_points(page, paper) for page in salvaged.pages]
    sheets = iter(sizes)

    def layout(*_: object) -> tuple[float, float, float, float]:
        width, height = next(sheets)  # img2pdf asks once for each image, in order
        return width, height + band, width, height

    images = [write_page(page) for page in salvaged.pages]
    document = img2pdf.convert_to_docobject(
        images,
        layout_fun=layout,
        engine=img2pdf.Engine.internal,
        nodate=True,
        producer="um",
        pdfa=str(SRGB_PROFILE) if SRGB_PROFILE.exists() else None,
    )
    _Annotator(document.writer, salvaged, adds).annotate(sizes)
    out = io.BytesIO()
    document.writer.tostream(document.writer.docinfo, out, _VERSION, _identity(images, adds))
    return out.getvalue()


def _identity(images: Sequence[bytes], additions: Additions) -> bytes:
    """What the file identifier is made of (ISO 32000-1 §14.4): other pages, another document."""
    sums = (f"{zlib.crc32(image):08x}{len(image):x}" for image in images)
    return "\n".join((additions.header, *sums)).encode()


def _points(page: TiffPage, paper: str) -> tuple[float, float]:
    return page_points(page.width, page.rows, x_dpi=page.x_dpi, y_dpi=page.y_dpi, paper=paper)


class _Annotator:
    """Writes the content of each page anew: the image at the bottom, then line and words."""

    def __init__(self, writer: Any, salvaged: Salvaged, additions: Additions) -> None:
        self._writer = writer
        self._numbers = salvaged.numbers
        self._total = len(salvaged.pages) + salvaged.dropped
        self._header = additions.header
        self._words = additions.words
        rights = [self._place(number) for number in self._numbers] if self._header else []
        self._font = StampFont.of([self._header, *rights]) if self._header else None

    def annotate(self, sizes: Sequence[tuple[float, float]]) -> None:
        fonts = self._fonts()
        pages = list(self._writer.pagearray)
        for page, number, (width, height) in zip(pages, self._numbers, sizes, strict=True):
            if fonts:
                page[b"/Resources"][b"/Font"] = fonts
            content = self._content(number, width, height)
            stream = page[b"/Contents"]
            if len(content) > 300:
                content = deflated(content)
                stream[b"/Filter"] = b"/FlateDecode"
            stream.stream = content
            stream[b"/Length"] = len(content)

    def _content(self, number: int, width: float, height: float) -> bytes:
        parts = [f"q {width:.4f} 0 0 {height:.4f} 0 0 cm /Im0 Do Q\n".encode("ascii")]
        parts.append(layer(self._words.get(number, ()), width=width, height=height))
        if self._font:
            right = self._place(number)
            line = stamp(self._font, self._header, right, page_width=width, bottom=height)
            parts.append(line)
        return b"".join(parts)

    def _place(self, number: int) -> str:
        return f"Page {number} of {self._total}"

    def _fonts(self) -> Any:
        """The page resource `Font`, shared by all pages; None if there is no text."""
        fonts = {}
        if self._font:
            fonts[b"/Stamp"] = self._stamp_font(self._font)
        if any(self._words.values()):
            fonts[b"/Words"] = self._word_font()
        return self._object(fonts) if fonts else None

    def _stamp_font(self, font: StampFont) -> Any:
        names = {code: f"/c{code}".encode("ascii") for code in font.letters}
        procedures = {
            names[code]: self._stream(letter.procedure) for code, letter in font.letters.items()
        }
        first, last = min(font.letters), max(font.letters)
        widths = [
            font.letters[code].advance if code in font.letters else 0
            for code in range(first, last + 1)
        ]
        differences = [item for code, name in names.items() for item in (code, name)]
        return self._object(
            {
                b"/Type": b"/Font",
                b"/Subtype": b"/Type3",
                b"/Name": b"/Stamp",
                b"/FontBBox": [0, 0, 0, 0],  # not known beforehand (§9.6.5)
                b"/FontMatrix": b"[ " + b" ".join(b"%g" % n for n in FONT_MATRIX) + b" ]",
                b"/CharProcs": procedures,
                b"/Encoding": {b"/Type": b"/Encoding", b"/Differences": differences},
                b"/FirstChar": first,
                b"/LastChar": last,
                b"/Widths": widths,
                b"/Resources": {},
                b"/ToUnicode": self._stream(font.to_unicode()),
            }
        )

    def _word_font(self) -> Any:
        name = b"/UmInvisible"
        descriptor = self._object(
            {
                b"/Type": b"/FontDescriptor",
                b"/FontName": name,
                b"/Flags": 5,  # fixed pitch, symbolic
                b"/FontBBox": [0, 0, 500, 1000],
                b"/ItalicAngle": 0,
                b"/Ascent": 1000,
                b"/Descent": 0,
                b"/CapHeight": 1000,
                b"/StemV": 80,
            }
        )
        descendant = self._object(
            {
                b"/Type": b"/Font",
                b"/Subtype": b"/CIDFontType2",
                b"/BaseFont": name,
                b"/CIDSystemInfo": {
                    b"/Registry": b"(Adobe)",
                    b"/Ordering": b"(Identity)",
                    b"/Supplement": 0,
                },
                b"/FontDescriptor": descriptor,
                b"/CIDToGIDMap": b"/Identity",
                b"/DW": 500,
            }
        )
        return self._object(
            {
                b"/Type": b"/Font",
                b"/Subtype": b"/Type0",
                b"/BaseFont": name,
                b"/Encoding": b"/Identity-H",
                b"/DescendantFonts": [descendant],
                b"/ToUnicode": self._stream(to_unicode()),
            }
        )

    def _object(self, content: dict[bytes, Any]) -> Any:
        made = img2pdf.MyPdfDict(content)
        self._writer.addobj(made)
        return made

    def _stream(self, data: bytes) -> Any:
        packed = deflated(data)
        made = img2pdf.MyPdfDict(stream=packed, Filter=b"/FlateDecode")
        self._writer.addobj(made)
        return made

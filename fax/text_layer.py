"""What was read from a page's image, laid invisibly over it, so that a PDF reader finds and copies it.

Every word stands where it was seen, in text rendering mode 3: neither filled nor stroked, so its font
needs no glyphs (ISO 19005-1 §6.3.4, ISO 32000-1 §9.3.6).
"""

from collections.abc import Sequence

from fax.stamp import deflated, to_unicode_map
from fax.words import Word

MAX_LAYER_OCTETS = 16 * 1024
"""Of one page, deflated; `fax.room` reserves it. A page with more has no layer."""
_GLYPH_WIDTH = 500
"""Thousandths of an em, of every character."""


def layer(words: Sequence[Word], *, width: float, height: float) -> bytes:
    """The operators that write the words over an image of that size in points; empty if too many."""
    shown = [_shown(word, width, height) for word in words]
    operators = ("q BT 3 Tr\n" + "".join(shown) + "ET Q\n").encode("ascii") if shown else b""
    return operators if len(deflated(operators)) <= MAX_LAYER_OCTETS else b""


def to_unicode() -> bytes:
    """Codes are UTF-16: each means itself, in ranges that share their high octet."""
    ranges = [f"<{high:02X}00> <{high:02X}FF> <{high:02X}00>" for high in range(256)]
    blocks = (ranges[start : start + 100] for start in range(0, 256, 100))
    body = "\n".join(
        f"{len(block)} beginbfrange\n" + "\n".join(block) + "\nendbfrange" for block in blocks
    )
    return to_unicode_map(body, "<0000> <FFFF>")


def _shown(word: Word, width: float, height: float) -> str:
    text = "".join(char if ord(char) <= 0xFFFF else "?" for char in word.text)
    size = max(word.height * height, 1.0)
    natural = len(text) * _GLYPH_WIDTH / 1000 * size
    stretch = min(max(100 * word.width * width / natural, 1.0), 1000.0)
    x, y = word.left * width, height * (1 - word.top - word.height)
    code = text.encode("utf-16-be", "replace").hex()
    return f"/Words {size:.1f} Tf {stretch:.1f} Tz 1 0 0 1 {x:.1f} {y:.1f} Tm <{code}> Tj\n"

"""Words that were read from a fax's pages, and where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its box, in shares of the page's width and rows, from the top left."""

    text: str
    left: float
    top: float
    width: float
    height: float
    line: int = 0
    """Words of one line have one number; it grows down the page."""


def lines_of(words: Sequence[Word]) -> str:
    """The words as text: a line a line."""
    lines: dict[int, list[str]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(word.text)
    return "\n".join(" ".join(line) for line in lines.values())

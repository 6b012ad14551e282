"""The table that tesseract writes (`tesseract … tsv`): one row a word, with its box and certainty.

The table comes from a program that read a stranger's page: rows that are not as they should be are
left out, and words are cleaned of everything that is no visible character.
"""

from collections.abc import Iterator

from fax.words import Word
from um.mime.clean import clean_text

_COLUMNS = 12
_PAGE_LEVEL, _WORD_LEVEL = "1", "5"
_MIN_CERTAINTY = 20.0
"""Per cent; below it are mostly specks and rules taken for letters."""
_MAX_WORD = 80


def words_of(table: str) -> tuple[Word, ...]:
    """The words of a page in reading order, their boxes in shares of its width and rows."""
    rows = [row for line in table.split("\n") if len(row := line.split("\t")) == _COLUMNS]
    size = next((_box(row)[2:] for row in rows if row[0] == _PAGE_LEVEL), None)
    if size is None or min(size) < 1:
        return ()
    return tuple(_words(rows, *size))


def _words(rows: list[list[str]], width: int, height: int) -> Iterator[Word]:
    lines: dict[tuple[str, ...], int] = {}
    for row in rows:
        text = clean_text(row[11], _MAX_WORD)
        if row[0] != _WORD_LEVEL or not text or not _certainty(row[10]) >= _MIN_CERTAINTY:
            continue
        left, top, wide, high = _box(row)
        if not (
            0 <= left <= width and 0 <= top <= height and 0 < wide <= width and 0 < high <= height
        ):
            continue
        line = lines.setdefault(tuple(row[2:5]), len(lines))  # block, paragraph, line
        yield Word(text, left / width, top / height, wide / width, high / height, line)


def _box(row: list[str]) -> tuple[int, int, int, int]:
    """Left, top, width, height in dots; below zero what is no number."""
    numbers = [int(field) if field.isdecimal() and len(field) < 8 else -1 for field in row[6:10]]
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _certainty(field: str) -> float:
    """Per cent; perhaps not a number, which is no certainty."""
    try:
        return float(field)
    except ValueError:
        return 0.0

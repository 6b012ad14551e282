"""The words of an HTML text, for a preview: no more of HTML than that.

Laws: whatever comes, it takes one pass; what is not closed hides the rest.
"""

import html
import re

_TAG = re.compile(r"<(?:!--|([/!?]?[a-zA-Z][a-zA-Z0-9]*))")
_UNSEEN = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "title")}
_WITHIN_A_LINE = frozenset(
    ("a", "b", "big", "em", "font", "i", "s", "small", "span", "strong", "sub", "sup", "tt", "u")
)


def words_of(text: str, *, most: int) -> str:
    """The first `most` characters or so that a reader of this HTML sees, white space as it comes."""
    words: list[str] = []
    found, place = 0, 0
    while found < most:
        tag = _TAG.search(text, place)
        end = len(text) if tag is None else tag.start()
        piece = html.unescape(text[place : min(end, place + 2 * most)])
        words.append(piece)
        found += len(piece)
        if tag is None:
            break
        name = (tag[1] or "").lower()
        if name.lstrip("/") not in _WITHIN_A_LINE:
            words.append(" ")
        place = _behind(text, tag, name)
    return "".join(words)


def _behind(text: str, tag: re.Match[str], name: str) -> int:
    """Where the text goes on after a tag, a comment, or what is not shown."""
    if not name:
        return _end(text.find("-->", tag.end()), 3, text)
    place = tag.end()
    if name in _UNSEEN:
        closing = _UNSEEN[name].search(text, place)
        if closing is None:
            return len(text)
        place = closing.end()
    return _end(text.find(">", place), 1, text)


def _end(found: int, length: int, text: str) -> int:
    return len(text) if found < 0 else found + length

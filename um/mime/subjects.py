"""The base subject of a message: what it is about, without `Re:`, `[list]` and the like (RFC 5256 §2.1)."""

import re

MAX_SUBJECT = 1000
"""Characters that are looked at: the rules are applied over and over, and the text is a stranger's."""
_SPACES = re.compile(r"[ \t\r\n]+")
_BLOB = re.compile(r"\[[^\[\]]*\] *")
_REFWD = re.compile(r"(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:", re.IGNORECASE)
_FORWARDED = "(fwd)"
_HEADER = "[fwd:"


def base_subject(subject: str) -> tuple[str, bool]:
    """The base subject of a decoded Subject, and whether it is that of a reply or a forward."""
    text = _SPACES.sub(" ", subject[:MAX_SUBJECT])
    is_reply = False
    while True:
        text, trailer = _without_trailers(text)
        text, leader = _without_leaders(text)
        is_reply = is_reply or trailer or leader
        if not (text.lower().startswith(_HEADER) and text.endswith("]")):
            return text, is_reply
        text = text[len(_HEADER) : -1]
        is_reply = True


def _without_trailers(text: str) -> tuple[str, bool]:
    """Step 2: `(fwd)` and spaces at the end."""
    found = False
    while True:
        text = text.rstrip(" ")
        if not text.lower().endswith(_FORWARDED):
            return text, found
        text = text[: -len(_FORWARDED)]
        found = True


def _without_leaders(text: str) -> tuple[str, bool]:
    """Steps 3 to 5: `Re:` and its like, and blobs unless nothing else is left.

    A run of blobs is looked at once, so that a stranger's hundreds of them cost no more than letters do.
    """
    found = False
    start = len(text) - len(text.lstrip(" "))
    last = start
    while True:
        after = start
        while blob := _BLOB.match(text, after):
            last, after = after, blob.end()
        match = _REFWD.match(text, after)
        if match is None:
            break
        found = True
        start = match.end()
        while text.startswith(" ", start):
            start += 1
        last = start
    return text[after if after < len(text) else last :], found

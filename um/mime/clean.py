"""Texts from strangers (caller names, numbers, station ids) made safe to show and to write.

Laws: the result never holds a control character, a line end or a mark that reorders text; it is
one line of bounded length. What is left is data still: an edge that writes HTML escapes it.
"""

import re
import unicodedata

DEFAULT_LIMIT = 80

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Controls, formats (bidi overrides, zero width), surrogates, private, unassigned, separators."""
_NOT_FILENAME = re.compile(r"[^A-Za-z0-9._-]+")
_DOTS = re.compile(r"\.{2,}")
_NOT_ADDRESS = re.compile(r"[^A-Za-z0-9+._-]+")


def clean_text(text: str, limit: int = DEFAULT_LIMIT) -> str:
    """One line of visible characters, runs of space collapsed, at most `limit` characters."""
    bounded = text[: limit * 16]
    visible = (" " if c.isspace() else c for c in bounded if _shown(c))
    return " ".join("".join(visible).split())[:limit].rstrip()


def clean_lines(text: str, limit: int = 100_000) -> str:
    """Several lines (transcript, notice): each cleaned, joined with LF, `limit` characters in all."""
    lines = text[:limit].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(clean_text(line, limit=max(1, len(line))) for line in lines).strip("\n")


def clean_filename(name: str, limit: int = 100) -> str:
    """Letters, digits, dot, dash and underscore only, never empty, never beginning with a dot."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = _DOTS.sub(".", _NOT_FILENAME.sub("-", ascii_name)).strip("-.")
    if len(safe) > limit:
        stem, dot, extension = safe.rpartition(".")
        keep = dot + extension if dot and len(extension) <= 8 else ""
        safe = (stem if keep else safe)[: limit - len(keep)].strip("-.") + keep
    return safe or "file"


def clean_local_part(text: str, limit: int = 64) -> str:
    """What may stand unquoted before the @ of an address (RFC 5322 dot-atom); may be empty."""
    return _DOTS.sub(".", _NOT_ADDRESS.sub("", text))[:limit].strip(".")


def _shown(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) not in _INVISIBLE

"""Octets to text by the charset a message names, whatever it names."""

import codecs

_NOT_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Text codecs of Python that are no charset of mail."""
_OVER_ASCII = (None, "utf-8", "us-ascii", "iso-8859-1")
"""With these, as most mail spells them, ASCII means itself: no codec need be looked up."""
_ALIASES = {"unknown-8bit": "latin-1", "x-unknown": "utf-8", "ansi_x3.110-1983": "latin-1"}


def decode_octets(octets: bytes, charset: str | None) -> str:
    """Decode; an unknown or lying charset falls back to UTF-8, then Latin-1. Never raises."""
    if octets.isascii() and charset in _OVER_ASCII:
        return octets.decode("ascii")
    for name in (charset, "utf-8"):
        codec = _codec(name) if name else None
        if codec is None:
            continue
        try:
            return octets.decode(codec)
        except (LookupError, ValueError):  # base64 and its like are no text encodings
            continue
    return octets.decode("latin-1")


def _codec(name: str) -> str | None:
    name = name.strip().lower()
    try:
        info = codecs.lookup(_ALIASES.get(name, name))
    except (LookupError, ValueError):
        return None
    return None if info.name.replace("_", "-") in _NOT_CHARSETS else info.name

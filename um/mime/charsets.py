"""Octets to text by the charset a message names, whatever it names."""

import codecs

_NOT_CHARSETS = {"base64", "bz2", "hex", "quopri", "rot13", "uu", "zlib", "idna", "punycode"}
"""Python codecs that are no charset of mail; some would even unpack."""
_ALIASES = {"unknown-8bit": "latin-1", "x-unknown": "utf-8", "ansi_x3.110-1983": "latin-1"}


def decode_octets(octets: bytes, charset: str | None) -> str:
    """Decode; an unknown or lying charset falls back to UTF-8, then Latin-1. Never raises."""
    for name in (charset, "utf-8"):
        codec = _codec(name) if name else None
        if codec is None:
            continue
        try:
            return octets.decode(codec)
        except (UnicodeError, ValueError):
            continue
    return octets.decode("latin-1")


def _codec(name: str) -> str | None:
    name = name.strip().lower()
    try:
        info = codecs.lookup(_ALIASES.get(name, name))
    except (LookupError, ValueError):
        return None
    plain = info.name.replace("_", "").removesuffix("codec")
    if plain in _NOT_CHARSETS or info.name in {"undefined", "unicode_escape", "raw_unicode_escape"}:
        return None
    return info.name

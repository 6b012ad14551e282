"""IMAP strings (RFC 3501 §4.3) as pre-rendered structures hold them.

Quoted where that is allowed and readable, otherwise a literal; never anything that a client could
not parse. NUL may not travel in either form and becomes 0x80, as Dovecot does it.
"""

import re

NIL = b"NIL"

_NEEDS_LITERAL = re.compile(rb"[\x00\r\n\x80-\xff]")
_ESCAPED = re.compile(rb'(["\\])')
_SPACES = re.compile(rb"[ \t\r\n]+")
_MAX_ESCAPES = 4
"""Beyond it a literal is shorter and easier to read (Dovecot's own limit)."""


def string(value: bytes) -> bytes:
    """Render a string: quoted if it holds 7-bit characters without CR, LF and NUL."""
    if value.isalnum():
        return b'"%b"' % value
    if _NEEDS_LITERAL.search(value):
        return _literal(value)
    if b'"' in value or b"\\" in value:
        if len(_ESCAPED.findall(value)) > _MAX_ESCAPES:
            return _literal(value)
        value = _ESCAPED.sub(rb"\\\1", value)
    return b'"%b"' % value


def nstring(value: bytes | None) -> bytes:
    """Render a string, or NIL for what is absent."""
    return NIL if value is None else string(value)


def human_string(value: bytes | None) -> bytes:
    """Render a text for people (subject, display name): runs of white space become one space."""
    if value is None:
        return NIL
    return string(_SPACES.sub(b" ", value).strip(b" "))


def _literal(value: bytes) -> bytes:
    safe = value.replace(b"\0", b"\x80")
    return b"{%d}\r\n%b" % (len(safe), safe)

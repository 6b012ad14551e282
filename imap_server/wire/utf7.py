"""Mailbox names on the wire: modified UTF-7 (RFC 3501 §5.1.3).

Printable US-ASCII stands for itself, `&` is `&-`, all else is UTF-16BE in a base64 that has `,` for
`/` and no padding, between `&` and `-`. Only the one canonical form is taken, so that no two
spellings on the wire mean one mailbox.
"""

import binascii
import re

_TEXT_RUN = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]+")
_WIRE_RUN = re.compile(rb"[\x20-\x25\x27-\x7e]+|&([A-Za-z0-9+,]*)-")


def encode(name: str) -> bytes:
    """Return `name` in modified UTF-7; a lone surrogate raises UnicodeEncodeError."""
    parts = []
    for run in _TEXT_RUN.findall(name):
        if " " <= run[0] <= "~":
            parts.append(run.encode("ascii").replace(b"&", b"&-"))
        else:
            base64 = binascii.b2a_base64(run.encode("utf-16-be"), newline=False)
            parts.append(b"&" + base64.rstrip(b"=").replace(b"/", b",") + b"-")
    return b"".join(parts)


def decode(wire: bytes) -> str:
    """Return the name that `wire` spells. Raises ValueError if it is not the canonical spelling."""
    parts = []
    position = 0
    while position < len(wire):
        match = _WIRE_RUN.match(wire, position)
        if match is None:
            raise ValueError("not modified UTF-7")
        parts.append(_decode_run(match))
        position = match.end()
    name = "".join(parts)
    if encode(name) != wire:
        raise ValueError("not the canonical modified UTF-7")
    return name


def _decode_run(match: re.Match[bytes]) -> str:
    base64 = match[1]
    if base64 is None:
        return match[0].decode("ascii")
    if not base64:
        return "&"
    padded = base64.replace(b",", b"/") + b"=" * (-len(base64) % 4)
    return binascii.a2b_base64(padded).decode("utf-16-be")

"""Content-Transfer-Encodings undone piece by piece (RFC 2045 §6): any split gives the same octets.

Laws: any octets give a result, nothing raises; what is held back between pieces is bounded. Base64
ends with its first `=`; what is no base64 is passed over. What is no quoted-printable stays as it is.
"""

import binascii
import re
import string
from typing import Protocol

_DIGITS = (string.ascii_letters + string.digits + "+/=").encode()
_NO_DIGITS = bytes(octet for octet in range(256) if octet not in _DIGITS)
_QUOTED = re.compile(rb"=(?:([0-9A-Fa-f]{2})|[ \t]*\r?\n)|[ \t]+(?=\r?\n)")
_LAST = re.compile(rb"=[ \t]*\r?\Z")
"""A line that goes on, where there is no more."""
_UNFINISHED = re.compile(rb"(?:=[0-9A-Fa-f]?|=?[ \t]+\r?|=\r)\Z")
_MOST_HELD = 1000
"""A longer run of white space is no line's padding (RFC 2045 §6.7: 76 characters)."""


class Decoder(Protocol):
    """Give it all pieces in order, then `finish`."""

    def feed(self, piece: bytes) -> bytes:
        """The octets that are certain now."""
        ...

    def finish(self) -> bytes:
        """The octets that were held back."""
        ...


class Identity:
    """7bit, 8bit and binary."""

    def feed(self, piece: bytes) -> bytes:
        return piece

    def finish(self) -> bytes:
        return b""


class Base64:
    """RFC 2045 §6.8."""

    def __init__(self) -> None:
        self._held = b""
        self._ended = False

    def feed(self, piece: bytes) -> bytes:
        if self._ended:
            return b""
        digits, padding, _ = (self._held + piece.translate(None, _NO_DIGITS)).partition(b"=")
        self._ended = bool(padding)
        whole = len(digits) - len(digits) % 4
        self._held = digits[whole:]
        return binascii.a2b_base64(digits[:whole])

    def finish(self) -> bytes:
        if len(self._held) < 2:
            return b""
        return binascii.a2b_base64(self._held + b"=" * (4 - len(self._held)))


class QuotedPrintable:
    """RFC 2045 §6.7; padding at the end of a line goes."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        data = self._held + piece
        start = max(0, len(data) - _MOST_HELD)
        unfinished = _UNFINISHED.search(data, start)
        end = len(data) if unfinished is None else unfinished.start()
        self._held = data[end:]
        return _undone(data[:end])

    def finish(self) -> bytes:
        return _undone(_LAST.sub(b"", self._held))


def _undone(data: bytes) -> bytes:
    return _QUOTED.sub(lambda match: bytes.fromhex(match[1].decode()) if match[1] else b"", data)


_DECODERS: dict[bytes, type[Decoder]] = {
    b"": Identity,
    b"7bit": Identity,
    b"8bit": Identity,
    b"binary": Identity,
    b"base64": Base64,
    b"quoted-printable": QuotedPrintable,
}


def decoder(encoding: bytes) -> Decoder | None:
    """What undoes the encoding of that name, in any case; None if nobody here knows it."""
    kind = _DECODERS.get(encoding.strip().lower())
    return None if kind is None else kind()

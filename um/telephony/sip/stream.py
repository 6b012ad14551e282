"""SIP messages out of a stream of octets (RFC 3261 §18.3): Content-Length says where each ends.

Laws:
- However the octets are cut into pieces, the same frames come out, and the same error after them.
- After an error nothing more comes: who has lost the beginning of one message has lost them all.
- A message is at most as long as a datagram could be; no more than that is ever kept.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from um.core.errors import UMError
from um.telephony.sip.parser import MAX_DATAGRAM_OCTETS

PING: Final = b"\r\n\r\n"
"""A frame of its own: the keep-alive of RFC 5626 §3.5.1, to be answered by PONG."""
PONG: Final = b"\r\n"
MAX_MESSAGE_OCTETS: Final = MAX_DATAGRAM_OCTETS
_END: Final = b"\r\n\r\n"
_FOLD: Final = re.compile(rb"\r\n[ \t]+")
_LENGTH: Final = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_NUMBER: Final = re.compile(rb"[0-9]{1,10}[ \t]*")


class FramingError(UMError):
    """Octets that cannot be cut into messages; the connection is of no use any more."""

    code = "sip-framing"
    default = "Malformed stream"


@dataclass(slots=True)
class StreamFramer:
    """What came on one connection and is no whole message yet."""

    _buffer: bytearray = field(default_factory=bytearray, repr=False)
    _searched: int = 0
    """So many octets hold no end of a header."""
    _length: int = 0
    """Of the message at the beginning, once its header is here."""
    _half_ping: bool = False
    _error: FramingError | None = None

    @property
    def pending(self) -> bool:
        """Whether a message has begun that is not whole yet."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take the next octets, any number of them."""
        if self._error is None:
            self._buffer += data

    def next_frame(self) -> bytes | None:
        """The next whole message, or PING; None when more octets are needed.

        Raises FramingError, again and again: no end of the header within MAX_MESSAGE_OCTETS,
        Content-Length missing, repeated or no number, a message that is too long, stray CR or LF.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except FramingError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _next(self) -> bytes | None:
        if self._length == 0:
            if self._take_blank_lines():
                return PING
            self._length = self._read_header()
        if self._length == 0 or len(self._buffer) < self._length:
            return None
        frame = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        self._length = self._searched = 0
        return frame

    def _take_blank_lines(self) -> bool:
        """Skip CRLFs before a message (§7.5); True at each second one: a ping."""
        while self._buffer.startswith((b"\r", b"\n")):
            if self._buffer == b"\r":
                return False
            if not self._buffer.startswith(b"\r\n"):
                raise FramingError("Stray line end")
            del self._buffer[:2]
            self._half_ping = not self._half_ping
            if not self._half_ping:
                return True
        if self._buffer:
            self._half_ping = False
        return False

    def _read_header(self) -> int:
        """Length of the whole message; 0 while its header is not complete."""
        end = self._buffer.find(_END, max(0, self._searched - len(_END)), MAX_MESSAGE_OCTETS)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched >= MAX_MESSAGE_OCTETS:
                raise FramingError("Header too large")
            return 0
        header = end + len(_END)
        length = header + _content_length(bytes(self._buffer[: end + 2]))
        if length > MAX_MESSAGE_OCTETS:
            raise FramingError("Message too large")
        return length


def _content_length(head: bytes) -> int:
    """§18.3: a stream cannot do without it, and two of them would be two opinions."""
    values = _LENGTH.findall(_FOLD.sub(b" ", head))
    if len(values) != 1:
        raise FramingError("Repeated Content-Length" if values else "Missing Content-Length")
    if not _NUMBER.fullmatch(values[0]):
        raise FramingError("Malformed Content-Length")
    return int(values[0])

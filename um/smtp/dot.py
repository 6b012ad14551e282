"""The end of DATA, both ways: finds CRLF . CRLF, undoes and does dot-stuffing. Pure.

Laws:
- Only CRLF . CRLF ends a message (RFC 5321 §4.1.1.4), or `.` CRLF at its very beginning.
- What follows the end is given back untouched: it is the client's next command.
- Nothing is kept beyond the limit: past `limit_octets` the data is counted and thrown away until the end comes.
"""

import re

_END = b"\r\n.\r\n"


_ANY_NEWLINE = re.compile(rb"\r\n|\r|\n")


def stuffed(data: bytes) -> bytes:
    """A message as it follows DATA, its end included: dots doubled (RFC 5321 §4.5.2), CRLF only.

    So nothing in it can end it early for the next hop, which may take a bare LF for a line's end.
    """
    if has_bare_newline(data):
        data = _ANY_NEWLINE.sub(b"\r\n", data)
    data = data.replace(b"\r\n.", b"\r\n..")
    first = b"." if data.startswith(b".") else b""
    last = b"" if data.endswith(b"\r\n") or not data else b"\r\n"
    return b"".join((first, data, last, b".\r\n"))


class DotReader:
    """Takes the octets after 354 as they come."""

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self.received_octets = 0
        """Octets of the message so far, as transferred."""
        self.overflowed = False
        self._chunks: list[bytes] = []
        self._tail = b"\r\n"
        """The last octets seen, in which the end may have begun; DATA starts like a new line."""

    @property
    def kept_octets(self) -> int:
        """What is in memory for this message."""
        return 0 if self.overflowed else self.received_octets

    def feed(self, chunk: bytes) -> bytes | None:
        """Take a chunk. None while the end has not come, else what came after it."""
        window = self._tail + chunk
        found = window.find(_END)
        if found < 0:
            self._keep(chunk)
            self._tail = window[-(len(_END) - 1) :]
            return None
        # The CRLF before the dot is the message's own; of the rest nothing is.
        mine = found + 2 - len(self._tail)
        self._trim(mine) if mine < 0 else self._keep(chunk[:mine])
        return window[found + len(_END) :]

    def discard(self) -> None:
        """Keep nothing more of this message; only its end is waited for."""
        self.overflowed = True
        self._chunks.clear()

    def take_message(self) -> bytes:
        """The message with its dots as they were (RFC 5321 §4.5.2); empty if it overflowed.

        It is handed over: the reader keeps nothing of it.
        """
        data = b"".join(self._chunks)
        self._chunks.clear()
        if data.startswith(b"."):
            data = data[1:]
        return data.replace(b"\r\n.", b"\r\n") if b"\r\n." in data else data

    def _keep(self, chunk: bytes) -> None:
        self.received_octets += len(chunk)
        if self.received_octets > self.limit_octets:
            self.discard()
        if not self.overflowed and chunk:
            self._chunks.append(chunk)

    def _trim(self, octets: int) -> None:
        """Take back the last octets: they turned out to be the dot of the end."""
        self.received_octets += octets
        while octets < 0 and self._chunks:
            last = self._chunks.pop()
            if len(last) + octets > 0:
                self._chunks.append(last[:octets])
            octets += len(last)


def has_bare_newline(data: bytes) -> bool:
    """Whether a CR or LF stands without the other."""
    pairs = data.count(b"\r\n")
    return data.count(b"\n") != pairs or data.count(b"\r") != pairs


def longest_line_exceeds(data: bytes, limit_octets: int) -> bool:
    """Whether some line is longer than `limit_octets`; looks at few places only."""
    position = 0
    while position + limit_octets < len(data):
        line_end = data.rfind(b"\n", position, position + limit_octets)
        if line_end < 0:
            return True
        position = line_end + 1
    return False

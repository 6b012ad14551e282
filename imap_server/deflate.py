"""DEFLATE in both directions of one connection (RFC 4978, RFC 1951).

Laws:
- A thousand octets may unfold into a million: what comes in is unfolded a piece at a time, and the rest
  waits folded until somebody has use for it.
- After each `fold` the other side can read all of it.
- What is broken raises `BrokenStreamError`, the only error.
"""

import zlib

LEVEL = 1
"""The cheapest: voice and fax are folded already, what is said about them folds well at any level."""
WINDOW_BITS = -13
MEMORY = 6
"""With the window 64 kB for a connection; zlib's own choice takes 256 kB."""
LARGEST_WINDOW_BITS = -15
"""What a client may choose."""
PIECE_OCTETS = 64 * 1024


class BrokenStreamError(Exception):
    """What came is no DEFLATE, or its end."""


class Deflate:
    """One connection's two streams."""

    def __init__(self) -> None:
        self._out = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW_BITS, MEMORY)
        self._in = zlib.decompressobj(LARGEST_WINDOW_BITS)
        self._folded = b""

    def fold(self, data: bytes) -> bytes:
        """What to send for `data`."""
        return self._out.compress(data) + self._out.flush(zlib.Z_SYNC_FLUSH)

    def receive(self, data: bytes) -> None:
        """Take what came from the network."""
        self._folded += data

    def unfold(self) -> bytes:
        """The next piece of what came, at most PIECE_OCTETS; empty if there is no more now.

        Raises BrokenStreamError.
        """
        try:
            piece = self._in.decompress(self._folded, PIECE_OCTETS)
        except zlib.error as error:
            raise BrokenStreamError from error
        self._folded = self._in.unconsumed_tail
        if self._in.eof:
            raise BrokenStreamError
        return piece

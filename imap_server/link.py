"""What a session needs of its connection, so that it knows neither Twisted nor sockets.

Law: when the client is gone, everything that waits raises `LinkLostError`; work in the store that
has begun is finished all the same, so that its events are not lost.
"""

from collections.abc import Sequence
from typing import Protocol


class Link(Protocol):
    """One client's connection. Octets that arrive go into the session's engine, then `wake`."""

    @property
    def peer(self) -> str:
        """The client's address, for lock-outs and logs."""
        ...

    @property
    def secure(self) -> bool:
        """Whether TLS is on."""
        ...

    @property
    def can_start_tls(self) -> bool: ...

    def start_tls(self) -> None:
        """Begin the handshake; everything written before goes out in clear."""
        ...

    @property
    def compressed(self) -> bool:
        """Whether `start_deflate` was called."""
        ...

    def start_deflate(self) -> None:
        """Fold what is written from now on, and unfold what comes (RFC 4978)."""
        ...

    def write(self, data: bytes) -> None: ...

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """As `write` of the pieces joined, without joining large ones."""
        ...

    def throttle(self, buffered: int) -> None:
        """Say how many octets wait to be used, so that a fast sender can be held back."""
        ...

    async def drain(self) -> None:
        """Return when more may be written.

        At once in the common case; later if the client reads too slowly or if this session has held
        the loop for long enough.
        """
        ...

    async def wait(self, seconds: float) -> bool:
        """Wait until `wake`, at most `seconds`; whether it came. A wake before the call counts."""
        ...

    def wake(self) -> None:
        """Let `wait` return."""
        ...

    async def pause(self, seconds: float) -> None:
        """Do nothing for a while (failed logins)."""
        ...

    def close(self) -> None:
        """Send what is written and close."""
        ...

    def abort(self) -> None:
        """Close at once: a response that was begun cannot be finished."""
        ...

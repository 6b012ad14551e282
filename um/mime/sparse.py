"""Some octets of a message, addressed as if all of them were here."""

from typing import Protocol


class Octets(Protocol):
    """What can be sliced as `bytes` can."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> bytes: ...


class MissingOctetsError(LookupError):
    """These octets are needed: `add` them and try again."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__(f"octets {start} to {end} are not here")
        self.start, self.end = start, end


class Sparse:
    """Pieces of a message of `size` octets. A slice that no single piece holds raises."""

    def __init__(self, size: int) -> None:
        self.held = 0
        """Octets in all pieces."""
        self._size = size
        self._pieces: list[tuple[int, bytes]] = []

    def add(self, start: int, octets: bytes) -> None:
        """Hold `octets`, which stand at `start`."""
        self._pieces.append((start, octets))
        self.held += len(octets)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice, /) -> bytes:
        start, end = span.start, span.stop
        if start is None or end is None or not 0 <= start <= end <= self._size:
            start, end, _ = span.indices(self._size)
        if start >= end:
            return b""
        for at, octets in self._pieces:
            if at <= start and end <= at + len(octets):
                return octets[start - at : end - at]
        raise MissingOctetsError(start, end)

"""What the pages need beyond the use cases that they share with the API."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

SHEETS_AT_ONCE = 8
"""Pages of a document that are drawn in one run."""
MAX_PEAKS = 500
MAX_SHEETS = 40
"""Runs kept: at some 60 kB a page less than 20 MB."""


class Kept(Generic[T]):
    """Results by key, made once however many ask at the same time; the least used go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._done: OrderedDict[str, T] = OrderedDict()
        self._making: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str, make: Callable[[], Awaitable[T]]) -> T:
        """The result of `make`, kept; an error is told to all who wait, and not kept."""
        if key in self._done:
            self._done.move_to_end(key)
            return self._done[key]
        if key not in self._making:
            task = asyncio.ensure_future(self._make(key, make))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(self._making[key])

    async def _make(self, key: str, make: Callable[[], Awaitable[T]]) -> T:
        made = self._done[key] = await make()
        while len(self._done) > self._most:
            self._done.popitem(last=False)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalDesk:
    """Drawing, and what the operator's configuration says to owners."""

    draw_peaks: Callable[[bytes], Awaitable[Sequence[int]]]
    """An audio file as the heights of a waveform, 1 to 31. Raises UMError."""
    draw_sheets: Callable[[bytes, int], Awaitable[Sequence[bytes]]]
    """A PDF's pages from that number on, at most SHEETS_AT_ONCE, as PNG. Raises UMError."""
    ring_seconds: int = 20
    """How long calls ring for who has chosen nothing."""
    purge_months: int = 2
    """How long a closed account is kept."""
    peaks: Kept[Sequence[int]] = field(default_factory=lambda: Kept(MAX_PEAKS))
    sheets: Kept[Sequence[bytes]] = field(default_factory=lambda: Kept(MAX_SHEETS))

"""A set of named deadlines; the earliest is what an engine's `get_timer()` tells."""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class Timers(Generic[Name]):
    """Deadlines in seconds of the same clock as `now`. Setting a name again moves its deadline."""

    def __init__(self) -> None:
        self._deadlines: dict[Name, float] = {}
        self._heap: list[tuple[float, int, Name]] = []
        self._count = 0

    def set(self, name: Name, deadline: float) -> None:
        """Start or move a timer."""
        self._deadlines[name] = deadline
        self._count += 1
        heapq.heappush(self._heap, (deadline, self._count, name))

    def cancel(self, name: Name) -> None:
        """Stop a timer; harmless when it does not run."""
        self._deadlines.pop(name, None)

    def earliest(self) -> float | None:
        """The next deadline, or None."""
        while self._heap and self._deadlines.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> Iterator[Name]:
        """Take out what is due, one by one, in order; a consumer may set and cancel meanwhile."""
        while (earliest := self.earliest()) is not None and earliest <= now:
            _, _, name = heapq.heappop(self._heap)
            del self._deadlines[name]
            yield name

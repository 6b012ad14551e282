"""Group commit: units of work that wait for the one writer share a transaction, and its fsync.

Laws:
- Each unit has a savepoint of its own: one that fails takes back its own rows and nobody else's.
- Nobody is answered before the COMMIT, refusals included: they may rest on rows of the same group.
- What harms the transaction itself (a full disk, a lost connection) ends the group without a trace;
  each unit is then run by itself, so that it gets the answer it would have had alone.
- A COMMIT that fails is the answer to all of them, and none is run again.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from storage.unit import Unit
from um.core.events import Change
from um.core.steps import Steps

T = TypeVar("T")

GROUP = 32
"""At most so many share a transaction: the first of them waits for the work of the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[T]):
    """A unit of work and the caller who waits for it."""

    name: str
    work: Callable[[Unit], T]
    future: "Future[T]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to answer when the group is committed: a result, or the failure of this one."""

    waiting: Waiting[Any]
    steps: Steps
    result: Any = None
    failure: BaseException | None = None
    changes: tuple[Change, ...] = ()

    def answer(self, tell: Callable[[list[Change]], object]) -> None:
        """Tell of the changes, then let the caller go on."""
        if self.failure is not None:
            self.waiting.future.set_exception(self.failure)
            return
        try:
            self.steps("transaction.committed")
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            self.waiting.future.set_exception(error)
            return
        if self.changes:
            tell(list(self.changes))
        self.waiting.future.set_result(self.result)


class Queue:
    """Who waits for the writer; filled on the loop, emptied on the writer's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting[Any]] = deque()

    def put(self, waiting: Waiting[Any]) -> None:
        """Join the queue."""
        self._waiting.append(waiting)

    def take(self) -> list[Waiting[Any]]:
        """The next group; callers that gave up meanwhile are left out. Empty if nobody waits."""
        return list(self._next())

    def _next(self) -> Iterator[Waiting[Any]]:
        for _ in range(min(GROUP, len(self._waiting))):
            waiting = self._waiting.popleft()
            if waiting.future.set_running_or_notify_cancel():
                yield waiting

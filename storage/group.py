"""Group commit: units of work that wait for the one writer share a transaction, and its fsync.

Laws:
- Each unit has a savepoint of its own: one that fails takes back its own rows and nobody else's.
- Nobody is answered before the COMMIT, refusals included: they may rest on rows of the same group.
- What harms the transaction itself (a full disk, a lost connection) ends the group without a trace;
  each unit is then run by itself, so that it gets the answer it would have had alone.
- A COMMIT that fails is the answer to all of them, and none is run again.
- The loop is woken once for a group: hints are published and callers answered in one turn of it.
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog

from storage.unit import Unit
from um.core.errors import UnavailableError
from um.core.events import Change
from um.core.steps import Steps

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
log = structlog.get_logger(__name__)

GROUP = 32
"""At most so many share a transaction: the first of them waits for the work of the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[T]):
    """A unit of work and the caller who waits for it, on the loop of `future`."""

    name: str
    work: Callable[[Unit], T]
    future: "asyncio.Future[T]"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to answer when the group is committed: a result, or the failure of this one."""

    waiting: Waiting[Any]
    result: Any = None
    failure: BaseException | None = None
    changes: tuple[Change, ...] = ()
    steps: Steps | None = None
    """To be told of the commit."""

    def committed(self) -> "Outcome":
        """The outcome after the commit: a step may fail there, which the caller is told."""
        if self.failure is None and self.steps is not None:
            try:
                self.steps("transaction.committed")
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                return Outcome(self.waiting, failure=error)
        return self

    def answer(self) -> None:
        """Let the caller go on, if it still waits. Call it on its loop."""
        future = self.waiting.future
        if future.done():
            return
        if self.failure is not None:
            future.set_exception(self.failure)
        else:
            future.set_result(self.result)


def answer_all(outcomes: Iterable[Outcome], publish: Callable[[Iterable[Change]], None]) -> None:
    """Publish what each has changed, then let its caller go on. On the database's thread."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for each in outcomes:
        by_loop.setdefault(each.waiting.future.get_loop(), []).append(each)
    for loop, theirs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            loop.call_soon_threadsafe(_answer, theirs, publish)


def _answer(outcomes: Iterable[Outcome], publish: Callable[[Iterable[Change]], None]) -> None:
    for each in outcomes:
        try:
            if each.changes:
                publish(each.changes)
        except Exception:  # no caller may wait for ever because somebody else was told badly
            log.exception("changes not published")
        each.answer()


class Writer:
    """The one thread that writes. It costs half of what an executor of one thread does.

    Args:
        work: answers a group, of at least one; called on the thread.
    """

    def __init__(self, work: Callable[[list[Waiting[Any]]], None]) -> None:
        self._work = work
        self._queue: SimpleQueue[Waiting[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._shut = False

    def put(self, waiting: Waiting[Any]) -> None:
        """Join the queue. Raises UnavailableError after `shut`."""
        with self._lock:
            if self._shut:
                raise UnavailableError
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="um-database", daemon=True)
                self._thread.start()
            self._queue.put(waiting)

    def shut(self) -> None:
        """Return when all that was put is answered; there will be no more."""
        with self._lock:
            self._shut = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = [first], False
            with suppress(Empty):
                while len(group) < GROUP and not last:
                    more = self._queue.get_nowait()
                    last = more is None
                    if more is not None:
                        group.append(more)
            # Callers that gave up meanwhile are left out.
            if left := [each for each in group if not each.future.cancelled()]:
                self._work(left)
            if last:
                return

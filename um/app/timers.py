"""Work beside the protocols: what comes again, and what an event sets off. No failure ends it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from um.core.errors import UMError

log = structlog.get_logger(__name__)


class Timers:
    """The repeated work of one process."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def every(
        self,
        seconds: float,
        name: str,
        work: Callable[[], Awaitable[object]],
        *,
        at_once: bool = False,
    ) -> None:
        """Do `work` every `seconds`, counted from its end, the first time after `seconds`.

        `at_once` does it a first time now, beside whoever called.
        """
        loop = _repeat(seconds, name, work, at_once=at_once)
        self._tasks.append(asyncio.create_task(loop, name=name))

    async def stop(self) -> None:
        """End them all, where each stands: the work is made to be interrupted."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _repeat(
    seconds: float, name: str, work: Callable[[], Awaitable[object]], *, at_once: bool
) -> None:
    if not at_once:
        await asyncio.sleep(seconds)
    while True:
        try:
            await work()
        except UMError as error:
            log.warning("repeated work failed", subject=name, error=error.code)
        except Exception:
            log.exception("repeated work failed", subject=name)
        await asyncio.sleep(seconds)


class Tasks:
    """Work that an event sets off and nobody waits for, except the end of the process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside everything else."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def finish(self) -> None:
        """Wait for what is still running."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("work failed", exc_info=error)

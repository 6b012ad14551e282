"""Work that goes on when the call it belongs to is over: kept until it is done."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from um.core.ports import Metrics, NoMetrics

log = structlog.get_logger(__name__)


class Tasks:
    """The tasks of one application of one process.

    Args:
        subject: names the application in logs and metrics.
        metrics: counts `{subject}_task_failures`.
    """

    def __init__(self, subject: str, metrics: Metrics | None = None) -> None:
        self.failures = 0
        """Tasks that ended in an error nobody expected: a defect, to be looked for in the log."""
        self._failed = f"{subject}.task-failed"
        self._counted = f"{subject}_task_failures"
        self._metrics = metrics or NoMetrics()
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are not done yet."""
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is kept; one that fails is logged, its spool entry stays."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def drain(self) -> None:
        """Wait until all are done, those that they start meanwhile too."""
        while self._running:
            await asyncio.wait(set(self._running))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.failures += 1
            self._metrics.count(self._counted)
            log.error(self._failed, exc_info=error)

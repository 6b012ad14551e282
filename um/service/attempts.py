"""Spool entries on their way into mailboxes: each is tried until something became of it.

Laws:
- Storage trouble is never raised to the call: the entry waits, and is tried again, ever more
  slowly, for ever.
- What becomes of an entry is counted and logged, once a try.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from um.core.errors import UMError, UnavailableError
from um.core.ports import Clock, Metrics, SpoolEntry

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What became of an entry."""

    DELIVERED = "delivered"
    MISSED = "missed"
    """Too little sound or no page: a line in the history, nothing stored."""
    GONE = "gone"
    """Its account is no more."""
    WAITING = "waiting"
    """It is in the spool and will be tried again."""
    BROKEN = "broken"
    """Its facts cannot be read; it stays in the spool for an operator to look at."""


Attempt = Callable[[SpoolEntry], Awaitable[Outcome]]
"""Raises UMError if the entry is to be tried again."""


@dataclass(slots=True)
class _Waiting:
    entry: SpoolEntry
    due: float
    tries: int


class Attempts:
    """The entries of one application of one process.

    Args:
        subject: names the application in logs and metrics.
        attempt: what is done with an entry that waited.
        clock: for the pauses.
        pauses_seconds: before the second try, the third …; the last one from then on.
        metrics: counts `{subject}_{outcome}` (`_delayed` for one that waits now), gauges
            `{subject}_waiting`.
    """

    def __init__(
        self,
        subject: str,
        attempt: Attempt,
        clock: Clock,
        *,
        pauses_seconds: Sequence[float],
        metrics: Metrics,
    ) -> None:
        self._subject = subject
        self._finished = f"{subject}.finished"
        self._delayed = f"{subject}.waiting"
        self._attempt = attempt
        self._clock = clock
        self._pauses_seconds = pauses_seconds
        self._metrics = metrics
        self._waiting: dict[str, _Waiting] = {}

    def __len__(self) -> int:
        """How many wait in the spool for the storage to come back."""
        return len(self._waiting)

    async def finish(self, entry: SpoolEntry, attempt: Attempt | None = None) -> Outcome:
        """Try an entry now, by `attempt` if given; never raises for storage trouble."""
        tries = self._waiting.pop(entry.id).tries if entry.id in self._waiting else 0
        try:
            outcome = await (attempt or self._attempt)(entry)
        except UMError as error:
            self._wait(entry, tries, error)
            outcome = Outcome.WAITING
        # The gauge below has the name of this outcome: a metric is of one kind.
        counted = "delayed" if outcome is Outcome.WAITING else outcome.value
        self._metrics.count(f"{self._subject}_{counted}")
        self._metrics.gauge(f"{self._subject}_waiting", len(self._waiting))
        log.info(self._finished, entry=entry.id, outcome=outcome.value)
        return outcome

    async def retry_pending(self) -> int:
        """Try those whose time has come; returns how many wait still."""
        now = self._clock.monotonic()
        for each in [each for each in self._waiting.values() if each.due <= now]:
            if each.entry.id in self._waiting:
                await self.finish(each.entry)
        return len(self._waiting)

    def _wait(self, entry: SpoolEntry, tries: int, error: UMError) -> None:
        pauses = self._pauses_seconds
        due = self._clock.monotonic() + pauses[min(tries, len(pauses) - 1)]
        self._waiting[entry.id] = _Waiting(entry, due, tries + 1)
        level = log.warning if isinstance(error, UnavailableError) else log.error
        level(self._delayed, entry=entry.id, error=error.code, tries=tries + 1)

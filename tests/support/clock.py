"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class FakeClock:
    """`um.core.ports.Clock` for tests. Advancing moves both times; `jump` only the time of day."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float = 0, **units: float) -> None:
        """Let time pass: `advance(5)`, `advance(hours=25)`."""
        step = timedelta(seconds=seconds, **units)
        self._now += step
        self._monotonic += step.total_seconds()

    def jump(self, to: datetime) -> None:
        """Set the time of day, as a wrong hand or a broken battery does."""
        self._now = to

"""The real clock: the only module that reads the time."""

import time
from datetime import UTC, datetime


class SystemClock:
    """`um.core.ports.Clock` on the machine's own clocks."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()

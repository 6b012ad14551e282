"""Ports of the process: time, events, passwords, metrics."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from um.core.events import Event, EventT


class Clock(Protocol):
    """The time of day and the time that never jumps."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...


class EventBus(Protocol):
    """Tells subscribers in this process, on the loop, in order. A subscriber that fails is logged."""

    def publish(self, events: Iterable[Event]) -> None: ...

    def subscribe(
        self, kind: type[EventT], subscriber: Callable[[EventT], None]
    ) -> Callable[[], None]:
        """Returns the function that ends the subscription."""
        ...


class PasswordHasher(Protocol):
    """argon2id, off the loop."""

    async def hash(self, secret: str) -> str: ...

    async def verify(self, secret: str, stored: str) -> bool: ...


class Metrics(Protocol):
    """Counters and gauges seen at `/metrics`; names without the `um_` prefix, snake case."""

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a counter, e.g. `imap_bad_commands`, `sip_malformed_datagrams`."""
        ...

    def observe(self, name: str, value: float) -> None:
        """Add one measurement, in seconds or octets as the name says."""
        ...

    def gauge(self, name: str, value: float) -> None:
        """Set a present value, e.g. `imap_connections`."""
        ...


class NoMetrics:
    """`Metrics` that keeps nothing, for tools and tests."""

    def count(self, name: str, amount: float = 1) -> None:
        """Forget it."""

    def observe(self, name: str, value: float) -> None:
        """Forget it."""

    def gauge(self, name: str, value: float) -> None:
        """Forget it."""

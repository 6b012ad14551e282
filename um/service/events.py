"""The event bus of one process: after-commit events to whoever subscribed, in order."""

from collections.abc import Callable, Iterable
from typing import Any

import structlog

from um.core.events import Event, EventT

log = structlog.get_logger(__name__)


class LocalEventBus:
    """`um.core.ports.EventBus`. Call it on the loop's thread only."""

    def __init__(self) -> None:
        self._subscribers: dict[type[Any], list[Callable[[Any], None]]] = {}

    def publish(self, events: Iterable[Event]) -> None:
        """Tell each subscriber of each event's type; one that raises does not stop the others."""
        for event in events:
            for subscriber in tuple(self._subscribers.get(type(event), ())):
                try:
                    subscriber(event)
                except Exception:
                    log.exception("subscriber failed", subject=type(event).__name__)

    def subscribe(
        self, kind: type[EventT], subscriber: Callable[[EventT], None]
    ) -> Callable[[], None]:
        """Returns the function that ends the subscription; calling it twice is harmless."""
        subscribers = self._subscribers.setdefault(kind, [])
        subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in subscribers:
                subscribers.remove(subscriber)

        return unsubscribe

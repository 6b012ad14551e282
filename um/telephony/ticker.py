"""The shared 20 ms beat of all calls, without drift."""

from collections.abc import Callable
from typing import Final

from um.core.ports import Clock
from um.telephony.transport import DelayedCall, Reactor

MAX_CATCH_UP: Final = 10
"""Beats made up at once after a stall; longer stalls are forgotten, not played in a burst."""


class Ticker:
    """Calls `beat(now)` every `interval_seconds` of the monotonic clock, on average exactly."""

    def __init__(
        self,
        beat: Callable[[float], None],
        *,
        interval_seconds: float,
        reactor: Reactor,
        clock: Clock,
    ) -> None:
        self._beat = beat
        self._interval = interval_seconds
        self._reactor = reactor
        self._clock = clock
        self._next = 0.0
        self._timer: DelayedCall | None = None

    @property
    def running(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        """Begin to beat; harmless when running."""
        if self._timer is None:
            self._next = self._clock.monotonic() + self._interval
            self._arm()

    def stop(self) -> None:
        """Fall silent."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _arm(self) -> None:
        delay = max(0.0, self._next - self._clock.monotonic())
        self._timer = self._reactor.callLater(delay, self._expire)

    def _expire(self) -> None:
        now = self._clock.monotonic()
        beats = 0
        try:
            while self._next <= now and self._timer is not None:
                self._next += self._interval
                if beats < MAX_CATCH_UP:
                    self._beat(now)
                    beats += 1
        finally:  # a beat that raises is logged by the reactor; the others follow
            if self._timer is not None:
                self._arm()

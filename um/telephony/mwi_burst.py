"""Puts changes that come close together into one (a burst), so that one NOTIFY tells of them all.

Pure: `touch` and `now` in, what is due out.
"""

from typing import Final, Generic

from um.telephony.sip.timers import Name, Timers

QUIET_SECONDS: Final = 0.2
"""A burst is over when nothing came for so long."""
CEILING_SECONDS: Final = 0.6
"""A burst that does not end is told of after so long: with the 0.1 s in which a change made by
another process is noticed, and the reading, a lamp is right within 1 s."""


class Bursts(Generic[Name]):
    """Bursts by name (an account)."""

    def __init__(self) -> None:
        self._latest: dict[Name, float] = {}
        self._timers: Timers[Name] = Timers()

    def touch(self, name: Name, now: float) -> None:
        """Something changed."""
        latest = self._latest.setdefault(name, now + CEILING_SECONDS)
        self._timers.set(name, min(now + QUIET_SECONDS, latest))

    def get_timer(self) -> float | None:
        """When `due` wants to be called, or None."""
        return self._timers.earliest()

    def due(self, now: float) -> list[Name]:
        """The bursts that are over, or have lasted too long; they are forgotten."""
        names = list(self._timers.due(now))
        for name in names:
            del self._latest[name]
        return names

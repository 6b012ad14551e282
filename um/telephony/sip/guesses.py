"""Who guesses at a core's password, and how long nothing more is heard from there. Pure.

Laws:
- Only a wrong answer to a challenge that had reached the guesser counts: who writes another's address
  into a datagram never saw its nonce, and locks nobody out.
- MAX_GUESSES in WINDOW_SECONDS from one address (one /64 of IPv6); then silence until the window ends.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from um.core.origin import origin

MAX_GUESSES: Final = 20
WINDOW_SECONDS: Final = 300.0
MAX_KNOWN: Final = 10_000
"""Origins that are remembered; beyond it the longest known is forgotten."""


@dataclass(slots=True)
class _Window:
    since: float
    count: int = 0


@dataclass(slots=True)
class Guesses:
    """Counts them by where they come from."""

    _windows: OrderedDict[str, _Window] = field(default_factory=OrderedDict)

    def too_many(self, address: str, now: float) -> bool:
        """Whether nothing is to be heard from there now."""
        window = self._windows.get(origin(address))
        return window is not None and not _over(window, now) and window.count >= MAX_GUESSES

    def note(self, address: str, now: float) -> None:
        """One more was wrong."""
        where = origin(address)
        window = self._windows.get(where)
        if window is None or _over(window, now):
            self._windows.pop(where, None)
            window = self._windows[where] = _Window(now)
        window.count += 1
        if len(self._windows) > MAX_KNOWN:
            self._windows.popitem(last=False)


def _over(window: _Window, now: float) -> bool:
    return now - window.since >= WINDOW_SECONDS

"""What one process takes at once: connections, by address and in all, and memory for messages."""

from collections import Counter

from um.core.origin import origin


class ConnectionLimit:
    """Counts connections by address, those over IPv6 by /64.

    A trusted address (the provider's own mail server) has the whole room.
    """

    def __init__(self, *, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Connections that were admitted and not released yet."""
        return self._open.total()

    def admit(self, address: str, *, trusted: bool) -> bool:
        """Count one more connection in, or say no."""
        if self.open >= self._total:
            return False
        if not trusted and self._open[origin(address)] >= self._per_address:
            return False
        self._open[origin(address)] += 1
        return True

    def release(self, address: str) -> None:
        """One admitted connection is gone."""
        where = origin(address)
        self._open[where] -= 1
        if self._open[where] <= 0:
            del self._open[where]


class MemoryBudget:
    """Octets of all messages that are being received or delivered."""

    def __init__(self, limit_octets: int) -> None:
        self.limit_octets = limit_octets
        self.used_octets = 0

    def take(self, octets: int) -> bool:
        """Take room for so many octets more, or say no and take nothing."""
        if self.used_octets + octets > self.limit_octets:
            return False
        self.used_octets += octets
        return True

    def give_back(self, octets: int) -> None:
        """The room is free again."""
        self.used_octets -= octets

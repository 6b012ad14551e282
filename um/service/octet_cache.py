"""Octets made from what never changes, kept while room lasts."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

OVERHEAD_OCTETS = 200
"""About what an entry takes beside its octets."""


class OctetCache(Generic[K]):
    """Values by group and key. The group that was used longest ago goes first, as a whole.

    So a hit is one look into a dictionary, which a FETCH of thousands does thousands of times.
    Call it on the loop's thread only.
    """

    def __init__(self, limit_octets: int) -> None:
        self.used_octets = 0
        self._limit = limit_octets
        self._groups: OrderedDict[bytes, dict[K, bytes]] = OrderedDict()
        self._octets: dict[bytes, int] = {}

    def get(self, group: bytes, key: K) -> bytes | None:
        """The value, if it is kept."""
        found = self._groups.get(group)
        return None if found is None else found.get(key)

    def put(self, group: bytes, key: K, value: bytes) -> None:
        """Keep a value that `get` did not find; others may have to go."""
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = {}
            self._octets[group] = 0
            self._charge(group, len(group) + OVERHEAD_OCTETS)
        else:
            self._groups.move_to_end(group)
        found[key] = value
        self._charge(group, len(value) + OVERHEAD_OCTETS)
        while self.used_octets > self._limit:
            oldest, _ = self._groups.popitem(last=False)
            self.used_octets -= self._octets.pop(oldest)

    def _charge(self, group: bytes, octets: int) -> None:
        self._octets[group] += octets
        self.used_octets += octets

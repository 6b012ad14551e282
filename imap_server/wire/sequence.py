"""Sequence sets (RFC 3501 §9 `sequence-set`): ranges of message numbers or UIDs.

Kept as ranges and never expanded, so that `1:4294967295` costs nothing. `*` is kept apart, since
what it means is known only to the session.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

N = TypeVar("N", bound=int)

STAR = 0
"""Stands for `*`; zero is no message number and no UID."""
LARGEST = 4_294_967_295


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges in the order written; either end may be STAR and the ends may be swapped."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False
    """`$`, what the last SEARCH with SAVE found (RFC 5182); `ranges` is empty then."""

    def resolve(self, largest: int) -> list[tuple[int, int]]:
        """Sorted, merged ranges with `*` read as `largest`; a range may lie beyond `largest`."""
        ends = []
        for first, last in self.ranges:
            low = first or largest
            high = last or largest
            ends.append((low, high) if low <= high else (high, low))
        return merge(ends)

    def has_star(self) -> bool:
        """Whether `*` stands in it."""
        return any(STAR in each for each in self.ranges)

    def names_more_than(self, largest: int) -> bool:
        """Whether it names a number above `largest`, or `*` of an empty mailbox."""
        if self.saved:
            return False
        if not largest:
            return True
        return any(first > largest or last > largest for first, last in self.ranges)

    def select(self, numbers: Sequence[N]) -> list[N]:
        """Those of the sorted `numbers` that the set holds; `*` is the last of them."""
        if not numbers:
            return []
        found: list[N] = []
        for low, high in self.resolve(numbers[-1]):
            found.extend(numbers[bisect_left(numbers, low) : bisect_right(numbers, high)])
        return found


SAVED = SequenceSet((), saved=True)


def merge(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join `(low, high)` ranges that touch or overlap; the result is sorted."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def contains(ranges: Sequence[tuple[int, int]], number: int) -> bool:
    """Whether merged `ranges` hold `number`."""
    place = bisect_right(ranges, (number, LARGEST + 1))
    return place > 0 and ranges[place - 1][1] >= number


def compress(numbers: Iterable[int]) -> bytes:
    """Write numbers as a set, in the order given, runs that grow by one as ranges (RFC 4315 §3)."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] + 1 == number:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in runs)

"""Flags as they are stored: system flags as bits, keywords as text (RFC 3501 §2.3.2).

Flags are compared without regard to case; a system flag is written in its canonical case, a keyword
keeps the case it was first stored in on that message.
"""

from collections.abc import Collection
from functools import lru_cache

from um.core.errors import InvalidError
from um.core.message import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, FlagOperation

BITS = {SEEN: 1, ANSWERED: 2, FLAGGED: 4, DELETED: 8, DRAFT: 16}
"""The bit of each system flag in `entry.flags`; never renumbered."""
SEEN_BIT = BITS[SEEN]
DELETED_BIT = BITS[DELETED]

_CANONICAL = {flag.lower(): flag for flag in BITS}


def canonical(flags: Collection[str]) -> dict[str, str]:
    r"""Flags by their lower case; the first spelling of a keyword stays.

    Raises InvalidError for a system flag that cannot be stored (such as `\Recent`).
    """
    found: dict[str, str] = {}
    for flag in flags:
        key = flag.lower()
        name = _CANONICAL.get(key)
        if name is None:
            if not flag or flag.startswith("\\") or any(c.isspace() for c in flag):
                raise InvalidError(f"The flag {flag!r} cannot be stored")
            name = flag
        found.setdefault(key, name)
    return found


def changed(
    present: frozenset[str], operation: FlagOperation, given: dict[str, str]
) -> frozenset[str]:
    """The flags of a message after a STORE with `given` (from `canonical`)."""
    before = {flag.lower(): flag for flag in present}
    if operation is FlagOperation.ADD:
        after = given | before
    elif operation is FlagOperation.REMOVE:
        after = {key: flag for key, flag in before.items() if key not in given}
    else:
        after = {key: before.get(key, flag) for key, flag in given.items()}
    return frozenset(after.values())


def encode(flags: Collection[str]) -> tuple[int, str]:
    """The bit mask and the keywords, joined by spaces in sorted order."""
    bits = 0
    keywords = []
    for flag in flags:
        bit = BITS.get(flag)
        if bit is None:
            keywords.append(flag)
        else:
            bits |= bit
    return bits, " ".join(sorted(keywords))


@lru_cache(maxsize=4096)
def decode(bits: int, keywords: str) -> frozenset[str]:
    """The inverse of `encode`; few combinations exist, so they are remembered."""
    return frozenset(
        [flag for flag, bit in BITS.items() if bits & bit] + (keywords.split() if keywords else [])
    )

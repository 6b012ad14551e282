"""What SEARCH found, as it is told: SEARCH, ESEARCH, and what `$` keeps of it.

RFC 3501 §7.2.5, RFC 4731 §3.1, RFC 5182 §2.4, RFC 7162 §3.1.5-6. Numbers come in the order told, and the first of them is
the least (RFC 5267 §3.1).
"""

from collections.abc import Sequence
from typing import TypeVar

from imap_server.wire import responses
from imap_server.wire.search import Result
from imap_server.wire.sequence import compress

N = TypeVar("N", bound=int)


def search_line(numbers: Sequence[int], modseq: int | None, *, word: bytes = b"SEARCH") -> bytes:
    """`* SEARCH 1 2 3 (MODSEQ n)`, or SORT."""
    words = [b"%d" % number for number in numbers]
    if modseq is not None:
        words.append(b"(MODSEQ %d)" % modseq)
    return responses.untagged(word, *words)


def esearch_line(
    tag: bytes,
    numbers: Sequence[int],
    *,
    returns: frozenset[Result],
    by_uid: bool,
    modseq: int | None,
) -> bytes:
    """`* ESEARCH (TAG "t") UID …`; of nothing only the count is told."""
    words = [b"ESEARCH", b"(TAG " + responses.quoted(tag) + b")"]
    if by_uid:
        words.append(b"UID")
    if Result.MIN in returns and numbers:
        words.append(b"MIN %d" % numbers[0])
    if Result.MAX in returns and numbers:
        words.append(b"MAX %d" % numbers[-1])
    if Result.ALL in returns and numbers:
        words.append(b"ALL " + compress(numbers))
    if Result.COUNT in returns:
        words.append(b"COUNT %d" % len(numbers))
    if modseq is not None:
        words.append(b"MODSEQ %d" % modseq)
    return responses.untagged(*words)


def kept(numbers: Sequence[N], returns: frozenset[Result]) -> list[N]:
    """What `$` holds: the least and the greatest alone if nothing else was asked for (§2.4)."""
    asked = returns - {Result.SAVE}
    if not numbers or not asked or asked & {Result.ALL, Result.COUNT}:
        return sorted(numbers)
    ends = {Result.MIN: numbers[0], Result.MAX: numbers[-1]}
    return sorted({ends[result] for result in asked})

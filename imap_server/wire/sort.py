"""SORT and THREAD as written (RFC 5256 §5, RFC 5267 §3)."""

from dataclasses import dataclass
from enum import StrEnum

from imap_server.wire.tokens import BadCommandError, Scanner


class Criterion(StrEnum):
    """What messages are sorted by."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    FROM = "FROM"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"


class Algorithm(StrEnum):
    """How THREAD finds out what belongs together."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"


@dataclass(frozen=True, slots=True)
class SortKey:
    """One criterion; `reverse` reverses it alone, not the order among equals."""

    criterion: Criterion
    reverse: bool = False


_CRITERIA = {criterion.value: criterion for criterion in Criterion}
_ALGORITHMS = {algorithm.value: algorithm for algorithm in Algorithm}
MAX_KEYS = 20


def parse_program(scan: Scanner) -> tuple[SortKey, ...]:
    """`(REVERSE DATE SUBJECT)`."""
    keys = []
    reverse = False
    for _ in scan.each():
        word = scan.keyword().decode("ascii")
        if word == "REVERSE" and not reverse:
            reverse = True
            continue
        if word not in _CRITERIA:
            raise BadCommandError("Unknown sort criterion")
        keys.append(SortKey(_CRITERIA[word], reverse))
        reverse = False
    if reverse or len(keys) > MAX_KEYS:
        raise BadCommandError("Invalid sort program")
    return tuple(keys)


def parse_algorithm(scan: Scanner) -> Algorithm:
    """The name of a threading algorithm."""
    algorithm = _ALGORITHMS.get(scan.keyword().decode("ascii"))
    if algorithm is None:
        raise BadCommandError("Unknown threading algorithm")
    return algorithm

"""Which PINs may guard a mailbox (product: Numbers that users of such systems expect)."""

from collections.abc import Iterable
from itertools import pairwise

from um.core.errors import InvalidError
from um.core.ids import E164

DIGITS = frozenset("0123456789")
MIN_DIGITS = 6
MAX_DIGITS = 10


def check_pin(
    pin: str,
    numbers: Iterable[E164],
    *,
    min_digits: int = MIN_DIGITS,
    max_digits: int = MAX_DIGITS,
) -> None:
    """Raise InvalidError with the reason unless `pin` may be used.

    Args:
        pin: as keyed.
        numbers: the account's own telephone numbers; no ending of one may be its PIN.
        min_digits: fewest digits.
        max_digits: most digits.
    """
    if not pin or not DIGITS.issuperset(pin):
        raise InvalidError("A PIN has digits only", why="pin_digits")
    if not min_digits <= len(pin) <= max_digits:
        raise InvalidError(
            f"A PIN has {min_digits} to {max_digits} digits",
            why="pin_length",
            fewest=min_digits,
            most=max_digits,
        )
    if len(set(pin)) == 1:
        raise InvalidError("A PIN must not repeat a single digit", why="pin_repeats")
    if has_run(pin):
        raise InvalidError("A PIN must not hold a run such as 123 or 321", why="pin_run")
    if any(number.endswith(pin) for number in numbers):
        raise InvalidError("A PIN must not be the own telephone number", why="pin_number")


def has_run(digits: str) -> bool:
    """Whether three neighbours count up or down by one."""
    differences = [int(right) - int(left) for left, right in pairwise(digits)]
    return any(a == b and abs(a) == 1 for a, b in pairwise(differences))

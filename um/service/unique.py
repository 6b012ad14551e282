"""Random identifiers for rows and bodies, drawn many at a time.

A draw from the kernel lets go of the interpreter's lock; on a loop whose database and blob threads are
busy it then waits up to a switch interval (5 ms) to get the lock back. One draw serves many.
"""

import secrets
from collections.abc import Callable

OCTETS = 16
"""128 bits, as in a UUID (RFC 9562 §5.4); none of them says where it comes from."""
BATCH = 256


class UniqueIds:
    """Each call returns 32 hexadecimal digits that were never returned before.

    Threads may share one: taking an element off a list is one step of the interpreter.

    Args:
        draw: returns so many octets of randomness.
    """

    def __init__(self, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._draw = draw
        self._ready: list[str] = []

    def __call__(self) -> str:
        while True:
            try:
                return self._ready.pop()
            except IndexError:
                self._ready.extend(self._fresh())

    def _fresh(self) -> list[str]:
        digits = self._draw(OCTETS * BATCH).hex()
        return [digits[at : at + 2 * OCTETS] for at in range(0, len(digits), 2 * OCTETS)]

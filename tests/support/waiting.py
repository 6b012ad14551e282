"""Waiting for what another process does and does not tell: looked at again and again, never slept for."""

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_SECONDS = 120.0


def wait_for(condition: Callable[[], T], what: str, seconds: float = LIMIT_SECONDS) -> T:
    """Look every 50 ms until there is something; fails with `what`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        select.select([], [], [], 0.05)
    return found

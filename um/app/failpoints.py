"""Fail points: where a fault test stops the process dead (`um.core.steps`).

UM_KILL_AT=STEP kills at the first announcement of that step, UM_KILL_AT=STEP:N at the N-th.
"""

import os
import signal
from collections.abc import Mapping
from threading import Lock

from um.core.errors import InvalidError
from um.core.steps import DELIVERY_STEPS, PURGE_STEPS, Steps, no_steps

VARIABLE = "UM_KILL_AT"


def steps_from(environment: Mapping[str, str]) -> Steps:
    """What `environment` asks for. Raises InvalidError for a step that does not exist."""
    wanted = environment.get(VARIABLE, "")
    if not wanted:
        return no_steps
    name, _, times = wanted.partition(":")
    if name not in DELIVERY_STEPS + PURGE_STEPS or not (times or "1").isdigit():
        raise InvalidError(f"{VARIABLE}={wanted}: there is no such step")
    return _Kill(name, int(times or "1"))


class _Kill:
    """Counts the announcements of one step, on whichever thread, and kills at the last."""

    def __init__(self, name: str, times: int) -> None:
        self._name = name
        self._left = times
        self._lock = Lock()

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

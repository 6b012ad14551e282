"""Fail points: where a fault test stops a process dead (`um.core.steps`).

UM_KILL_AT=STEP kills at the first announcement of that step, UM_KILL_AT=STEP:N at the N-th.
UM_KILL_AT=STEP:N:server, for a step that the fax child announces, kills the child's server instead.
"""

import os
import signal
from collections.abc import Mapping
from threading import Lock

from um.core.errors import InvalidError
from um.core.steps import (
    DELIVERY_STEPS,
    OUTBOX_STEPS,
    PURGE_STEPS,
    RECEPTION_STEPS,
    Steps,
    no_steps,
)

VARIABLE = "UM_KILL_AT"
SERVER = "server"


def steps_from(environment: Mapping[str, str]) -> Steps:
    """What `environment` asks for. Raises InvalidError for a step that does not exist."""
    wanted = environment.get(VARIABLE, "")
    if not wanted:
        return no_steps
    name, times, victim = [*wanted.split(":"), "", ""][:3]
    known = (
        RECEPTION_STEPS if victim else DELIVERY_STEPS + OUTBOX_STEPS + PURGE_STEPS + RECEPTION_STEPS
    )
    if name not in known or not (times or "1").isdigit() or victim not in {"", SERVER}:
        raise InvalidError(f"{VARIABLE}={wanted}: there is no such step")
    return _Kill(name, int(times or "1"), server=victim == SERVER)


class _Kill:
    """Counts the announcements of one step, on whichever thread, and kills at the last."""

    def __init__(self, name: str, times: int, *, server: bool) -> None:
        self._name = name
        self._left = times
        self._server = server
        self._lock = Lock()

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getppid() if self._server else os.getpid(), signal.SIGKILL)

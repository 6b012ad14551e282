"""Who goes first on a machine that is busy: both ends of a fax, and a PBX whose callers' words count.

A modem that is kept waiting does not fail, it falls back to a slower rate or sends a page again; a test
that is about neither wants the rate that a quiet machine gives. A PBX that is kept waiting leaves a gap
in what its caller says, by its own timestamps, and the recording rightly has it.
"""

import subprocess
from functools import cache

_FIRST = ("nice", "--adjustment=-15")


@cache
def first() -> tuple[str, ...]:
    """How a command begins that goes before all others; empty where that is not allowed."""
    tried = subprocess.run([*_FIRST, "true"], capture_output=True, check=False)
    return () if tried.returncode or tried.stderr else _FIRST

"""Fail points: they stop the process at the step asked for, and only there."""

import signal
import subprocess
import sys

import pytest

from um.app.failpoints import steps_from
from um.core.errors import InvalidError
from um.core.steps import no_steps

PROGRAM = """
import sys
from um.app.failpoints import steps_from
steps = steps_from({"UM_KILL_AT": sys.argv[1]})
for name in ("blob.written", "blob.synced", "blob.written"):
    steps(name)
    print(name, flush=True)
"""


def run(where: str) -> tuple[int, int]:
    """Exit status, and how many steps were survived."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, where], capture_output=True, check=False)
    return done.returncode, len(done.stdout.splitlines())


def test_nothing_asked_nothing_done():
    assert steps_from({}) is no_steps


@pytest.mark.parametrize(("where", "survived"), [("blob.written", 0), ("blob.written:2", 2)])
def test_the_process_dies_at_the_step(where, survived):
    assert run(where) == (-signal.SIGKILL, survived)


def test_other_steps_pass():
    assert run("blob.renamed") == (0, 3)


@pytest.mark.parametrize("where", ["nothing", "blob.written:x"])
def test_a_step_that_does_not_exist_is_refused(where):
    """A misspelt step would make a test that proves nothing."""
    with pytest.raises(InvalidError):
        steps_from({"UM_KILL_AT": where})

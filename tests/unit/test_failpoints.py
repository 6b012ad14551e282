"""Fail points: they stop the process at the step asked for, and only there."""

import signal
import subprocess
import sys

import pytest

from um.core.errors import InvalidError
from um.core.steps import no_steps
from um.failpoints import steps_from

PROGRAM = """
import sys
from um.failpoints import steps_from
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


CHILD = """
import subprocess, sys
program = '''
from um.failpoints import steps_from
steps_from({"UM_KILL_AT": "page.written:1:server"})("page.written")
print("lives", flush=True)
'''
child = subprocess.Popen([sys.executable, "-c", program])
child.wait()
print("lives", flush=True)
"""


def test_a_step_of_the_child_may_kill_its_server():
    """The child goes on; its server does not."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"lives\n")


@pytest.mark.parametrize(
    "where",
    ["nothing", "blob.written:x", "blob.written:1:server", "page.written:1:me"],
)
def test_a_step_that_does_not_exist_is_refused(where):
    """A misspelt step would make a test that proves nothing."""
    with pytest.raises(InvalidError):
        steps_from({"UM_KILL_AT": where})

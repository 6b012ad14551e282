"""The demonstration itself is a promise: it must run."""

import subprocess
import sys

import pytest

from tests.support.server import PROJECT

pytestmark = pytest.mark.slow


def test_the_demonstration_exits_with_0() -> None:
    """A call, a fax and an invoice land, and all three are what was sent."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.demo"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("voicemail", "fax", "invoice"):
        assert kind in done.stdout

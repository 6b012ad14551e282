"""The small parts of the composition root: timers, the ready notice."""

import asyncio
import json
import os

from um.app.readiness import announce
from um.app.timers import Timers
from um.core.errors import UnavailableError


def test_the_notice_goes_to_file_and_pipe(tmp_path):
    """Whoever started us learns the true ports, in one line, and the pipe's end tells that it is whole."""
    ours, theirs = os.pipe()
    file = tmp_path / "ready"
    announce(
        {"imap": ["127.0.0.1:1143"]}, environment={"UM_READY_FD": str(theirs)}, ready_file=file
    )
    with os.fdopen(ours) as pipe:
        said = pipe.read()
    assert json.loads(said) == {"pid": os.getpid(), "addresses": {"imap": ["127.0.0.1:1143"]}}
    assert file.read_text() == said


def test_repeated_work_survives_its_failures():
    """A failing round is logged; the next one comes; stop ends it."""

    async def scenario() -> int:
        done = asyncio.Event()
        rounds = 0

        async def work() -> None:
            nonlocal rounds
            rounds += 1
            if rounds == 3:
                done.set()
            raise (UnavailableError() if rounds == 1 else RuntimeError("a fault"))

        timers = Timers()
        timers.every(0, "work", work, at_once=True)
        await asyncio.wait_for(done.wait(), 5)
        await timers.stop()
        return rounds

    assert asyncio.run(scenario()) >= 3

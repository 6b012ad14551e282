"""A fax child that does not start: who starts it is told, and it is tried again."""

import asyncio
import sys

import pytest

from fax import child
from fax.child import FaxChild
from um.core.errors import UnavailableError


def run(story):
    asyncio.run(asyncio.wait_for(story(), 60))


def program(folder, text):
    """Stands for the interpreter that the child runs in."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_one_that_dies_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exit 3"))
    monkeypatch.setattr(child, "START_SECONDS", 3600)

    async def story():
        receiver = FaxChild()
        with pytest.raises(UnavailableError, match="does not start"):
            await receiver.start()
        with pytest.raises(UnavailableError, match="not running"):
            receiver.check_running()
        await receiver.close()

    run(story)


def test_one_that_says_nothing_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exec sleep 60"))
    monkeypatch.setattr(child, "START_SECONDS", 0.2)

    async def story():
        receiver = FaxChild()
        with pytest.raises(UnavailableError, match="does not start"):
            await receiver.start()
        await receiver.close()
        assert receiver.pid is not None
        assert receiver._process.returncode == -9

    run(story)


@pytest.mark.parametrize("fault", ["exit 3", None])
def test_a_lost_one_is_started_until_one_lives(tmp_path, monkeypatch, fault):
    """Its successor dies too, or cannot even be started: the next one takes calls."""
    python = sys.executable
    monkeypatch.setattr(child, "_RESTART_SECONDS", (0.0, 0.05))
    broken = str(tmp_path / "missing") if fault is None else program(tmp_path, fault)

    async def story():
        receiver = FaxChild()
        await receiver.start()
        first = receiver._process
        monkeypatch.setattr(sys, "executable", broken)
        first.kill()
        while receiver._failures < 3:
            await asyncio.sleep(0.01)
        monkeypatch.setattr(sys, "executable", python)
        while True:
            try:
                receiver.check_running()
            except UnavailableError:
                await asyncio.sleep(0.01)
                continue
            if receiver._ready.done() and receiver._process is not first:
                break
            await asyncio.sleep(0.01)
        await receiver.close()
        assert receiver._process.returncode == 0

    run(story)


def test_closing_does_not_wait_for_one_that_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "START_SECONDS", 3600)

    async def story():
        receiver = FaxChild()
        await receiver.start()
        first = receiver._process
        monkeypatch.setattr(sys, "executable", program(tmp_path, "exec sleep 600"))
        first.kill()
        while receiver._process is first:
            await asyncio.sleep(0.01)
        await receiver.close()
        assert receiver._process.returncode == -9

    run(story)

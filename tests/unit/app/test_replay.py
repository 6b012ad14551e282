"""Replay: what a dead process left is handed to whoever opened it, and never dropped."""

import asyncio

from storage.memory import MemorySpool
from um.app.replay import Replay
from um.core.errors import UnavailableError
from um.core.ports import NoMetrics


def abandoned(spool: MemorySpool, *kinds: str) -> None:
    for kind in kinds:
        asyncio.run(spool.open({"kind": kind}))
    spool.abandon()


class Recovery:
    """Discards what it is given, after `failures` errors."""

    def __init__(self, *failures: Exception):
        self.failures = list(failures)
        self.seen = []

    async def __call__(self, entry):
        self.seen.append(entry.facts["kind"])
        if self.failures:
            raise self.failures.pop(0)
        await entry.discard()


def test_each_entry_goes_to_its_kind(tmp_path):
    spool = MemorySpool(tmp_path)
    voice, fax = Recovery(), Recovery()
    abandoned(spool, "voice", "fax", "voice")
    left = asyncio.run(Replay(spool, {"voice": voice, "fax": fax}, NoMetrics()).once())
    assert (left, len(voice.seen), len(fax.seen)) == (0, 2, 1)
    assert spool.entries == {}


def test_an_entry_that_fails_is_tried_again(tmp_path):
    """A locked database or a fault of ours keeps the entry; the others are delivered."""
    spool = MemorySpool(tmp_path)
    recovery = Recovery(UnavailableError(), RuntimeError("a fault"))
    replay = Replay(spool, {"voice": recovery}, NoMetrics())
    abandoned(spool, "voice", "voice", "voice")
    assert asyncio.run(replay.once()) == 2
    assert asyncio.run(replay.once()) == 0
    assert spool.entries == {}


def test_an_entry_of_unknown_kind_stays(tmp_path):
    """It may be a newer version's: an operator looks at it, we do not delete it."""
    spool = MemorySpool(tmp_path)
    abandoned(spool, "hologram")
    assert asyncio.run(Replay(spool, {}, NoMetrics()).once()) == 1
    assert len(spool.entries) == 1

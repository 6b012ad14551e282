"""The recorder: order, batches, syncs and what it does when the disk will not."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.memory import MemorySpool
from tests.support.speech import say
from tests.support.voicemail_exchange import settle
from um.core.errors import UnavailableError
from voicemail.recorder import AUDIO_FILE, BATCH_OCTETS, Recorder


class Failures:
    """Counts what the recorder tells."""

    def __init__(self):
        self.told = 0

    def __call__(self):
        self.told += 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 2000), max_size=40), st.integers(0, 40))
def test_what_went_in_is_in_the_file_in_order(sizes, opened_after):
    """Whatever the chunks and whenever the entry opens, the file is the sum of the chunks."""

    async def tell():
        spool = MemorySpool()
        recorder = Recorder(sync_seconds=5, on_failure=Failures())
        entry = await spool.open({})
        chunks = [bytes([turn % 256]) * (2 * size) for turn, size in enumerate(sizes)]
        for turn, chunk in enumerate(chunks):
            if turn == opened_after:
                recorder.begin(entry)
            recorder.append(chunk)
        if opened_after >= len(chunks):
            recorder.begin(entry)
        await recorder.seal({})
        read = entry.read(AUDIO_FILE) if AUDIO_FILE in entry.names() else b""
        assert read == b"".join(chunks)
        assert entry.sealed

    asyncio.run(tell())


def test_the_spool_is_not_written_for_every_packet():
    """Half a second at a time."""

    async def tell():
        spool = MemorySpool()
        entry = await spool.open({})
        recorder = Recorder(sync_seconds=5, on_failure=Failures())
        recorder.begin(entry)
        recorder.append(bytes(BATCH_OCTETS - 2))
        assert entry.names() == []
        recorder.append(bytes(2))
        assert len(entry.read(AUDIO_FILE)) == BATCH_OCTETS

    asyncio.run(tell())


@pytest.mark.parametrize("where", ["append", "sync"])
def test_a_failing_disk_is_told_once_and_then_left_alone(where):
    """One failure, one word of it; what was written stays as it is."""

    async def tell():
        spool = MemorySpool()
        entry = await spool.open({})
        failures = Failures()
        recorder = Recorder(sync_seconds=5, on_failure=failures)
        recorder.begin(entry)
        recorder.append(say(seconds=4.5))
        if where == "append":
            spool.unavailable = True
        recorder.append(say(seconds=1))
        spool.unavailable = True
        await settle()
        for _ in range(20):
            recorder.append(say(seconds=1))
        await settle()
        assert failures.told == 1
        assert recorder.failed
        assert len(entry.read(AUDIO_FILE)) == (72_000 if where == "append" else 88_000)

    asyncio.run(tell())


def test_a_seal_that_fails_says_so():
    """It is for the call to apologise: nothing was acknowledged."""

    async def tell():
        spool = MemorySpool()
        entry = await spool.open({})
        recorder = Recorder(sync_seconds=5, on_failure=Failures())
        recorder.begin(entry)
        recorder.append(say(seconds=1))
        spool.unavailable = True
        with pytest.raises(UnavailableError):
            await recorder.seal({})
        assert not entry.sealed

    asyncio.run(tell())


def test_a_sync_in_progress_is_waited_for_and_not_doubled():
    """A slow disk gets one sync at a time, and the seal comes after it."""

    async def tell():
        spool = MemorySpool()
        entry = await spool.open({})
        gate, running, most = asyncio.Event(), [0], [0]
        plain = entry.sync

        async def slowly():
            running[0] += 1
            most[0] = max(most[0], running[0])
            await gate.wait()
            running[0] -= 1
            await plain()

        entry.sync = slowly
        recorder = Recorder(sync_seconds=1, on_failure=Failures())
        recorder.begin(entry)
        for _ in range(8):
            recorder.append(say(seconds=1))
            await settle()
        entry.sync = plain
        sealing = asyncio.ensure_future(recorder.seal({}))
        await settle()
        assert not sealing.done()
        gate.set()
        await sealing
        assert most == [1]
        assert len(entry.read(AUDIO_FILE)) == 8 * 16000

    asyncio.run(tell())

"""The contract of `BlobStore`, `Spool` and `Quarantine`, on files and in memory."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from storage.blobs import AT_ONCE_OCTETS, FileBlobStore
from storage.memory import MemoryBlobStore, MemoryQuarantine, MemorySpool
from storage.quarantine import FileQuarantine
from storage.spool import FileSpool
from tests.support.clock import FakeClock
from um.core.errors import NotFoundError
from um.core.steps import DELIVERY_STEPS

KEY = "0123456789abcdef" * 2
ALICE, BOB = "a" * 32, "b" * 32


@pytest.fixture(params=["file", "memory"])
def blobs(request, tmp_path):
    steps = []
    if request.param == "file":
        store = FileBlobStore(tmp_path / "blobs", steps=steps.append)
    else:
        store = MemoryBlobStore(steps=steps.append)
    store.told = steps
    return store


async def listed(blobs):
    return [found async for found in blobs.scan()]


def test_a_blob_comes_back_whole_and_in_ranges(blobs):
    """`get` gives exactly the octets of the range that are there."""

    async def story():
        await blobs.put(KEY, b"0123456789")
        assert await blobs.get(KEY) == b"0123456789"
        assert await blobs.get(KEY, 3, 4) == b"3456"
        assert await blobs.get(KEY, 8, 100) == b"89"
        assert await blobs.get(KEY, 8) == b"89"
        assert await blobs.get(KEY, 10) == b""
        assert await blobs.get(KEY, 50, 5) == b""
        assert await blobs.get(KEY, 2, 0) == b""

    asyncio.run(story())


def test_an_empty_and_a_large_blob(blobs):
    """Length is no matter."""

    async def story():
        large = bytes(range(256)) * 8192
        await blobs.put(KEY, b"")
        await blobs.put("f" * 32, large)
        assert await blobs.get(KEY) == b""
        assert await blobs.get("f" * 32) == large

    asyncio.run(story())


def test_putting_again_is_no_error(blobs):
    """A delivery that is repeated puts the same blob again."""

    async def story():
        for _ in range(2):
            await blobs.put(KEY, b"same")
        assert await blobs.get(KEY) == b"same"
        assert len(await listed(blobs)) == 1

    asyncio.run(story())


def test_a_missing_blob_is_said_to_be_missing(blobs):
    """Never an empty body in place of one that is gone."""

    async def story():
        with pytest.raises(NotFoundError):
            await blobs.get(KEY)
        await blobs.put(KEY, b"x")
        await blobs.delete([KEY])
        with pytest.raises(NotFoundError):
            await blobs.get(KEY, 0, 0)

    asyncio.run(story())


def test_deleting_tells_how_many_octets_went(blobs):
    """Blobs that are not there are passed over."""

    async def story():
        keys = [f"{n:032x}" for n in range(5)]
        for key in keys[:3]:
            await blobs.put(key, b"12345")
        assert await blobs.delete(keys[1:]) == 10
        assert [key for key, _, _ in await listed(blobs)] == keys[:1]

    asyncio.run(story())


def test_scan_lists_key_size_and_time(blobs):
    """Every blob once, with its size and an aware instant."""

    async def story():
        keys = {f"{n * 7919:032x}": n for n in range(1, 40)}
        await asyncio.gather(*(blobs.put(key, b"x" * size) for key, size in keys.items()))
        found = await listed(blobs)
        assert {key: size for key, size, _ in found} == keys
        assert all(at.tzinfo is not None for *_, at in found)

    asyncio.run(story())


def test_the_steps_of_a_blob_are_announced_in_order(blobs):
    """Written, synced, renamed, directory synced: where a fault test may stop."""
    asyncio.run(blobs.put(KEY, b"x"))
    assert blobs.told == [step for step in DELIVERY_STEPS if step.startswith("blob.")]


@pytest.fixture(params=["file", "memory"])
def spools(request, tmp_path):
    """A function that makes the spool of one more process, and one that kills its process."""
    made = []

    def make():
        if request.param == "file":
            spool = FileSpool(tmp_path / "spool")
        elif made:
            spool = made[0]  # in memory there is one process
        else:
            spool = MemorySpool(tmp_path / "spool")
        made.append(spool)
        return spool

    def kill(spool):
        if request.param == "file":
            import os

            os.close(spool._lock)
        else:
            spool.abandon()

    return make, kill


FACTS = {"kind": "voice", "account": ALICE, "caller": "+1555 “Zoë”"}


def test_an_entry_keeps_facts_and_media(spools):
    """What is appended is read back in order, by name; facts grow at the seal."""
    make, _ = spools

    async def story():
        entry = await make().open(FACTS)
        entry.append("audio", b"one")
        entry.append("audio", b"two")
        await entry.sync()
        entry.append("page-1", b"\x00\xff")
        await entry.seal({"duration": "12"})
        assert entry.facts == FACTS | {"duration": "12"}
        assert entry.names() == ["audio", "page-1"]
        assert (entry.read("audio"), entry.read("page-1")) == (b"onetwo", b"\x00\xff")
        assert len(entry.id) == 32
        assert entry.folder.is_dir()

    asyncio.run(story())


def test_a_file_that_a_child_wrote_belongs_to_the_entry(spools):
    """The fax child writes pages into the entry's folder by itself."""
    make, _ = spools

    async def story():
        entry = await make().open(FACTS)
        (entry.folder / "page-1.tif").write_bytes(b"II*")
        await entry.seal({})
        assert entry.names() == ["page-1.tif"]
        assert entry.read("page-1.tif") == b"II*"

    asyncio.run(story())


def test_the_entries_of_a_dead_process_are_taken_over_once(spools):
    """A live process's entries are its own; a dead one's go to the first that asks."""
    make, kill = spools

    async def story():
        dead = make()
        unsealed, sealed = await dead.open(FACTS), await dead.open({"kind": "fax"})
        unsealed.append("audio", b"said so far")
        await sealed.seal({"pages": "2"})
        heir = make()
        assert list(await heir.abandoned()) == []
        kill(dead)
        taken = {entry.id: entry for entry in await heir.abandoned()}
        assert set(taken) == {unsealed.id, sealed.id}
        assert taken[unsealed.id].facts == FACTS
        assert taken[unsealed.id].read("audio") == b"said so far"
        assert taken[sealed.id].facts == {"kind": "fax", "pages": "2"}
        assert list(await heir.abandoned()) == []
        for entry in taken.values():
            await entry.discard()
            assert not entry.folder.exists()

    asyncio.run(story())


def test_a_discarded_entry_is_not_replayed(spools):
    """What was delivered is gone for good."""
    make, kill = spools

    async def story():
        dead = make()
        entry = await dead.open(FACTS)
        entry.append("audio", b"x")
        await entry.discard()
        kill(dead)
        assert list(await make().abandoned()) == []

    asyncio.run(story())


def test_an_accounts_entries_are_deleted(spools):
    """A purge removes the entries of that account and of no other."""
    make, kill = spools

    async def story():
        dead = make()
        for account in (ALICE, BOB, ALICE):
            await dead.open({"kind": "voice", "account": account})
        purger = make()
        assert await purger.delete_of(ALICE) == 2
        assert await purger.delete_of(ALICE) == 0
        kill(dead)
        assert [entry.facts["account"] for entry in await purger.abandoned()] == [BOB]

    asyncio.run(story())


@pytest.fixture(params=["file", "memory"])
def quarantine(request, tmp_path):
    clock = FakeClock(datetime(2026, 3, 4, tzinfo=UTC))
    if request.param == "file":
        made = FileQuarantine(tmp_path / "quarantine", clock)
    else:
        made = MemoryQuarantine(clock)
    made.clock = clock
    return made


def test_quarantine_is_swept_by_age_and_by_account(quarantine):
    """A document stays until it is old or its account is purged; some accounts are spared."""

    async def story():
        places = {await quarantine.put(ALICE, "page.tif", b"1")}
        quarantine.clock.advance(days=10)
        places |= {await quarantine.put(ALICE, "page.tif", b"2")}
        places |= {await quarantine.put(BOB, "../../etc/passwd", b"3")}
        assert len(places) == 3
        cut = quarantine.clock.now()
        assert await quarantine.sweep(cut - timedelta(days=10)) == 0
        assert await quarantine.accounts() == {ALICE, BOB}
        assert await quarantine.sweep(cut, sparing=[ALICE]) == 0
        assert await quarantine.sweep(cut, sparing=[BOB]) == 1
        assert await quarantine.delete_of(ALICE) == 1
        assert await quarantine.accounts() == {BOB}
        assert await quarantine.delete_of(ALICE) == 0
        assert await quarantine.sweep(cut + timedelta(seconds=1)) == 1

    asyncio.run(story())


def test_facts_are_json_that_a_person_can_read(tmp_path):
    """An operator who looks into the spool finds the facts in plain text."""

    async def story():
        spool = FileSpool(tmp_path)
        entry = await spool.open(FACTS)
        stored = json.loads((entry.folder / "facts.json").read_text("utf-8"))
        assert stored == {"facts": FACTS, "sealed": False}

    asyncio.run(story())


def test_what_is_at_hand_is_what_get_gives(tmp_path):
    """Exactly the octets, or None: never fewer, never those of another range or blob."""

    async def story():
        blobs = FileBlobStore(tmp_path / "blobs")
        first, second = bytes(range(256)) * 1000, b"x" * 1000
        await blobs.put(KEY, first)
        await blobs.put("f" * 32, second)
        one, two = blobs.get_at_once(KEY, 10, 100_000), blobs.get_at_once("f" * 32, 0, 1000)
        assert one in {None, first[10:100_010]}
        assert two in {None, second}
        assert blobs.get_at_once(KEY, 200_000, 100_000) is None
        assert blobs.get_at_once(KEY, 0, AT_ONCE_OCTETS + 1) is None
        assert blobs.get_at_once("e" * 32, 0, 1) is None

    asyncio.run(story())

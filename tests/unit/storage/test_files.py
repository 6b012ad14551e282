"""Files under faults: what a full disk, a failing fsync or a stranger's name may do."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from storage import files, spool_entry
from storage.blobs import FileBlobStore
from storage.quarantine import FileQuarantine, safe_name
from storage.spool import FileSpool
from tests.support.clock import FakeClock
from um.core.errors import InvalidError, NotFoundError, UnavailableError

KEY = "0123456789abcdef" * 2
ALICE = "a" * 32


class DiedError(BaseException):
    """The process would have ended here."""


@pytest.fixture
def trace(monkeypatch):
    """The order of what was written, synced and renamed, by name."""
    done = []
    real = {name: getattr(os, name) for name in ("fsync", "rename", "replace")}

    def fsync(descriptor):
        done.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        real["fsync"](descriptor)

    def replace(source, target, **options):
        done.append(("rename", Path(target).name))
        real["replace"](source, target, **options)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return done


def fail_with(monkeypatch, module, name, code, *, after=0):
    """The call after so many good ones fails with an errno."""
    real = getattr(module, name)
    calls = []

    def failing(*arguments, **options):
        calls.append(name)
        if len(calls) > after:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, failing)


def test_a_blob_and_its_name_are_synced_before_put_returns(tmp_path, trace):
    """Name, then file and directory at once; the folders were synced once, at the first start."""
    for first in ([("fsync", tmp_path.name)], []):
        blobs = FileBlobStore(tmp_path)
        assert trace == first
        trace.clear()
        asyncio.run(blobs.put(KEY, b"x"))
        assert trace[0] == ("rename", KEY)
        assert sorted(trace[1:]) == [("fsync", KEY), ("fsync", KEY[-2:])]
        trace.clear()


def test_a_blob_that_was_deleted_stays_so(tmp_path, trace):
    """Once the row that named it is forgotten, no power cut may bring it back."""
    blobs = FileBlobStore(tmp_path)
    other = "1" * 32
    asyncio.run(blobs.put(KEY, b"x"))
    trace.clear()
    asyncio.run(blobs.delete([KEY, other]))
    assert trace == [("fsync", KEY[-2:])]


def test_folders_that_were_taken_away_are_made_again(tmp_path):
    """A restored backup without empty folders, a tidy administrator: the next body makes them."""
    blobs = FileBlobStore(tmp_path)
    for folder in tmp_path.iterdir():
        folder.rmdir()
    asyncio.run(blobs.put(KEY, b"x"))
    assert asyncio.run(blobs.get(KEY)) == b"x"
    assert len(list(tmp_path.iterdir())) == 256


def test_what_a_killed_put_left_is_swept_by_age_or_by_owner(tmp_path):
    """A young leftover may be a body that is being written, unless its account is gone."""

    def killed(step):
        if step == "blob.written":
            raise DiedError

    async def story():
        blobs = FileBlobStore(tmp_path, steps=killed)
        for key in (KEY, "1" * 32):
            with pytest.raises(DiedError):
                await blobs.put(key, b"x")
        long_ago = FakeClock().now().replace(year=2000)
        assert await blobs.sweep_temporary(long_ago) == 0
        assert await blobs.sweep_temporary(long_ago, owners=["1" * 12]) == 1
        assert await blobs.sweep_temporary(long_ago.replace(year=2999)) == 1
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    asyncio.run(story())


def test_half_a_document_is_swept_with_the_old_ones(tmp_path):
    """A `put` into quarantine that was killed leaves a file that no list shows."""

    async def story():
        quarantine = FileQuarantine(tmp_path, FakeClock())
        await quarantine.put(ALICE, "a", b"x")
        (tmp_path / ALICE / ".0123456789abcdef.tmp").write_bytes(b"half")
        await quarantine.sweep(FakeClock().now().replace(year=2999))
        assert list(tmp_path.iterdir()) == []

    asyncio.run(story())


def test_a_failed_fsync_ends_the_process(tmp_path, monkeypatch):
    """An fsync error is never a refusal that could be retried, and never a success."""

    def died(error):
        raise DiedError from error

    monkeypatch.setattr(files, "die", died)
    blobs, spool = FileBlobStore(tmp_path / "blobs"), FileSpool(tmp_path / "spool")
    fail_with(monkeypatch, os, "fsync", errno.EIO)

    async def story():
        with pytest.raises(DiedError):
            await blobs.put(KEY, b"x")
        with pytest.raises(DiedError):
            await spool.open({})

    asyncio.run(story())


def test_dying_is_at_once(monkeypatch):
    """The exit status is the one of an I/O error; no clean-up runs."""
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    files.die(OSError("x"))
    assert left == [74]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk_refuses_and_leaves_nothing(tmp_path, monkeypatch, code):
    """ENOSPC while a blob, a document or facts are written is temporary, without litter."""
    blobs = FileBlobStore(tmp_path / "blobs")
    quarantine = FileQuarantine(tmp_path / "quarantine", FakeClock())

    def refuse(*_arguments, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("pathlib.Path.open", refuse)

    async def story():
        with pytest.raises(UnavailableError):
            await blobs.put(KEY, b"x")
        with pytest.raises(UnavailableError):
            await quarantine.put(ALICE, "x", b"x")

    asyncio.run(story())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_full_disk_in_a_call_keeps_what_was_said(tmp_path, monkeypatch):
    """`append` refuses the whole piece, so that samples stay whole, and goes on when it can."""

    async def story():
        entry = await FileSpool(tmp_path).open({})
        entry.append("audio", b"ab" * 10)
        with monkeypatch.context() as full:
            real = os.write

            def half(descriptor, data):
                if len(data) < 10:
                    raise OSError(errno.ENOSPC, "full")
                return real(descriptor, bytes(data)[:11])

            full.setattr(os, "write", half)
            with pytest.raises(UnavailableError):
                entry.append("audio", b"cd" * 10)
        entry.append("audio", b"ef")
        await entry.sync()
        assert entry.read("audio") == b"ab" * 10 + b"ef"

    asyncio.run(story())


@pytest.mark.parametrize(
    "key", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"]
)
def test_a_key_is_no_path(tmp_path, key):
    """Only 32 hexadecimal digits name a blob."""
    with pytest.raises(InvalidError):
        asyncio.run(FileBlobStore(tmp_path).put(key, b""))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", ".hidden", "facts.json", "a\0", "é"]
)
def test_a_name_in_the_spool_is_no_path(tmp_path, name):
    """No name leaves the entry's folder or touches its facts."""

    async def story():
        entry = await FileSpool(tmp_path).open({})
        with pytest.raises(InvalidError):
            entry.append(name, b"x")
        with pytest.raises(InvalidError):
            entry.read(name)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("Fax (3).tif", "Fax_3_.tif"),
        ("", "document"),
        ("...", "document"),
        ("x" * 300 + ".tif", "x" * 76 + ".tif"),
    ],
)
def test_a_strangers_file_name_is_made_safe(name, safe):
    """The end of the name, where its type stands, is kept."""
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    "facts", [b"", b"{", b"[]", b'{"facts": {"a": 1}, "sealed": true}', b"\xff", b"[" * 5000]
)
def test_a_damaged_entry_is_put_aside_and_stops_nobody(tmp_path, facts):
    """Facts that cannot be read: the entry is kept in `damaged`, the others are replayed."""

    async def story():
        dead = FileSpool(tmp_path)
        good, bad = await dead.open({"kind": "voice"}), await dead.open({})
        bad.append("audio", b"x")
        (bad.folder / "facts.json").write_bytes(facts)
        os.close(dead._lock)
        heir = FileSpool(tmp_path)
        assert [entry.id for entry in await heir.abandoned()] == [good.id]
        assert (tmp_path / "damaged" / bad.id / "audio").read_bytes() == b"x"
        assert not dead.folder.exists()

    asyncio.run(story())


def test_a_damaged_entry_is_found_by_a_purge(tmp_path):
    """Half of some facts names the account still: nothing of it may stay."""

    async def story():
        dead = FileSpool(tmp_path)
        bad = await dead.open({})
        bad.append("audio", b"x")
        (bad.folder / "facts.json").write_bytes(b'{"facts": {"account": "' + ALICE.encode())
        os.close(dead._lock)
        heir = FileSpool(tmp_path)
        await heir.abandoned()
        assert await heir.delete_of(ALICE) == 1
        assert not (tmp_path / "damaged" / bad.id).exists()

    asyncio.run(story())


def test_what_a_kill_leaves_half_made_or_half_unlinked_is_swept(tmp_path):
    """An entry without facts and data never was; one that is being unlinked is no more."""

    async def story():
        dead = FileSpool(tmp_path)
        (dead.folder / ("c" * 32)).mkdir()
        (dead.folder / ("c" * 32) / ".0123456789abcdef.tmp").write_bytes(b"{")
        (dead.folder / (".gone-" + "d" * 32)).mkdir()
        os.close(dead._lock)
        heir = FileSpool(tmp_path)
        assert list(await heir.abandoned()) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == [heir.folder.name]

    asyncio.run(story())


def test_a_spool_that_closes_leaves_no_folder(tmp_path):
    """A command that took no call leaves nothing; entries that wait keep their folder."""

    async def story():
        empty, full = FileSpool(tmp_path), FileSpool(tmp_path)
        entry = await full.open({"kind": "fax"})
        await empty.close()
        await full.close()
        assert not empty.folder.exists()
        heir = FileSpool(tmp_path)
        assert [each.id for each in await heir.abandoned()] == [entry.id]

    asyncio.run(story())


def test_an_entry_that_a_purge_removed_is_not_there(tmp_path):
    """A call in progress whose account is purged hears that its entry is gone, nothing worse."""

    async def story():
        spool = FileSpool(tmp_path)
        entry = await spool.open({"account": ALICE})
        entry.append("audio", b"x")
        assert await spool.delete_of(ALICE) == 1
        for attempt in (entry.sync, lambda: entry.seal({})):
            with pytest.raises(NotFoundError):
                await attempt()
        with pytest.raises(NotFoundError):
            entry.append("other", b"x")
        await entry.discard()

    asyncio.run(story())


def test_facts_are_replaced_whole(tmp_path, monkeypatch):
    """A seal that fails leaves the facts of before, readable."""

    async def story():
        entry = await FileSpool(tmp_path).open({"kind": "voice"})

        def refuse(*_arguments):
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(files, "write_new", refuse)
        with pytest.raises(UnavailableError):
            await entry.seal({"duration": "3"})
        assert entry.facts == {"kind": "voice"}
        assert spool_entry.read_facts(entry.folder) == ({"kind": "voice"}, False)

    asyncio.run(story())

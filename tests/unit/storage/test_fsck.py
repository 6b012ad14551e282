"""fsck finds each kind of disagreement, mends what it may, and leaves alarms alone."""

import asyncio
import os
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from storage import locks
from storage.blobs import FileBlobStore
from storage.fsck import CHECKS, fsck
from storage.migrate import upgrade
from tests.support.stores import on_database
from um.core.errors import NotFoundError

BLOB_CHECKS = {"blob-missing", "blob-size", "blob-orphan"}


@pytest.fixture
def house(tmp_path):
    upgrade(tmp_path / "um.db")
    made = on_database(tmp_path / "um.db")
    made.blobs = FileBlobStore(tmp_path / "blobs")
    made.alice = made.account()
    made.inbox = made.folder(made.alice)
    made.entry = deliver(made, 100)
    yield made
    made.close()


def deliver(house, size):
    entry = house.deliver(house.alice, house.inbox, size)
    found = house.read(lambda tx: tx.messages.contents([entry.content_id]))
    asyncio.run(house.blobs.put(found[entry.content_id].blob, b"x" * size))
    return entry


def blob_of(house):
    found = house.read(lambda tx: tx.messages.contents([house.entry.content_id]))
    return found[house.entry.content_id].blob


def check(house, **options):
    found = asyncio.run(fsck(house.url, house.blobs, clock=house.clock, **options))
    return {each.check: each for each in found}


def spoil(house, *statements):
    """Change the file behind the store's back, foreign keys off as a raw connection has them."""
    with sqlite3.connect(house.url) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_sound_store_has_no_findings(house):
    """What the store itself makes, expunged and trashed messages included, is found sound."""
    gone = deliver(house, 50)
    house.run(lambda tx: tx.messages.expunge(house.inbox.id, [gone.uid]))
    assert check(house) == {}
    assert check(house, repair=True) == {}


SPOILED = {
    "octets-used": ["UPDATE accounts SET used_octets = 7"],
    "uidnext": ["UPDATE mailboxes SET uidnext = 1"],
    "modseq": ["UPDATE mailboxes SET highest_modseq = 1"],
    "uidvalidity": ["UPDATE accounts SET last_uidvalidity = 0"],
    "entry-size": ["UPDATE entry SET size_octets = 5", "UPDATE accounts SET used_octets = 5"],
    "entry-astray": [
        (
            "INSERT INTO entry SELECT 'lost', 1, account_id, content_id, kind, size_octets, 1, 0, '',"
            " 0, 0, NULL FROM entry"
        )
    ],
    "vanished-astray": ["INSERT INTO vanished VALUES ('lost', 1, 1)"],
    "content-unnamed": [
        (
            "INSERT INTO content (id, account_id, blob, kind, size_octets, thread_id, envelope, body,"
            " bodystructure, structure, header) SELECT 'c', account_id, blob, kind, size_octets, '',"
            " '', '', '', '', '' FROM content"
        )
    ],
    "discarded-named": ["INSERT INTO discarded SELECT blob, account_id, 0 FROM content"],
    "reservation-expired": ["INSERT INTO reservations SELECT 'r', id, 5, 0 FROM accounts"],
    "changes-old": ["UPDATE changes SET at = 0"],
}


@pytest.mark.parametrize("name", sorted(SPOILED))
def test_a_disagreement_is_found_and_mended(house, name):
    """A check tells of it and changes nothing; a repair mends it; then there is nothing to tell."""
    spoil(house, *SPOILED[name])
    found = check(house)
    assert set(found) == {name}
    assert not found[name].repaired
    assert set(check(house)) == {name}
    assert check(house, repair=True)[name].repaired
    assert check(house) == {}
    assert house.used(house.alice) == 100
    assert deliver(house, 10).uid == 2


def test_every_repairable_check_is_tried():
    """No check without a test that spoils what it is for."""
    assert {each.name for each in CHECKS} - {"entry-without-content"} == set(SPOILED)


def test_a_missing_body_is_an_alarm_that_no_repair_hides(house):
    """The row of a message without a body stays, and is told of every time."""
    blob = blob_of(house)
    asyncio.run(house.blobs.delete([blob]))
    for repair in (False, True, False):
        found = check(house, repair=repair)
        assert set(found) == {"blob-missing"}
        assert found["blob-missing"].subject == house.entry.content_id
        assert not found["blob-missing"].repairable
    assert house.entries(house.inbox) == [house.entry]


def test_a_body_that_housekeeping_is_to_delete_is_no_stranger(house):
    """An old message that was expunged a moment ago: a session may be sending it still."""
    blob = blob_of(house)
    house.run(lambda tx: tx.messages.expunge(house.inbox.id, [house.entry.uid]))
    path = Path(house.url).parent / "blobs" / blob[-2:] / blob
    os.utime(path, ((house.now() - timedelta(days=3)).timestamp(),) * 2)
    assert check(house) == {}
    assert check(house, repair=True) == {}
    assert path.exists()


def test_a_body_of_a_dropped_content_is_left_to_housekeeping(house):
    """A repair that drops a content lists its body, unless another content has the same."""
    blob = blob_of(house)
    spoil(house, *SPOILED["content-unnamed"], "UPDATE content SET blob = 'other' WHERE id = 'c'")
    assert set(check(house, repair=True)) == {"content-unnamed"}
    assert house.read(lambda tx: tx.messages.discarded(10)) == ["other"]
    spoil(house, *SPOILED["content-unnamed"])
    assert set(check(house, repair=True)) == {"content-unnamed"}
    assert house.read(lambda tx: tx.messages.known_blobs([blob])) == {blob}
    assert house.read(lambda tx: tx.messages.discarded(10)) == ["other"]


def test_an_entry_without_its_content_is_an_alarm(house):
    """A row whose content is lost is told of and kept."""
    spoil(house, "DELETE FROM content")
    found = check(house, repair=True)
    assert not found["entry-without-content"].repairable
    assert len(house.entries(house.inbox)) == 1


def test_a_body_of_the_wrong_length_is_an_alarm(house):
    """A body that is not as long as its message says is told of."""
    asyncio.run(house.blobs.put(blob_of(house), b"short"))
    assert set(check(house, repair=True)) == {"blob-size"}


def test_a_body_without_a_row_is_removed_after_a_day(house, tmp_path):
    """A young stranger may be a delivery in progress; an old one is removed by a repair only."""
    stranger = "ab" * 16
    asyncio.run(house.blobs.put(stranger, b"left behind"))
    now = house.now()
    leftover = tmp_path / "blobs" / "ab" / f".{stranger}-0123456789abcdef.tmp"
    leftover.write_bytes(b"half")
    for age, found in ((timedelta(hours=23), set()), (timedelta(hours=25), {"blob-orphan"})):
        for path in (leftover, tmp_path / "blobs" / "ab" / stranger):
            os.utime(path, ((now - age).timestamp(),) * 2)
        assert set(check(house)) == found
    assert asyncio.run(house.blobs.get(stranger)) == b"left behind"
    assert check(house, repair=True)["blob-orphan"].repaired
    assert not leftover.exists()
    with pytest.raises(NotFoundError):
        asyncio.run(house.blobs.get(stranger))
    assert check(house) == {}


def test_a_repair_wants_the_folder_for_itself(house, tmp_path):
    """A check runs beside a server; a repair is refused while one lives."""
    with locks.hold(tmp_path):
        assert check(house) == {}
        with pytest.raises(locks.DataFolderBusyError):
            check(house, repair=True)


def test_progress_names_each_check(house):
    """A caller can show what is being looked at."""
    told = []
    check(house, progress=told.append)
    assert told == [*(each.name for each in CHECKS), "bodies"]

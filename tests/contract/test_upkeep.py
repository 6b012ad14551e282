"""fsck, migrations and sudden death on the real databases."""

import asyncio
import signal
import subprocess
import sys

import psycopg
import pytest

from storage import locks, schema
from storage.blobs import FileBlobStore
from storage.fsck import fsck
from storage.migrate import upgrade
from tests.support.stores import on_database
from um.core.steps import DELIVERY_STEPS

pytestmark = pytest.mark.slow


def test_fsck_finds_and_mends_on_both_databases(persistent, tmp_path):
    """The same checks and repairs run on SQLite and PostgreSQL."""
    house = persistent
    account = house.account()
    inbox = house.folder(account)
    blobs = FileBlobStore(tmp_path / "blobs")
    entry = house.deliver(account, inbox, 4)
    (blob,) = house.read(lambda tx: tx.messages.blobs_of(account.id))
    asyncio.run(blobs.put(blob, b"body"))
    house.run(lambda tx: tx.messages.copy(inbox.id, [entry.uid], inbox.id, house.now()))
    house.run(lambda tx: tx.messages.expunge(inbox.id, [entry.uid]))

    def check(**options):
        found = asyncio.run(fsck(house.url, blobs, clock=house.clock, **options))
        return {(each.check, each.repaired) for each in found}

    def spoil_txn(tx):
        cursor = tx.accounts._unit._cursor
        cursor.execute("UPDATE accounts SET used_octets = 7, last_uidvalidity = 0")
        cursor.execute("UPDATE mailboxes SET uidnext = 1, highest_modseq = 1")
        cursor.execute("UPDATE entry SET size_octets = 5")
        cursor.execute("UPDATE changes SET at = 0")
        tx.reservations.add(account.id, 1, expires_at=house.now())

    assert check() == set()
    house.run(spoil_txn)
    wrong = {
        "octets-used",
        "uidvalidity",
        "uidnext",
        "modseq",
        "entry-size",
        "changes-old",
        "reservation-expired",
    }
    assert check() == {(name, False) for name in wrong}
    house.runner.run(house.store.close())
    assert check(repair=True) == {(name, True) for name in wrong}
    assert check() == set()


def test_a_node_that_lives_keeps_migrations_and_repairs_out(postgres_url, server, tmp_path):
    """On PostgreSQL every live store shares a lock in the server: other machines are seen too."""
    url = server.create()
    upgrade(url)
    house = on_database(url)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        with pytest.raises(locks.DataFolderBusyError):
            upgrade(url, data_dir=tmp_path)
        connection.execute(f"UPDATE alembic_version SET version_num = '{schema.REVISION}'")
    blobs = FileBlobStore(tmp_path / "blobs")
    with pytest.raises(locks.DataFolderBusyError):
        asyncio.run(fsck(url, blobs, clock=house.clock, repair=True))
    house.close()
    assert asyncio.run(fsck(url, blobs, clock=house.clock, repair=True)) == []


DOOMED = """
import asyncio, os, signal, sys, uuid
from storage.database import open_store
from um.clock import SystemClock
from um.core.message import Content, MessageKind

url, account_id, mailbox_id, fatal = sys.argv[1:]
clock = SystemClock()

def step(name):
    if name == fatal:
        os.kill(os.getpid(), signal.SIGKILL)

def deliver_txn(tx):
    content = Content(uuid.uuid4().hex, account_id, uuid.uuid4().hex, MessageKind.MAIL, 10,
                      b"", b"", b"", b"", b"")
    tx.messages.add_content(content)
    entry = tx.messages.add_entry(mailbox_id, content.id, flags=(), internal_date=clock.now(),
                                  saved_at=clock.now())
    tx.messages.remember_ingest("key", entry, clock.now())

async def main():
    store = open_store(url, publish=lambda events: None, clock=clock, steps=step)
    await store.run("deliver", deliver_txn)

asyncio.run(main())
"""

STEPS = [step for step in DELIVERY_STEPS if step.startswith("transaction.")]


@pytest.mark.parametrize("step", STEPS)
def test_a_delivery_that_is_killed_is_there_whole_or_not_at_all(persistent, step):
    """SIGKILL at each step of the transaction: before the commit nothing, after it everything."""
    house = persistent
    account = house.account()
    inbox = house.folder(account)
    doomed = subprocess.run(
        [sys.executable, "-c", DOOMED, house.url, account.id, inbox.id, step],
        check=False,
        timeout=60,
    )
    assert doomed.returncode == -signal.SIGKILL
    whole = step == "transaction.committed"
    assert len(house.entries(inbox)) == house.used(account) / 10 == int(whole)
    assert (house.read(lambda tx: tx.messages.ingested("key")) is not None) == whole
    assert house.deliver(account, inbox).uid == 1 + int(whole)

"""What another process commits reaches this one's subscribers."""

import asyncio
import subprocess
import sys

import pytest

from um.core.events import AccountChanged, MailboxChanged

pytestmark = pytest.mark.slow

OTHER = """
import asyncio, sys, uuid
from storage.database import open_store
from um.clock import SystemClock
from um.core.message import Content, MessageKind

url, account_id, mailbox_id = sys.argv[1:]
clock = SystemClock()

def deliver_txn(tx):
    content = Content(uuid.uuid4().hex, account_id, uuid.uuid4().hex, MessageKind.MAIL, 10,
                      b"", b"", b"", b"", b"")
    tx.messages.add_content(content)
    tx.messages.add_entry(mailbox_id, content.id, flags=(), internal_date=clock.now(),
                          saved_at=clock.now())
    tx.accounts.set_preference(account_id, "k", "v")

async def main():
    store = open_store(url, publish=lambda events: None, clock=clock)
    await store.run("deliver", deliver_txn)
    await store.close()

asyncio.run(main())
"""


def test_a_commit_of_another_process_is_published(persistent):
    """Both hints of a foreign delivery arrive by themselves, and once."""
    house = persistent
    account = house.account()
    inbox = house.folder(account)
    house.events.clear()
    house.changed.clear()

    async def deliver_elsewhere():
        house.store.start_following()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", OTHER, house.url, account.id, inbox.id
        )
        await asyncio.wait_for(house.changed.wait(), 30)
        assert await process.wait() == 0

    house.runner.run(deliver_elsewhere())
    assert house.events == [MailboxChanged(account.id, inbox.id, 2), AccountChanged(account.id)]
    assert len(house.entries(inbox)) == 1


def test_what_was_committed_before_the_store_opened_is_not_told(persistent):
    """Following begins where the store was opened: old hints are nobody's news."""
    house = persistent
    account = house.account()
    inbox = house.folder(account)
    subprocess.run(
        [sys.executable, "-c", OTHER, house.url, account.id, inbox.id], check=True, timeout=60
    )
    from storage.database import open_store

    told = []
    later = asyncio.Event()

    def publish(events):
        told.extend(events)
        later.set()

    async def open_late():
        second = open_store(house.url, publish=publish, clock=house.clock)
        second.start_following()
        await house.store.run("test", lambda tx: tx.accounts.set_preference(account.id, "k", "2"))
        await asyncio.wait_for(later.wait(), 30)
        await second.close()

    house.runner.run(open_late())
    assert told == [AccountChanged(account.id)]

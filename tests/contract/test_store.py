"""The contract of `Store`: units of work, events after the commit, and many at once."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from um.core.errors import QuotaExceededError, UnavailableError
from um.core.events import AccountChanged, MailboxChanged
from um.core.message import SEEN, FlagOperation


class TroubleError(Exception):
    """Something that goes wrong in the middle of a unit of work."""


def test_a_unit_of_work_commits_whole_or_not_at_all(house):
    """A failure leaves no row, no charge, no UID and no event of what was done before it."""
    account = house.account()
    inbox = house.folder(account)
    kept = house.deliver(account, inbox, 100)
    before = house.read(lambda tx: tx.mailboxes.get(inbox.id))
    house.events.clear()

    def failing_txn(tx):
        content = house.content(account, 50)
        tx.messages.add_content(content)
        tx.messages.add_entry(
            inbox.id, content.id, flags=(), internal_date=house.now(), saved_at=house.now()
        )
        tx.messages.expunge(inbox.id, [kept.uid])
        tx.accounts.save(replace(account, full_name="changed"))
        tx.records.set_mark("m", "1")
        raise TroubleError

    with pytest.raises(TroubleError):
        house.run(failing_txn)
    assert house.entries(inbox) == [kept]
    assert house.used(account) == 100
    assert house.read(lambda tx: tx.mailboxes.get(inbox.id)) == before
    assert house.read(lambda tx: tx.accounts.get(account.id)) == account
    assert house.read(lambda tx: tx.records.mark("m")) is None
    assert house.events == []


def test_events_come_after_the_commit_and_before_the_caller_goes_on(house):
    """One hint a folder and transaction, with its last MODSEQ, told before `run` returns."""
    account = house.account()
    inbox = house.folder(account)
    house.events.clear()

    def both_txn(tx):
        for _ in range(2):
            content = house.content(account)
            tx.messages.add_content(content)
            entry = tx.messages.add_entry(
                inbox.id, content.id, flags=(), internal_date=house.now(), saved_at=house.now()
            )
        tx.messages.change_flags(inbox.id, [1], FlagOperation.ADD, [SEEN])
        tx.accounts.set_preference(account.id, "k", "v")
        assert house.events == []
        return entry

    house.run(both_txn)
    assert house.events == [MailboxChanged(account.id, inbox.id, 4), AccountChanged(account.id)]


def test_a_read_must_not_write(house):
    """A write in `read` is a fault of the program: it raises, and nothing is stored."""
    account = house.account()
    with pytest.raises(Exception, match="read") as raised:
        house.read(lambda tx: tx.accounts.save(replace(account, full_name="x")))
    assert not isinstance(raised.value, UnavailableError)
    assert house.read(lambda tx: tx.accounts.get(account.id)) == account


def test_only_a_delivery_announces_its_steps(house):
    """The steps of `um.core.steps` come in order, in transactions named `deliver` alone."""
    account = house.account()
    inbox = house.folder(account)
    house.deliver(account, inbox)
    assert house.steps == []
    content = house.content(account)

    def deliver_txn(tx):
        tx.messages.add_content(content)
        tx.messages.add_entry(
            inbox.id, content.id, flags=(), internal_date=house.now(), saved_at=house.now()
        )

    house.run(deliver_txn, name="deliver")
    assert house.steps == [
        "transaction.begun",
        "transaction.charged",
        "transaction.entry-added",
        "transaction.before-commit",
        "transaction.committed",
    ]


def test_parallel_deliveries_never_pass_the_limit(house):
    """32 deliveries at once into room for ten: ten are taken, each with a UID of its own."""
    account = house.account(quota_octets=1_000)
    inbox = house.folder(account)

    def charge_txn(tx):
        content = house.content(account, 100)
        tx.accounts.lock(account.id)
        usage = tx.accounts.usage(account.id, house.now())
        if usage.used_octets + 100 > usage.limit_octets:
            raise QuotaExceededError
        tx.messages.add_content(content)
        return tx.messages.add_entry(
            inbox.id, content.id, flags=(), internal_date=house.now(), saved_at=house.now()
        )

    async def all_at_once():
        work = (house.store.run("deliver", charge_txn) for _ in range(32))
        return await asyncio.gather(*work, return_exceptions=True)

    results = house.runner.run(all_at_once())
    taken = sorted(entry.uid for entry in results if not isinstance(entry, Exception))
    refused = [each for each in results if isinstance(each, QuotaExceededError)]
    assert (taken, len(refused)) == (list(range(1, 11)), 22)
    assert house.used(account) == 1_000


def test_parallel_changes_of_two_folders_do_not_lock_each_other_out(house):
    """Moves both ways at once end, and every message is in one folder."""
    account = house.account()
    here, there = house.folder(account, "a"), house.folder(account, "b")
    for folder in (here, there):
        for _ in range(4):
            house.deliver(account, folder, 10)

    def move_txn(source, target, uid):
        return lambda tx: tx.messages.move(source.id, [uid], target.id, house.now())

    async def all_at_once():
        pairs = [(here, there), (there, here)]
        work = [move_txn(*pair, uid) for uid in range(1, 5) for pair in pairs]
        work += [lambda tx: tx.mailboxes.claim_recent(here.id)] * 4
        await asyncio.gather(*(house.store.run("move", each) for each in work))

    house.runner.run(all_at_once())
    entries = [*house.entries(here), *house.entries(there)]
    assert len({entry.content_id for entry in entries}) == len(entries) == 8
    assert house.used(account) == 80


def test_the_same_key_at_once_is_taken_once(house):
    """Two deliveries of one ingest key at the same time: one is stored, the other refused."""
    account = house.account()
    inbox = house.folder(account)
    key = uuid.uuid4().hex

    def deliver_txn(tx):
        content = house.content(account, 10)
        tx.messages.add_content(content)
        entry = tx.messages.add_entry(
            inbox.id, content.id, flags=(), internal_date=house.now(), saved_at=house.now()
        )
        tx.messages.remember_ingest(key, entry, house.now())

    async def both():
        work = (house.store.run("deliver", deliver_txn) for _ in range(8))
        return await asyncio.gather(*work, return_exceptions=True)

    results = house.runner.run(both())
    assert sum(each is None for each in results) == 1
    assert {type(each).__name__ for each in results if each} == {"AlreadyExistsError"}
    assert (len(house.entries(inbox)), house.used(account)) == (1, 10)


def test_a_cancelled_caller_does_not_undo_or_hide_the_commit(persistent):
    """A transaction that has begun ends by itself, and what it changed is still published."""
    house = persistent
    account = house.account()
    house.events.clear()
    house.changed.clear()

    async def cancelled():
        entered = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work_txn(tx):
            loop.call_soon_threadsafe(entered.set)
            tx.accounts.set_preference(account.id, "k", "v")

        task = asyncio.create_task(house.store.run("test", work_txn))
        await entered.wait()
        task.cancel()
        await asyncio.wait_for(house.changed.wait(), 10)

    house.runner.run(cancelled())
    assert house.events == [AccountChanged(account.id)]
    assert house.read(lambda tx: tx.accounts.preferences(account.id)) == {"k": "v"}


def test_changes_are_trimmed_by_age(persistent):
    """Housekeeping drops hints older than it says, and tells how many."""
    house = persistent
    account = house.account()
    house.clock.advance(hours=1)
    house.folder(account)
    before = house.now() - timedelta(minutes=1)
    assert house.runner.run(house.store.trim_changes(before)) == 1
    assert house.runner.run(house.store.trim_changes(before)) == 0
    assert house.runner.run(house.store.trim_changes(house.now() + timedelta(seconds=1))) == 1


def test_a_closed_store_is_unavailable(persistent):
    """After `close` every call is refused as for any other unreachable database."""
    house = persistent
    house.runner.run(house.store.close())
    with pytest.raises(UnavailableError):
        house.run(lambda tx: tx.accounts.every())
    with pytest.raises(UnavailableError):
        house.read(lambda tx: tx.accounts.every())

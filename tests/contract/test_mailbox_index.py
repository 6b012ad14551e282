"""Indexes in memory over a store that other processes change too: never wrong, and bounded."""

import asyncio
import uuid
from concurrent.futures import TimeoutError as NotDoneError
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database import open_store
from storage.mailboxes import SqlMailboxes
from storage.memory import MemoryBlobStore
from um.core.message import DELETED, SEEN, FlagOperation
from um.service.delivery import Delivery
from um.service.events import LocalEventBus
from um.service.mailbox_index import MailboxIndex, MailboxIndexes
from um.service.mailbox_rows import MOST, MailboxRows
from um.service.mailboxes import MailboxService

FOLDERS = ("INBOX", "Other")
OPERATIONS = (
    "store",
    "deliver",
    "seen",
    "unseen",
    "keyword",
    "expunge",
    "move",
    "copy",
    "trashed",
    "remake",
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1]),
        st.sampled_from(OPERATIONS),
        st.sampled_from(FOLDERS),
        st.lists(st.integers(1, 6), max_size=3),
        st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from(FOLDERS)), max_size=2),
    ),
    min_size=1,
    max_size=20,
)


class Account:
    """One account with two folders, and what can be done to it."""

    def __init__(self, house):
        self.house = house
        self.account = house.account(uuid.uuid4().hex[:12])
        for name in FOLDERS:
            house.folder(self.account, name)

    def change_txn(self, operation, name, uids):
        house, account = self.house, self.account

        def work(tx):
            mailbox = tx.mailboxes.by_name(account.id, name)
            other = tx.mailboxes.by_name(account.id, FOLDERS[name == "INBOX"])
            now = house.now()
            match operation:
                case "deliver":
                    content = house.content(account)
                    tx.messages.add_content(content)
                    tx.messages.add_entry(
                        mailbox.id, content.id, flags=(), internal_date=now, saved_at=now
                    )
                case "seen":
                    tx.messages.change_flags(mailbox.id, uids, FlagOperation.ADD, [SEEN])
                case "unseen":
                    tx.messages.change_flags(mailbox.id, uids, FlagOperation.REPLACE, [DELETED])
                case "keyword":
                    tx.messages.change_flags(mailbox.id, uids, FlagOperation.ADD, ["Junk"])
                case "expunge":
                    tx.messages.expunge(mailbox.id, uids)
                case "move":
                    tx.messages.move(mailbox.id, uids, other.id, now)
                case "copy":
                    tx.messages.copy(mailbox.id, uids, other.id, now)
                case "trashed":
                    tx.messages.set_trashed(mailbox.id, uids, now)
                case "remake":
                    tx.mailboxes.delete(mailbox.id)
                    tx.mailboxes.create(account.id, name)

        return work

    def truth_txn(self, name):
        def work(tx):
            mailbox = tx.mailboxes.by_name(self.account.id, name)
            return mailbox.id, mailbox.highest_modseq, tx.messages.entries(mailbox.id)

        return work


async def store_flags(view, account, name, uids):
    """A STORE by the service, which may know the entries by its index, and says what changed."""
    mailbox = await view.find(account.account.id, name)
    stored = await view.store_flags(
        account.account.id, mailbox.id, uids=uids, operation=FlagOperation.ADD, flags=[SEEN]
    )
    changed = [each.uid for each in stored.entries if each.modseq > stored.since]
    assert stored.modseq - stored.since == bool(changed)
    assert {each.modseq for each in stored.entries if each.uid in changed} <= {stored.modseq}


async def agrees(view, store, account, name):
    """What the view shows is what lies in the tables."""
    snapshot = await view.open(account.account.id, name)
    mailbox_id, modseq, entries = await store.read("truth", account.truth_txn(name))
    index = snapshot.index
    assert (index.mailbox_id, index.modseq, snapshot.entries) == (mailbox_id, modseq, entries)
    assert list(index.uids) == list(index.entries) == [each.uid for each in entries]
    fresh = MailboxIndex.of(mailbox_id, modseq, entries)
    assert index.keywords == fresh.keywords
    assert index.first_unseen == fresh.first_unseen


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS, st.sampled_from([0, 3, 1000]))
def test_an_index_is_never_wrong(persistent, steps, limit):
    """Two processes on one database, each with indexes; either changes, either looks, at any time."""
    house = persistent
    account = Account(house)

    async def story():
        other = open_store(house.url, publish=lambda _: None, clock=house.clock)
        stores = (house.store, other)
        blobs = MemoryBlobStore()
        views = [
            MailboxService(
                each,
                blobs,
                Delivery(each, blobs, LocalEventBus(), house.clock),
                house.clock,
                index_entries=limit,
            )
            for each in stores
        ]
        known = {}
        for who, operation, name, uids, looks in steps:
            if operation == "store":
                await store_flags(views[who], account, name, uids)
            else:
                await stores[who].run("change", account.change_txn(operation, name, uids))
            for looker, where in looks:
                snapshot = await views[looker].open(account.account.id, where)
                before = known.get((looker, where))
                if before is not None and before.mailbox.id == snapshot.mailbox.id:
                    # What a session reads between two looks brings the index up to date too.
                    since = before.mailbox.highest_modseq
                    await views[looker].changes(
                        account.account.id, snapshot.mailbox.id, since=since
                    )
                known[looker, where] = snapshot
                await agrees(views[looker], stores[looker], account, where)
        for view, store in zip(views, stores, strict=True):
            for name in FOLDERS:
                await agrees(view, store, account, name)
        await other.close()

    house.runner.run(story())


def test_what_is_claimed_is_of_one_instant(persistent, monkeypatch):
    r"""A delivery commits while a session is about to claim \Recent: the row says so, too."""
    house = persistent
    account = Account(house)
    claim = SqlMailboxes.claim_recent
    armed = []
    others = []

    async def story():
        loop = asyncio.get_running_loop()
        other = open_store(house.url, publish=lambda _: None, clock=house.clock)
        deliver_txn = account.change_txn("deliver", "INBOX", [])

        def claim_later(mailboxes, mailbox_id):
            if armed:
                armed.clear()
                work = other.run("deliver", deliver_txn)
                others.append(asyncio.run_coroutine_threadsafe(work, loop))
                with suppress(NotDoneError):  # SQLite lets no other write meanwhile
                    others[-1].result(timeout=1.0)
            return claim(mailboxes, mailbox_id)

        def is_whole(mailbox, found):
            assert mailbox.uidnext == max(each.uid for each in found) + 1
            assert mailbox.highest_modseq == max(each.modseq for each in found)

        monkeypatch.setattr(SqlMailboxes, "claim_recent", claim_later)
        blobs = MemoryBlobStore()
        delivery = Delivery(house.store, blobs, LocalEventBus(), house.clock)
        view = MailboxService(house.store, blobs, delivery, house.clock)
        await house.store.run("deliver", deliver_txn)
        armed.append("open")
        snapshot = await view.open(account.account.id, "INBOX", claim_recent=True)
        is_whole(snapshot.mailbox, snapshot.entries)
        await asyncio.wrap_future(others[-1])
        await house.store.run("deliver", deliver_txn)
        armed.append("changes")
        since = snapshot.mailbox.highest_modseq
        changes = await view.changes(
            account.account.id, snapshot.mailbox.id, since=since, claim_recent=True
        )
        is_whole(changes.mailbox, changes.entries)
        await asyncio.wrap_future(others[-1])
        assert len(others) == 2
        await agrees(view, house.store, account, "INBOX")
        await other.close()

    house.runner.run(story())


def entries(house, count):
    """So many entries of a folder of its own."""
    account = house.account(uuid.uuid4().hex[:12])
    inbox = house.folder(account)
    return inbox.id, [house.deliver(account, inbox) for _ in range(count)]


def test_the_bound_holds_and_the_oldest_go(house):
    """However many mailboxes are looked at."""
    indexes = MailboxIndexes(5)
    made = []
    for count in (2, 2, 2, 9):
        mailbox_id, found = entries(house, count)
        made.append(MailboxIndex.of(mailbox_id, found[-1].modseq, found))
        indexes.keep(made[-1])
        assert indexes.entries <= 5
    kept = [indexes.find(each.mailbox_id) for each in made]
    assert kept == [None, None, None, None]
    indexes.keep(made[0])
    indexes.keep(made[1])
    indexes.keep(made[0])
    indexes.keep(made[2])
    assert indexes.find(made[1].mailbox_id) is None
    assert indexes.find(made[0].mailbox_id) is made[0]


def test_a_glance_sees_what_was_committed_and_writes_nothing(persistent):
    """Own and foreign commits, at once; what it raises is the caller's, and it goes on working."""
    house = persistent
    account = Account(house)

    async def story():
        other = open_store(house.url, publish=lambda _: None, clock=house.clock)
        for store in (house.store, other, house.store):
            await store.run("change", account.change_txn("deliver", "INBOX", []))
            seen = await asyncio.gather(
                *(each.glance("look", account.truth_txn("INBOX")) for each in (house.store, other))
            )
            assert seen[0] == seen[1] == await store.read("look", account.truth_txn("INBOX"))

            def fails(tx):
                raise LookupError

            for bad in (fails, account.change_txn("deliver", "INBOX", [])):
                try:
                    await store.glance("bad", bad)
                except (LookupError, RuntimeError):
                    continue
                raise AssertionError("a glance that must not succeed")
        await other.close()

    house.runner.run(story())


def test_a_stamp_ends_with_any_commit_of_whomever(persistent):
    """Equal stamps mean that nothing was committed; looking and failing commit nothing."""
    house = persistent
    account = Account(house)

    async def story():
        other = open_store(house.url, publish=lambda _: None, clock=house.clock)
        if not house.store.glances:
            assert house.store.stamp() is None
            await other.close()
            return
        for store in (house.store, other, house.store):
            before = house.store.stamp()
            await house.store.glance("look", account.truth_txn("INBOX"))
            await other.read("look", account.truth_txn("INBOX"))
            await fails(other)
            assert house.store.stamp() == before is not None
            await store.run("change", account.change_txn("deliver", "Other", []))
            after = house.store.stamp()
            assert after != before
            assert house.store.stamp() == after
        before = other.stamp()
        other._glance.close()  # as after an error: the next connection counts from anywhere
        assert other.stamp() != before
        await other.close()

    async def fails(store):
        def work(tx):
            account.change_txn("deliver", "INBOX", [])(tx)
            raise LookupError

        with suppress(LookupError):
            await store.run("fails", work)

    house.runner.run(story())


def test_rows_are_kept_for_one_stamp(house):
    """Nothing is kept without a stamp, or under another one; what is late goes nowhere."""
    mailbox, _ = entries(house, 1)
    rows = MailboxRows()
    first = rows.at("one")
    first.by_id["alice", mailbox] = "a row"
    assert rows.at("one").by_id == {("alice", mailbox): "a row"}
    assert rows.at("two").by_id == {}
    first.by_id["alice", "late"] = "a row"
    assert rows.at("one").by_id == {}
    rows.at(None).by_id["alice", mailbox] = "a row"
    assert rows.at(None).by_id == {}
    for number in range(MOST):
        rows.at("three").by_name["alice", str(number)] = "a row"
    assert rows.at("three").by_name == {}

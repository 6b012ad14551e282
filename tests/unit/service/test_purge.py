"""The end of a closed account."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.clock import NOON
from tests.support.house import DOMAIN, NUMBER, PASSWORD, PIN, House, incoming
from um.core.account import AccountState, CallRecord, GreetingKind, NumberState
from um.core.errors import AuthenticationError, NotFoundError, UnavailableError
from um.core.ids import blob_key
from um.core.message import INBOX, TRASH, MessageKind
from um.core.steps import PURGE_STEPS
from um.service.housekeeping import Housekeeping, HousekeepingSettings
from um.service.purge import BATCH, GROUP
from um.service.recipients import Directory
from um.service.web_sessions import WebSessions

OTHER = "+15551230002"


def run(coroutine):
    return asyncio.run(coroutine)


async def furnished(house):
    """Alice with something in every place that there is, closed; Bob beside her, active."""
    alice = await house.add()
    bob = await house.add("bob", OTHER)
    for account in (alice, bob):
        for number, kind in enumerate(MessageKind):
            await house.delivery.deliver(incoming(account, f"{account.name}{number}", kind=kind))
        trashed = incoming(account, f"{account.name}-t", by_owner=True, mailbox=TRASH)
        await house.delivery.deliver(trashed)
        await house.delivery.reserve(account.id, 1000, seconds=10**8)
        await house.spool.open({"account": account.id, "kind": "voice"})
        await house.quarantine.put(account.id, "page.tiff", b"II*")
        with pytest.raises(AuthenticationError):
            await house.authenticator.verify_pin(account.id, "999999")

        def more_txn(tx, account=account):
            call = CallRecord(account.id, NOON, "voice", None, "+15550000000", 12.0)
            tx.records.add_call(call)
            tx.accounts.set_preference(account.id, "greeting", "busy")

        await house.store.run("t", more_txn)

        def expunge_txn(tx, account=account):
            tx.messages.expunge(tx.mailboxes.by_name(account.id, INBOX).id, [1])

        await house.delivery.deliver(incoming(account, f"{account.name}-x"))
        await house.store.run("t", expunge_txn)
        await house.blobs.put(blob_key(account.id, "f" * 32), b"its delivery was killed")
    await house.numbers.add_alias("alice", NUMBER, "2001")
    await house.accounts.close("alice")
    return alice, bob


def nothing_left(house, alice):
    """No table, body, spool entry or document names the account; the record alone may."""
    tables = replace(house.store._tables, purges={})
    text = repr(tables) + repr(house.quarantine.documents)
    for entry in house.spool.entries.values():
        text += repr(entry.facts)
    for trace in (alice.id, "'alice'", NUMBER, "alice0"):
        assert trace not in text
    named = {content.blob for content in house.store._tables.contents.values()}
    assert not [key for key in house.blobs.blobs if key.startswith(alice.id[:12])]
    assert named <= set(house.blobs.blobs)


async def untouched(house, bob):
    overview = await house.accounts.show("bob")
    assert overview.account == bob
    assert sum(overview.counts.values()) == len(MessageKind) + 1
    assert [number.e164 for number in overview.numbers] == [OTHER]
    bodies = await house.store.read("t", lambda tx: tx.messages.blobs_of(bob.id))
    assert len(bodies) == len(MessageKind) + 2  # that of an expunged message included
    assert bodies <= set(house.blobs.blobs)
    assert len(house.spool.entries) == len(house.quarantine.documents) == 1
    assert (await house.usage(bob.id)).reserved_octets == 1000


def test_a_purge_leaves_a_record_and_nothing_else():
    async def story():
        house = House()
        alice, bob = await furnished(house)
        told = []
        at = (await house.accounts.show("alice")).account.purge_at
        report = await house.purge().run(at=at, progress=told.append)
        (record,) = report.records
        assert (record.messages, record.blobs, record.octets) == (6, 7, 6000)
        assert record.finished_at == house.clock.now()
        assert record.account_id == alice.id
        assert {each.account_name for each in told} == {"alice", ""}
        nothing_left(house, alice)
        await untouched(house, bob)
        assert blob_key(bob.id, "f" * 32) in house.blobs.blobs  # not a day old
        assert await house.store.read("t", lambda tx: tx.records.purges()) == [record]
        assert (await house.purge().run(at=at)).records == []
        # The number is free and the name may be used again.
        assert (await house.add()).id != alice.id

    run(story())


def test_nothing_goes_before_its_date():
    async def story():
        house = House()
        await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        assert (await house.purge().run(at=at - timedelta(seconds=1))).records == []
        report = await house.purge().run(at=at, dry_run=True)
        assert report.records[0].messages == 6
        assert (await house.accounts.show("alice")).account.state is AccountState.CLOSED

    run(story())


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", PURGE_STEPS)
def test_killed_at_any_step_the_next_run_finishes(step):
    """At every named step: hidden at once, never half visible, finished by the next run."""

    async def story():
        house = House()
        alice, bob = await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        seen = []

        def steps(name):
            seen.append(name)
            if name == step:
                raise Killed

        with pytest.raises(Killed):
            await house.purge(steps).run(at=at)
        assert tuple(seen) == PURGE_STEPS[: PURGE_STEPS.index(step) + 1]
        with pytest.raises(AuthenticationError):
            await house.authenticator.login("alice", PASSWORD, peer="192.0.2.1")
        assert await Directory(house.store, house.settings).find(f"{NUMBER}@{DOMAIN}") is None
        with pytest.raises(NotFoundError):
            await house.delivery.deliver(incoming(alice, "late"))
        # The next run needs no trusted clock: what has begun is finished.
        house.clock.jump(at)
        assert (await house.purge().run()).held
        (record,) = await house.store.read("t", lambda tx: tx.records.purges())
        assert record.finished_at is not None
        assert (record.messages, record.octets, record.blobs) == (6, 6000, 7)
        nothing_left(house, alice)
        await untouched(house, bob)

    run(story())


def test_a_purge_interrupted_by_the_disk_is_repeated():
    async def story():
        house = House()
        alice, bob = await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at

        def steps(name):
            house.store.unavailable = name == "purge.blobs-deleted"

        with pytest.raises(UnavailableError):
            await house.purge(steps).run(at=at)
        house.store.unavailable = False
        await house.purge().run(at=at)
        nothing_left(house, alice)
        await untouched(house, bob)

    run(story())


def test_a_delivery_that_loses_the_race_with_the_purge_deletes_its_body():
    """Its body was written before the mark; its transaction sees PURGING."""

    async def story():
        house = House()
        alice, bob = await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        put = house.blobs.put

        async def put_and_purge(key, data):
            await put(key, data)
            await house.purge().run(at=at)

        house.blobs.put = put_and_purge
        with pytest.raises(NotFoundError):
            await house.delivery.deliver(incoming(alice, "late"))
        nothing_left(house, alice)
        await untouched(house, bob)

    run(story())


def test_an_account_reopened_since_it_was_listed_is_left_alone():
    async def story():
        house = House()
        alice, _ = await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        purge = house.purge()
        (due,) = await purge.due(at)
        await house.accounts.reopen("alice")
        await purge._purge([due], at, lambda _: None)
        overview = await house.accounts.show("alice")
        assert overview.account.state is AccountState.ACTIVE
        assert sum(overview.counts.values()) == 6
        assert await house.store.read("t", lambda tx: tx.records.purges()) == []
        assert alice.id == overview.account.id

    run(story())


def test_a_clock_that_jumped_purges_nothing_until_someone_confirms_the_time():
    """Two readings within a day start a purge; a jump of three months holds it; --at ends that."""

    async def story():
        house = House()
        await furnished(house)
        first = await house.purge().run()
        assert first.held  # the very first reading
        house.clock.advance(hours=1)
        assert not (await house.purge().run()).held
        house.clock.jump(house.clock.now() + timedelta(days=90))
        for _ in range(3):
            report = await house.purge().run()
            assert report.held
            assert report.records == []
            house.clock.advance(hours=1)
        assert (await house.purge().run(dry_run=True)).held
        assert (await house.accounts.show("alice")).account.state is AccountState.CLOSED
        report = await house.purge().run(at=house.clock.now())
        assert len(report.records) == 1
        house.clock.advance(hours=1)
        assert not (await house.purge().run()).held

    run(story())


def test_a_clock_that_came_back_ends_the_hold_by_itself():
    async def story():
        house = House()
        await house.purge().run()
        before = house.clock.now()
        house.clock.jump(before + timedelta(days=90))
        assert (await house.purge().run()).held
        house.clock.jump(before + timedelta(hours=2))
        assert not (await house.purge().run()).held

    run(story())


def test_a_clock_that_runs_purges_on_the_day():
    """Hour by hour to the purge date and over it."""

    async def story():
        house = House()
        await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        purged = None
        while purged is None:
            report = await house.purge().run()
            if report.records:
                purged = house.clock.now()
            house.clock.advance(hours=20)
        assert at <= purged < at + timedelta(hours=20)

    run(story())


def test_a_number_with_a_longer_hold_stays_held_after_the_purge():
    async def story():
        house = House()
        house.settings = replace(house.settings, number_hold_months=6)
        house.accounts._settings = house.settings
        alice, _ = await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        await house.purge().run(at=at)
        number = await house.store.read("t", lambda tx: tx.numbers.get(NUMBER))
        assert (number.state, number.account_id) == (NumberState.HELD, None)
        assert number.hold_until == alice.created_at.replace(month=9) - timedelta(hours=1)

    run(story())


def test_a_thousand_go_in_groups_and_a_large_mailbox_piece_by_piece():
    """More accounts than a group, more messages than a transaction: nothing of any is left."""

    async def story():
        house = House()
        names = [f"user{number}" for number in range(GROUP + 2)]
        for name in names:
            account = await house.add(name, None)
            for number in range(BATCH * 2 + 1 if name == "user1" else 1):
                await house.delivery.deliver(incoming(account, f"{name}-{number}"))
        bob = await house.add("bob", OTHER)
        closed = [await house.accounts.close(name) for name in names]
        told = []
        report = await house.purge().run(at=closed[0].purge_at, progress=told.append)
        assert len(report.records) == len(names)
        assert all(record.finished_at for record in report.records)
        assert sum(record.messages for record in report.records) == len(names) + BATCH * 2
        assert [each.account.id for each in await house.accounts.every()] == [bob.id]
        assert house.blobs.blobs == {}
        assert house.store._tables.discarded == {}
        assert {each.done for each in told} == {0, GROUP, len(names)}

    run(story())


def test_reopened_on_day_59_everything_is_in_place():
    """Messages, numbers, greetings, PIN, password and preferences; sessions have ended for good."""

    async def story():
        house = House()
        alice = await house.add()
        for number, kind in enumerate(MessageKind):
            await house.delivery.deliver(incoming(alice, f"k{number}", kind=kind))
        await house.greetings.put(alice.id, GreetingKind.BUSY, b"RIFF")
        await house.quarantine.put(alice.id, "page.tiff", b"II*")
        await house.accounts.set_preferences("alice", {"review": "no"})
        await house.numbers.add_alias("alice", NUMBER, "2001")
        sessions = WebSessions(house.store, house.clock)
        cookie = await sessions.open(alice.id, peer="192.0.2.1")
        before = await house.accounts.show("alice")
        keeper = Housekeeping(
            house.store,
            house.blobs,
            house.quarantine,
            house.purge(),
            house.clock,
            HousekeepingSettings(),
        )
        closed = await house.accounts.close("alice", reason="moved", actor="cli:ann")
        assert await sessions.find(cookie) is None
        while house.clock.now() < closed.closed_at + timedelta(days=58, hours=20):
            house.clock.advance(hours=20)
            assert (await keeper.tick())["purge"] == 0
        await house.accounts.reopen("alice", reason="came back", actor="cli:ann")
        after = await house.accounts.show("alice")
        assert after == before
        assert await house.greetings.kinds(alice.id) == {GreetingKind.BUSY}
        assert len(house.quarantine.documents) == 1
        assert await house.accounts.preferences("alice") == {"review": "no"}
        assert await sessions.find(cookie) is None
        await house.authenticator.login("alice", PASSWORD, peer="192.0.2.1")
        await house.authenticator.verify_pin(alice.id, PIN)
        bodies = await house.store.read("t", lambda tx: tx.messages.blobs_of(alice.id))
        assert bodies <= set(house.blobs.blobs)
        told = [(r.actor, r.action, r.detail) for r in await house.records.audit("alice")]
        assert told[-2:] == [("cli:ann", "close", "moved"), ("cli:ann", "reopen", "came back")]

    run(story())


def test_between_the_nights_only_what_had_begun_is_finished():
    """A purge that was killed goes on at the next hour; another begins at night."""

    async def story():
        house = House()
        alice, _ = await furnished(house)
        at = (await house.accounts.show("alice")).account.purge_at
        await house.purge().run()
        house.clock.jump(at)
        await house.purge().run(at=at - timedelta(days=1))  # an operator confirms the clock
        assert (await house.purge().run(begin=False)).records == []

        def steps(name):
            if name == "purge.messages-deleted":
                raise Killed

        with pytest.raises(Killed):
            await house.purge(steps).run()
        (record,) = (await house.purge().run(begin=False)).records
        assert record.account_id == alice.id
        nothing_left(house, alice)

    run(story())

"""A legal hold: nothing of the account is deleted, whoever asks and whatever is due."""

import asyncio
from datetime import timedelta

import pytest

from storage.memory.messages import MemoryMessages
from tests.support.house import House, incoming
from um.core.account import AccountState
from um.core.errors import InvalidError, LegalHoldError
from um.core.message import DELETED, INBOX, TRASH, FlagOperation, MessageKind
from um.service.housekeeping import Housekeeping, HousekeepingSettings
from um.service.mailboxes import MailboxService


def run(coroutine):
    return asyncio.run(coroutine)


async def under_hold(house):
    alice = await house.add()
    await house.delivery.deliver(incoming(alice, kind=MessageKind.VOICE))
    return await house.accounts.set_legal_hold("alice", on=True, reason="case 7", actor="cli:ann")


def test_a_hold_needs_its_reason_and_is_in_the_audit_log():
    async def story():
        house = House()
        await house.add()
        with pytest.raises(InvalidError):
            await house.accounts.set_legal_hold("alice", on=True, reason=" ")
        held = await house.accounts.set_legal_hold("alice", on=True, reason="case 7")
        assert (held.legal_hold_at, held.legal_hold_reason) == (house.clock.now(), "case 7")
        house.clock.advance(60)
        again = await house.accounts.set_legal_hold("alice", on=True, reason="case 8")
        assert again.legal_hold_at == held.legal_hold_at
        ended = await house.accounts.set_legal_hold("alice", on=False, reason="settled")
        assert (ended.legal_hold_at, ended.legal_hold_reason) == (None, "")
        audit = [(each.action, each.detail) for each in await house.records.audit("alice")]
        assert audit[1:] == [
            ("legal-hold", "case 7"),
            ("legal-hold", "case 8"),
            ("legal-hold-ended", "settled"),
        ]

    run(story())


def test_the_owner_may_throw_away_but_not_delete():
    """EXPUNGE and the deletion of a folder that holds something are refused; MOVE is not."""

    async def story():
        house = House()
        alice = await under_hold(house)
        mailboxes = MailboxService(house.store, house.blobs, house.delivery, house.clock)
        inbox = (await mailboxes.open(alice.id, INBOX)).mailbox.id
        assert await mailboxes.expunge(alice.id, inbox) == []  # nothing is marked
        await mailboxes.change_flags(
            alice.id, inbox, uids=[1], operation=FlagOperation.ADD, flags=[DELETED]
        )
        with pytest.raises(LegalHoldError):
            await mailboxes.expunge(alice.id, inbox)
        await mailboxes.create(alice.id, "Old")
        await mailboxes.move(alice.id, inbox, uids=[1], target="Old")
        with pytest.raises(LegalHoldError):
            await mailboxes.delete(alice.id, "Old")
        old = (await mailboxes.open(alice.id, "Old")).mailbox.id
        await mailboxes.discard(alice.id, old, uids=[1])
        await mailboxes.delete(alice.id, "Old")
        trash = await mailboxes.open(alice.id, TRASH)
        assert len(trash.entries) == 1
        await house.accounts.set_legal_hold("alice", on=False, reason="")
        assert await mailboxes.expunge(alice.id, trash.mailbox.id) == [1]

    run(story())


def test_trash_and_quarantine_are_not_emptied():
    """Nor are those of a closed account, which may be reopened."""

    async def story():
        house = House()
        alice = await under_hold(house)
        bob = await house.add("bob", None)
        carl = await house.add("carl", None)
        for account in (alice, bob, carl):
            await house.quarantine.put(account.id, "page.tiff", b"II*")
            placed = await house.delivery.deliver(
                incoming(account, account.name, by_owner=True, mailbox=TRASH)
            )

            def trash_txn(tx, placed=placed):
                tx.messages.set_trashed(placed.mailbox_id, [placed.uid], house.clock.now())

            await house.store.run("t", trash_txn)
        await house.accounts.close("carl")
        keeper = Housekeeping(
            house.store,
            house.blobs,
            house.quarantine,
            house.purge(),
            house.clock,
            HousekeepingSettings(),
        )
        ended = {"trash": 0, "quarantine": 0}
        for _ in range(40):
            house.clock.advance(hours=23)
            now = await keeper.tick()
            ended = {job: ended[job] + now[job] for job in ended}
        assert ended == {"trash": 1, "quarantine": 1}
        assert {owner for owner, *_ in house.quarantine.documents.values()} == {alice.id, carl.id}

    run(story())


def test_a_hold_that_comes_while_trash_is_looked_through_keeps_what_was_found(monkeypatch):
    """On a database where others write meanwhile: the hold is asked for again under the lock."""

    async def story():
        house = House()
        alice = await house.add()
        placed = await house.delivery.deliver(incoming(alice, "old", by_owner=True, mailbox=TRASH))
        entries = await house.store.read("t", lambda tx: tx.messages.entries(placed.mailbox_id))
        await house.accounts.set_legal_hold("alice", on=True, reason="court")
        monkeypatch.setattr(MemoryMessages, "trashed_before", lambda *_: entries)
        keeper = Housekeeping(
            house.store,
            house.blobs,
            house.quarantine,
            house.purge(),
            house.clock,
            HousekeepingSettings(),
        )
        await house.purge().run()
        assert (await keeper.tick())["trash"] == 0
        kept = await house.store.read("t", lambda tx: tx.messages.entries(placed.mailbox_id))
        assert kept == entries

    run(story())


def test_a_closed_account_under_a_hold_is_not_purged():
    """It is told, dry or not; the hold ended, the next purge takes it."""

    async def story():
        house = House()
        await under_hold(house)
        closed = await house.accounts.close("alice")
        at = closed.purge_at + timedelta(days=400)
        for dry in (True, False):
            report = await house.purge().run(at=at, dry_run=dry)
            assert [each.name for each in report.on_legal_hold] == ["alice"]
            assert report.records == []
        assert (await house.accounts.show("alice")).account.state is AccountState.CLOSED
        await house.accounts.set_legal_hold("alice", on=False, reason="settled")
        report = await house.purge().run(at=at)
        assert (len(report.records), list(report.on_legal_hold)) == (1, [])

    run(story())


def test_a_hold_that_comes_after_the_listing_stops_the_purge():
    async def story():
        house = House()
        alice = await under_hold(house)
        await house.accounts.set_legal_hold("alice", on=False, reason="")
        closed = await house.accounts.close("alice")
        purge = house.purge()
        (due,) = await purge.due(closed.purge_at)
        await house.accounts.set_legal_hold("alice", on=True, reason="case 9")
        await purge._purge([due], closed.purge_at, lambda _: None)
        overview = await house.accounts.show("alice")
        assert overview.account.state is AccountState.CLOSED
        assert overview.counts == {MessageKind.VOICE: 1}
        assert overview.account.id == alice.id

    run(story())

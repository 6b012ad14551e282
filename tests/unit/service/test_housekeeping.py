"""The hourly round."""

import asyncio

import pytest

from tests.support.house import House, incoming
from um.core.errors import AuthenticationError, UnavailableError
from um.core.ids import BlobKey, blob_key
from um.core.message import INBOX, TRASH, MessageKind
from um.service.housekeeping import Housekeeping, HousekeepingSettings

OTHER = "+15551230002"


def run(coroutine):
    return asyncio.run(coroutine)


def housekeeping(house, **settings):
    return Housekeeping(
        house.store,
        house.blobs,
        house.quarantine,
        house.purge(),
        house.clock,
        HousekeepingSettings(**settings),
    )


async def trash(house, account, key):
    placed = await house.delivery.deliver(incoming(account, key, by_owner=True, mailbox=TRASH))

    def trash_txn(tx):
        tx.messages.set_trashed(placed.mailbox_id, [placed.uid], house.clock.now())

    await house.store.run("t", trash_txn)


async def count(house, account):
    return sum((await house.store.read("t", lambda tx: tx.accounts.counts(account.id))).values())


def test_trash_goes_after_seven_days_and_only_what_was_put_there():
    """What an IMAP client filed in Trash stays, and so does all of an account that is closed."""

    async def story():
        house = House()
        alice, bob = await house.add(), await house.add("bob", OTHER)
        for account in (alice, bob):
            await trash(house, account, f"{account.name}-thrown")
            filed = incoming(account, f"{account.name}-filed", by_owner=True, mailbox=TRASH)
            await house.delivery.deliver(filed)
        await house.accounts.close("bob")
        keeper = housekeeping(house)
        house.clock.advance(days=7)
        assert (await keeper.tick())["trash"] == 0
        house.clock.advance(1)
        assert (await keeper.tick())["trash"] == 1
        assert (await count(house, alice), await count(house, bob)) == (1, 2)
        assert (await house.usage(alice.id)).used_octets == 1000

    run(story())


def test_trash_can_be_kept_for_ever():
    async def story():
        house = House()
        alice = await house.add()
        await trash(house, alice, "k")
        house.clock.advance(days=999)
        assert (await housekeeping(house, trash_days=0).tick())["trash"] == 0

    run(story())


def test_a_mail_sent_again_after_a_day_arrives_and_a_voice_replay_does_not():
    async def story():
        house = House()
        alice = await house.add()
        keeper = housekeeping(house)
        mail = incoming(alice, "mail", kind=MessageKind.MAIL)
        voice = incoming(alice, "voice", kind=MessageKind.VOICE)
        fax = incoming(alice, "fax", kind=MessageKind.FAX)
        for message in (mail, voice, fax):
            await house.delivery.deliver(message)
        house.clock.advance(hours=24)
        await keeper.tick()
        assert (await house.delivery.deliver(mail)).duplicate
        house.clock.advance(1)
        await keeper.tick()
        assert not (await house.delivery.deliver(mail)).duplicate
        house.clock.advance(days=28)
        await keeper.tick()
        assert (await house.delivery.deliver(voice)).duplicate
        assert (await house.delivery.deliver(fax)).duplicate
        house.clock.advance(days=2)
        await keeper.tick()
        assert not (await house.delivery.deliver(voice)).duplicate

    run(story())


def test_orphan_bodies_go_when_they_are_a_day_old():
    """What a crash left; a delivery in progress is left alone."""

    async def story():
        house = House()
        alice = await house.add()
        for number in range(2):
            await house.delivery.deliver(incoming(alice, f"k{number}"))
        await house.blobs.put(blob_key(alice.id, "1" * 32), b"never committed")
        house.clock.advance(hours=24)
        await house.blobs.put(BlobKey("0" * 32), b"in progress")
        assert (await housekeeping(house).tick())["blobs"] == 1
        assert len(house.blobs.blobs) == 3
        assert BlobKey("0" * 32) in house.blobs.blobs

    run(story())


def test_a_body_goes_minutes_after_its_message():
    """A session that is sending it has five minutes; an old body is not swept before that."""

    async def story():
        house = House()
        alice = await house.add()
        for number in range(3):
            await house.delivery.deliver(incoming(alice, f"k{number}"))
        house.clock.advance(days=3)

        def expunge_txn(tx):
            tx.messages.expunge(tx.mailboxes.by_name(alice.id, INBOX).id, [1])

        await house.store.run("t", expunge_txn)
        keeper = housekeeping(house)
        ended = await keeper.tick()
        assert (ended["discarded"], ended["blobs"], len(house.blobs.blobs)) == (0, 0, 3)
        house.clock.advance(minutes=5)
        assert await keeper.discard() == 0
        house.clock.advance(1)
        assert await keeper.discard() == 1
        assert len(house.blobs.blobs) == 2
        assert await keeper.discard() == 0

    run(story())


def test_a_discard_that_is_interrupted_is_repeated():
    """The body goes before its row: killed or refused in between, the next run ends it."""

    async def story():
        house = House()
        alice = await house.add()
        await house.delivery.deliver(incoming(alice, "k"))

        def expunge_txn(tx):
            tx.messages.expunge(tx.mailboxes.by_name(alice.id, INBOX).id, [1])

        await house.store.run("t", expunge_txn)
        house.clock.advance(hours=1)
        real = house.blobs.delete

        async def delete_and_lose_the_database(keys):
            house.store.unavailable = True
            return await real(keys)

        house.blobs.delete = delete_and_lose_the_database
        keeper = housekeeping(house)
        assert await keeper.discard() == 0
        assert house.blobs.blobs == {}
        house.store.unavailable = False
        house.blobs.delete = real
        assert await keeper.discard() == 1
        assert await house.store.read("t", lambda tx: tx.messages.discarded(9)) == []

    run(story())


def test_what_has_ended_is_forgotten():
    async def story():
        house = House()
        alice = await house.add()
        await house.delivery.reserve(alice.id, 1000, seconds=60)
        await house.quarantine.put(alice.id, "page.tiff", b"II*")
        with pytest.raises(AuthenticationError):
            await house.authenticator.login("alice", "wrong", peer="192.0.2.1")
        keeper = housekeeping(house)
        house.clock.advance(61)
        assert (await keeper.tick())["reservations"] == 1
        house.clock.advance(hours=25)
        assert (await keeper.tick())["lockouts"] == 2
        house.clock.advance(days=30)
        assert (await keeper.tick())["quarantine"] == 1

    run(story())


def test_a_job_that_fails_does_not_stop_the_others():
    """Without the database nothing goes, not even what lies in files: it may be under a hold."""

    async def story():
        house = House()
        alice = await house.add()
        await house.delivery.reserve(alice.id, 1000, seconds=60)
        await house.quarantine.put(alice.id, "page.tiff", b"II*")
        house.clock.advance(days=31)
        house.store.unavailable = True
        assert set((await housekeeping(house).tick()).values()) == {0}
        house.store.unavailable = False

        async def refuse(*_, **__):
            raise UnavailableError

        sweep, house.quarantine.sweep = house.quarantine.sweep, refuse
        ended = await housekeeping(house).tick()
        assert (ended["quarantine"], ended["reservations"]) == (0, 1)
        house.quarantine.sweep = sweep
        assert (await housekeeping(house).tick())["quarantine"] == 1

    run(story())


def test_the_round_purges_what_is_due():
    async def story():
        house = House()
        await house.add()
        await house.accounts.close("alice")
        keeper = housekeeping(house)
        at = (await house.accounts.show("alice")).account.purge_at
        purged = 0
        while house.clock.now() <= at:
            house.clock.advance(hours=23)
            purged += (await keeper.tick())["purge"]
        assert purged == 1

    run(story())

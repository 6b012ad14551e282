"""The owner hears when the mailbox fills up."""

import asyncio
from email import message_from_bytes
from email.policy import default

import pytest

from tests.support.forwarding import ForwardHouse, report
from tests.support.house import House, incoming
from um.core.errors import QuotaExceededError
from um.core.events import QuotaCrossed, QuotaRefused
from um.core.message import INBOX, MessageKind
from um.policy.quota import Room
from um.service.notice_texts import PIN_LOCKED, QUOTA
from um.service.notices import QuotaNotices, deliver_notice
from um.service.routing import CallDoor

MIB = 1024 * 1024


def test_each_threshold_is_told_once_and_the_notice_fits_a_full_mailbox():
    async def story():
        house = House()
        crossed = []
        house.bus.subscribe(QuotaCrossed, crossed.append)
        account = await house.add(quota_octets=MIB)
        notices = QuotaNotices(house.store, house.delivery, house.clock)
        for number, percent in enumerate((50, 29, 1, 5, 9, 5)):
            size = MIB * percent // 100 + 1
            await house.delivery.deliver(incoming(account, f"k{number}", size_octets=size))
        assert [event.percent for event in crossed] == [80, 95]
        await house.delivery.deliver(
            incoming(
                account, "fill", room=Room.PROMISED, size_octets=MIB // 50, kind=MessageKind.VOICE
            )
        )
        for event in crossed:
            await notices.send(event)
        counts = (await house.accounts.show("alice")).counts
        assert counts[MessageKind.NOTICE] == 2
        bodies = [data for data, _ in house.blobs.blobs.values() if b"% full" in data]
        assert len(bodies) == 2
        assert any(b"Your mailbox is 95 % full" in data for data in bodies)

    asyncio.run(story())


def test_a_notice_that_cannot_be_stored_harms_nothing():
    async def story():
        house = House()
        account = await house.add()
        notices = QuotaNotices(house.store, house.delivery, house.clock)
        house.store.unavailable = True
        await notices.send(QuotaCrossed(account.id, 80))
        house.store.unavailable = False
        await house.accounts.close("alice")
        await notices.send(QuotaCrossed(account.id, 80))
        assert house.blobs.blobs == {}

    asyncio.run(story())


@pytest.mark.parametrize("texts", [QUOTA, PIN_LOCKED])
def test_a_notice_is_written_in_every_language(texts):
    """Those of the telephone; any other is told in English."""

    async def story():
        house = House()
        values = dict.fromkeys(("percent", "used", "limit", "failures", "caller"), "7")
        for language, text in {**texts, "de": texts["en"]}.items():
            account = await house.add(f"owner{language}", None, language=language)
            now = house.clock.now()
            await deliver_notice(house.delivery, account, texts, values, at=now, notice_id="n")
            assert text.subject.format(**values) in await subjects(house, account)

    asyncio.run(story())


def test_the_quota_is_told_in_the_owners_language_and_decimals():
    async def story():
        house = House()
        account = await house.add(quota_octets=3 * MIB, language="fr")
        await house.delivery.deliver(incoming(account, size_octets=MIB * 5 // 2))
        await QuotaNotices(house.store, house.delivery, house.clock).send(
            QuotaCrossed(account.id, 80)
        )
        assert "Votre boîte est pleine à 80 %" in await subjects(house, account)
        (text,) = [m.get_content() for m in await messages(house, account) if m["X-UM-Kind"]]
        assert "2,5 Mo sur 3 Mo" in text

    asyncio.run(story())


async def messages(house, account):
    def read(tx):
        entries = tx.messages.entries(tx.mailboxes.by_name(account.id, INBOX).id)
        return list(tx.messages.contents([entry.content_id for entry in entries]).values())

    contents = await house.store.read("t", read)
    blobs = [await house.blobs.get(content.blob) for content in contents]
    return [message_from_bytes(blob, policy=default) for blob in blobs]


async def subjects(house, account):
    return [message["Subject"] for message in await messages(house, account)]


async def refuse(house, account, size_octets):
    """Something does not fit, and the owner may hear of it."""
    told = []
    unsubscribe = house.bus.subscribe(QuotaRefused, told.append)
    with pytest.raises(QuotaExceededError):
        await house.delivery.deliver(incoming(account, "too-much", size_octets=size_octets))
    unsubscribe()
    assert told == [QuotaRefused(account.id)]
    await QuotaNotices(house.store, house.delivery, house.clock).refused(told[0])
    return (await house.accounts.show("alice")).counts.get(MessageKind.NOTICE, 0)


async def expunge(house, account):
    """The owner makes room."""

    def expunge_txn(tx):
        inbox = tx.mailboxes.by_name(account.id, INBOX)
        old = [e.uid for e in tx.messages.entries(inbox.id) if e.kind is not MessageKind.NOTICE]
        tx.messages.expunge(inbox.id, old)

    await house.store.run("expunge", expunge_txn)


def test_a_refusal_is_told_once_until_there_was_room_again():
    """However often something is refused; and again when the mailbox had been emptied meanwhile."""

    async def story():
        house = House()
        account = await house.add(quota_octets=MIB)
        await house.delivery.deliver(incoming(account, "a", size_octets=MIB - 10_000))
        for _ in range(3):
            assert await refuse(house, account, 20_000) == 1
        await expunge(house, account)
        await house.delivery.deliver(incoming(account, "b", size_octets=MIB - 20_000))
        assert await refuse(house, account, 20_000) == 2

    asyncio.run(story())


def test_what_is_too_large_for_an_empty_mailbox_is_told_once_a_day():
    """There it never was full, so that no emptying ends the silence."""

    async def story():
        house = House()
        account = await house.add(quota_octets=MIB)
        for _ in range(2):
            assert await refuse(house, account, 2 * MIB) == 1
        house.clock.advance(hours=24)
        for _ in range(2):
            assert await refuse(house, account, 2 * MIB) == 2

    asyncio.run(story())


def test_every_door_that_refuses_for_want_of_room_tells():
    """A look ahead, a reservation and a call; the owner's own APPEND hears its refusal itself."""

    async def story():
        house = House()
        account = await house.add(quota_octets=MIB)
        told = []
        house.bus.subscribe(QuotaRefused, told.append)
        for refused in (
            house.delivery.may_take(account.id, MessageKind.MAIL, size_octets=2 * MIB),
            house.delivery.reserve(account.id, 2 * MIB, seconds=60),
        ):
            with pytest.raises(QuotaExceededError):
                await refused
        door = CallDoor(
            house.store, house.clock, house.settings, voice_octets=2 * MIB, bus=house.bus
        )
        await door.decide(["+15551230001"])
        assert told == [QuotaRefused(account.id)] * 3
        with pytest.raises(QuotaExceededError):
            await house.delivery.deliver(
                incoming(account, "own", size_octets=2 * MIB, by_owner=True)
            )
        assert len(told) == 3

    asyncio.run(story())


def test_a_notice_goes_outside_where_an_address_is_confirmed():
    """A quota notice is mailed in its own words, without any rule; one about a copy is not."""

    async def story():
        house = ForwardHouse()
        account = await house.add(language="fr")
        await house.confirmed(account, kind=None)
        notices = QuotaNotices(house.store, house.delivery, house.clock)
        await notices.send(QuotaCrossed(account.id, 80))
        await house.sender.tick()
        message = house.relay.message()
        assert message["Subject"].startswith("Votre boîte")
        assert "0,0 Mo sur 100 Mo" in message.get_body(("plain",)).get_content()
        assert "<pre>Votre boîte contient" in message.get_body(("html",)).get_content()
        (row,) = await house.rows(account)
        await house.bounces.take(row.id, report(row))
        assert len(await house.notices(account)) == 2
        assert await house.sender.tick() == 0

    asyncio.run(story())

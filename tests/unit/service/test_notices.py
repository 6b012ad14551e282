"""The owner hears when the mailbox fills up."""

import asyncio
from email import message_from_bytes
from email.policy import default

import pytest

from tests.support.house import House, incoming
from um.core.events import QuotaCrossed
from um.core.message import INBOX, MessageKind
from um.policy.quota import Room
from um.service.notice_texts import PIN_LOCKED, QUOTA
from um.service.notices import QuotaNotices, deliver_notice

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

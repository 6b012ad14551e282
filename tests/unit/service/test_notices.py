"""The owner hears when the mailbox fills up."""

import asyncio

from tests.support.house import House, incoming
from um.core.events import QuotaCrossed
from um.core.message import MessageKind
from um.policy.quota import Room
from um.service.notices import QuotaNotices

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

"""Several messages appended together: all or none, whatever their sizes and whatever fails."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.house import House
from um.core.errors import UMError, UnavailableError
from um.core.message import INBOX
from um.service.appending import MAX_SECONDS
from um.service.mailboxes import MailboxService


def test_a_command_that_takes_a_day_stores_nothing():
    """Bodies that no message names are swept after a day: nothing is promised then."""

    async def story():
        house = House()
        account = await house.add()
        mailboxes = MailboxService(house.store, house.blobs, house.delivery, house.clock)
        appending = mailboxes.appending(account.id, INBOX)
        await appending.add(b"a: b\r\n\r\n")
        house.clock.advance(MAX_SECONDS + 1)
        with pytest.raises(UnavailableError):
            await appending.add(b"a: b\r\n\r\n")
        with pytest.raises(UnavailableError):
            await appending.commit()
        await appending.discard()
        assert not house.blobs.blobs

    asyncio.run(story())


SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=6)


@given(st.lists(st.tuples(SIZES, st.sampled_from(["", "store", "blobs"])), max_size=6))
def test_all_messages_of_a_command_appear_or_none(commands):
    """Quota, size and outages refuse whole commands; nothing of a refused one lies about."""

    async def story():
        house = House()
        account = replace(await house.add(), quota_octets=200)
        await house.store.run("quota", lambda tx: tx.accounts.save(account))
        mailboxes = MailboxService(
            house.store, house.blobs, house.delivery, house.clock, append_octets=50
        )
        there: list[int] = []
        for sizes, outage in commands:
            fits = all(0 < size <= 50 for size in sizes) and sum(there) + sum(sizes) <= 200
            appending = mailboxes.appending(account.id, INBOX)
            house.store.unavailable = outage == "store"
            house.blobs.unavailable = outage == "blobs"
            stored = None
            with suppress(UMError):
                for size in sizes:
                    await appending.add(b"x" * size)
                stored = await appending.commit()
            house.store.unavailable = house.blobs.unavailable = False
            await appending.discard()
            assert (stored is not None) is (fits and not outage)
            if stored is not None:
                assert [each.uid for each in stored] == list(
                    range(len(there) + 1, len(there) + len(sizes) + 1)
                )
                there += sizes
        snapshot = await mailboxes.open(account.id, INBOX)
        assert [entry.size_octets for entry in snapshot.entries] == there
        if not any(outage == "store" for _, outage in commands):
            assert len(house.blobs.blobs) == len(there)

    asyncio.run(story())

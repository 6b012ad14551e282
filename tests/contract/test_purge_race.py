"""A purge beside deliveries, reopenings and other purges, where transactions really meet.

On SQLite (one file, two processes' worth of stores) and on PostgreSQL, each with two nodes.
"""

import asyncio
import contextlib
import random
from collections import Counter
from concurrent.futures import TimeoutError as NotDoneError

import pytest

from storage.database import open_store
from storage.numbers import SqlNumbers
from tests.support.house import NUMBER, House, incoming
from um.core.account import AccountState
from um.core.errors import LifeCycleError, NotFoundError, UMError, UnavailableError

OTHER = "+15551230002"
LATE = 12


def nodes(persistent, story):
    """Run `story(here, there)`: two servers on one database and one store of bodies."""

    async def main():
        def store_of(house):
            return open_store(persistent.url, publish=house.bus.publish, clock=house.clock)

        here = House(store_of=store_of)
        there = House(store_of=store_of, clock=here.clock)
        there.blobs = here.blobs
        there.delivery = there.delivery_over(there.store)
        try:
            await story(here, there)
        finally:
            await here.store.close()
            await there.store.close()

    asyncio.run(main())


async def closed(house):
    """Alice, closed, with five messages; Bob beside her; the instant of her purge."""
    alice, bob = await house.add(), await house.add("bob", OTHER)
    for number in range(5):
        await house.delivery.deliver(incoming(alice, f"a{number}"))
        await house.delivery.deliver(incoming(bob, f"b{number}"))
    await house.accounts.close("alice")
    return alice, bob, (await house.accounts.show("alice")).account.purge_at


async def nothing_of(house, alice, bob, of_bob):
    """Nothing of Alice's in table or store of bodies; all of Bob's."""
    with pytest.raises(NotFoundError):
        await house.accounts.show("alice")

    def bodies_txn(tx):
        return tx.messages.blobs_of(alice.id), tx.messages.blobs_of(bob.id)

    hers, his = await house.store.read("t", bodies_txn)
    assert hers == set()
    assert len(his) == of_bob
    assert set(house.blobs.blobs) == his
    assert (await house.usage(bob.id)).used_octets == of_bob * 1000


@pytest.mark.parametrize("seed", range(4))
def test_deliveries_on_two_nodes_beside_a_purge(persistent, seed):
    """Promised before the closure: each is purged with the account, or refused and its body gone."""
    drawn = random.Random(seed)

    async def story(here, there):
        alice, bob = await here.add(), await here.add("bob", OTHER)
        kept = [await here.delivery.reserve(alice.id, 1000, seconds=10**8) for _ in range(LATE)]
        await here.accounts.close("alice")
        at = (await here.accounts.show("alice")).account.purge_at

        async def late(number):
            for _ in range(drawn.randrange(30)):
                await asyncio.sleep(0)
            node = (here, there)[number % 2]
            promised = incoming(alice, f"a{number}", reservation_id=kept[number])
            return await node.delivery.deliver(promised)

        async def his(number):
            return await (there, here)[number % 2].delivery.deliver(incoming(bob, f"b{number}"))

        purge = asyncio.ensure_future(here.purge().run(at=at))
        done = await asyncio.gather(*map(late, range(LATE)), return_exceptions=True)
        assert all(not isinstance(each, Exception) or isinstance(each, UMError) for each in done)
        placed = await asyncio.gather(*map(his, range(LATE)))
        assert len({each.uid for each in placed}) == LATE
        (record,) = (await purge).records
        stored = sum(not isinstance(each, Exception) for each in done)
        assert record.finished_at is not None
        assert record.messages == stored
        await nothing_of(here, alice, bob, LATE)
        await there.numbers.add("bob", NUMBER)

    nodes(persistent, story)


def test_a_body_that_was_written_before_the_mark_is_removed(persistent):
    """The purge runs on the other node between the body and its transaction."""

    async def story(here, there):
        alice, bob, at = await closed(here)
        put = here.blobs.put

        async def put_and_purge(key, data):
            await put(key, data)
            here.blobs.put = put
            await there.purge().run(at=at)

        here.blobs.put = put_and_purge
        with pytest.raises(NotFoundError):
            await here.delivery.deliver(incoming(alice, "late"))
        await nothing_of(there, alice, bob, 5)

    nodes(persistent, story)


def test_two_nodes_purge_at_once(persistent):
    """One record, one count, nothing of the neighbour's.

    Who cannot empty the log while the other reads says so, and the next run finishes.
    """

    async def story(here, there):
        alice, bob, at = await closed(here)
        runs = [node.purge().run(at=at) for node in (here, there) * 2]
        for each in await asyncio.gather(*runs, return_exceptions=True):
            assert not isinstance(each, BaseException) or isinstance(each, UnavailableError)
        await there.purge().run(at=at)
        (record,) = await here.store.read("t", lambda tx: tx.records.purges())
        assert (record.messages, record.octets) == (5, 5000)
        assert record.finished_at is not None
        await nothing_of(there, alice, bob, 5)

    nodes(persistent, story)


def test_a_number_that_was_given_away_meanwhile_stays_with_its_new_owner(persistent, monkeypatch):
    """The other node purges too, and gives the number away, while this one has just read it.

    With the account locked the other one has to wait; a second is enough for one that has not.
    """
    read = SqlNumbers.of_account
    others = []
    armed = []

    async def story(here, there):
        alice, bob, at = await closed(here)
        loop = asyncio.get_running_loop()

        async def purge_and_give_away():
            with contextlib.suppress(UnavailableError):  # cannot empty the log beside a reader
                await there.purge().run(at=at)
            await there.numbers.add("bob", NUMBER)

        def step(name):
            if name == "purge.greetings-deleted":
                armed.append(name)

        def read_and_pause(numbers, account_id):
            found = read(numbers, account_id)
            if armed:
                armed.clear()
                others.append(asyncio.run_coroutine_threadsafe(purge_and_give_away(), loop))
                with contextlib.suppress(NotDoneError):
                    others[0].result(timeout=1.0)
            return found

        monkeypatch.setattr(SqlNumbers, "of_account", read_and_pause)
        with contextlib.suppress(UnavailableError):
            await here.purge(steps=step).run(at=at)
        await asyncio.wrap_future(others.pop())
        await here.purge().run(at=at)
        owned = await here.store.read("t", lambda tx: tx.numbers.of_account(bob.id))
        assert {each.e164 for each in owned} == {NUMBER, OTHER}
        await nothing_of(there, alice, bob, 5)

    nodes(persistent, story)


def test_a_reopening_beside_a_purge_wins_or_loses_whole(persistent):
    """Either the account is there with everything, or nothing of it is; never a half of it."""
    outcomes: Counter[str] = Counter()

    async def story(here, there):
        alice, bob, at = await closed(here)

        async def reopen():
            for _ in range(random.Random(len(outcomes)).randrange(4)):
                await asyncio.sleep(0)
            await there.accounts.reopen("alice")

        report, reopened = await asyncio.gather(
            here.purge().run(at=at), reopen(), return_exceptions=True
        )
        assert not isinstance(report, BaseException)
        if reopened is None:
            outcomes["reopened"] += 1
            overview = await here.accounts.show("alice")
            assert overview.account.state is AccountState.ACTIVE
            assert sum(overview.counts.values()) == 5
            assert report.records == []
            await here.delivery.deliver(incoming(alice, "after"))
            assert len(here.blobs.blobs) == 11
        else:
            outcomes["purged"] += 1
            assert isinstance(reopened, (NotFoundError, LifeCycleError))
            await nothing_of(there, alice, bob, 5)

    nodes(persistent, story)
    assert sum(outcomes.values()) == 1

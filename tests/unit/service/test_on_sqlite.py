"""The same laws where transactions really run beside each other: on SQLite, with its threads."""

import asyncio

import pytest

from storage import migrate
from storage.database import open_store
from storage.memory import MemoryStore
from tests.support.house import NUMBER, House, incoming
from um.core.errors import AlreadyExistsError, NotFoundError, QuotaExceededError
from um.core.message import INBOX

MIB = 1024 * 1024


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "um.db"
    migrate.upgrade(path)
    return path


def story_on(database, story):
    """Run `story(house)` in a house over the database."""

    async def run():
        house = House(store_of=lambda h: open_store(database, publish=h.bus.publish, clock=h.clock))
        assert not isinstance(house.store, MemoryStore)
        try:
            await story(house)
        finally:
            await house.store.close()

    asyncio.run(run())


@pytest.mark.parametrize("on", ["memory", "sqlite"])
def test_a_held_number_goes_back_to_its_last_owner_only(database, on):
    """At once, as often as wanted; an earlier owner waits, and a purged one is forgotten."""

    async def story(house):
        await house.add()
        await house.add("bob", None)
        for _ in range(2):
            removed = await house.numbers.remove("alice", NUMBER)
            with pytest.raises(AlreadyExistsError, match="is held until"):
                await house.numbers.add("bob", NUMBER)
            assert (await house.numbers.add("alice", NUMBER)).hold_until is None
        await house.numbers.remove("alice", NUMBER)
        house.clock.jump(removed.hold_until)
        await house.numbers.add("bob", NUMBER)
        await house.numbers.remove("bob", NUMBER)
        with pytest.raises(AlreadyExistsError, match="is held until"):
            await house.numbers.add("alice", NUMBER)
        await house.accounts.close("bob")
        at = (await house.accounts.show("bob")).account.purge_at
        await house.purge().run(at=at)
        await house.add("bob", None)
        with pytest.raises(AlreadyExistsError, match="is held until"):
            await house.numbers.add("bob", NUMBER)

    if on == "sqlite":
        story_on(database, story)
    else:
        asyncio.run(story(House()))


def test_32_deliveries_at_once_into_the_last_4_mb_never_pass_the_limit(database):
    async def story(house):
        account = await house.add()
        await house.delivery.deliver(incoming(account, "fill", size_octets=96 * MIB))
        done = await asyncio.gather(
            *(
                house.delivery.deliver(incoming(account, f"k{n}", size_octets=MIB // 2))
                for n in range(32)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(each, QuotaExceededError) for each in done) == 24
        assert (await house.usage(account.id)).used_octets == 100 * MIB
        assert len(house.blobs.blobs) == 9

    story_on(database, story)


def test_many_at_once_with_few_keys_store_one_of_each(database):
    async def story(house):
        account = await house.add()
        placed = await asyncio.gather(
            *(house.delivery.deliver(incoming(account, f"k{n % 4}")) for n in range(40))
        )
        assert sum(not each.duplicate for each in placed) == 4
        assert len({each.uid for each in placed}) == 4
        assert len(house.blobs.blobs) == 4
        assert (await house.usage(account.id)).used_octets == 4000

    story_on(database, story)


def test_deliveries_beside_a_purge_are_all_or_nothing(database):
    """Whoever commits before the mark is purged; whoever comes later is refused and cleans up."""

    async def story(house):
        alice, bob = await house.add(), await house.add("bob", "+15551230002")
        reservation = await house.delivery.reserve(alice.id, 100_000, seconds=10**8)
        await house.accounts.close("alice")
        at = (await house.accounts.show("alice")).account.purge_at
        late = [
            incoming(alice, f"a{n}", reservation_id=reservation if n == 0 else None)
            for n in range(10)
        ]
        others = [incoming(bob, f"b{n}") for n in range(10)]
        purge = asyncio.ensure_future(house.purge().run(at=at))
        await asyncio.gather(
            *(house.delivery.deliver(each) for each in late + others), return_exceptions=True
        )
        (record,) = (await purge).records
        assert record.finished_at is not None
        assert len(house.blobs.blobs) == 10
        with pytest.raises(NotFoundError):
            await house.accounts.show("alice")
        assert (await house.usage(bob.id)).used_octets == 10_000
        await house.numbers.add("bob", NUMBER)

    story_on(database, story)


def test_two_purges_at_once_end_as_one(database):
    """The server's round and an operator's command meet."""

    async def story(house):
        alice, bob = await house.add(), await house.add("bob", "+15551230002")
        for number in range(5):
            await house.delivery.deliver(incoming(alice, f"a{number}"))
            await house.delivery.deliver(incoming(bob, f"b{number}"))
        await house.accounts.close("alice")
        at = (await house.accounts.show("alice")).account.purge_at
        await asyncio.gather(*(house.purge().run(at=at) for _ in range(3)))
        (record,) = await house.store.read("t", lambda tx: tx.records.purges())
        assert (record.messages, record.octets) == (5, 5000)
        assert record.finished_at is not None
        assert len(house.blobs.blobs) == 5
        assert (await house.usage(bob.id)).used_octets == 5000

    story_on(database, story)


def test_the_life_of_an_account_and_its_logins(database):
    async def story(house):
        account = await house.add()
        await house.delivery.deliver(incoming(account))
        await house.accounts.suspend("alice", reason="unpaid")
        login = await house.authenticator.login("5551230001", "correct horse", peer="192.0.2.1")
        assert login.read_only
        await house.accounts.resume("alice")
        await house.accounts.close("alice")
        await house.accounts.reopen("alice")
        overview = await house.accounts.show("alice")
        assert sum(overview.counts.values()) == 1
        box = await house.store.read("t", lambda tx: tx.mailboxes.by_name(account.id, INBOX))
        assert box.uidnext == 2

    story_on(database, story)

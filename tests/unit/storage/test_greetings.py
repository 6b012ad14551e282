"""Greetings: one contract for files and memory, and the end of an account."""

import asyncio
from datetime import timedelta

import pytest

from storage.fsck import fsck
from storage.greetings import FileGreetings
from storage.memory import MemoryBlobStore, MemoryGreetings
from storage.migrate import upgrade
from tests.support.clock import FakeClock
from tests.support.house import House
from um.core.account import GreetingKind
from um.core.errors import InvalidError
from um.core.ids import AccountId

ANNA = AccountId("a" * 32)
BERT = AccountId("b" * 32)
BUSY, NAME = GreetingKind.BUSY, GreetingKind.NAME


@pytest.fixture(params=["files", "memory"])
def greetings(request, tmp_path):
    return FileGreetings(tmp_path / "g") if request.param == "files" else MemoryGreetings()


def test_what_was_put_is_there_until_it_is_deleted(greetings):
    """One of each kind; the last one counts; accounts do not see each other's."""

    async def tell():
        await greetings.put(ANNA, BUSY, b"old")
        await greetings.put(ANNA, BUSY, b"new")
        await greetings.put(ANNA, NAME, b"Anna")
        assert await greetings.get(ANNA, BUSY) == b"new"
        assert await greetings.get(BERT, BUSY) is None
        assert await greetings.kinds(ANNA) == {BUSY, NAME}
        await greetings.delete(ANNA, NAME)
        await greetings.delete(ANNA, NAME)
        await greetings.delete(BERT, NAME)
        assert await greetings.kinds(ANNA) == {BUSY}
        assert await greetings.accounts() == {ANNA}
        assert await greetings.delete_of(ANNA) == 1
        assert await greetings.delete_of(ANNA) == 0
        assert await greetings.accounts() == set()

    asyncio.run(tell())


def test_an_account_id_that_is_a_path_is_refused(tmp_path):
    """Nothing outside the folder can be named."""
    with pytest.raises(InvalidError):
        asyncio.run(FileGreetings(tmp_path).get(AccountId("../../etc"), BUSY))


def test_a_purge_takes_the_greetings_and_nobody_elses():
    """A purged account's recordings go; so do those that a call kept after the purge."""

    async def tell():
        house = House()
        alice, bob = await house.add(), await house.add("bob", "+15551230002")
        for account in (alice, bob):
            await house.greetings.put(account.id, NAME, b"x")
        await house.greetings.put(ANNA, NAME, b"stray")
        await house.accounts.close("alice")
        at = (await house.accounts.show("alice")).account.purge_at
        await house.purge().run(at=at + timedelta(seconds=1))
        assert await house.greetings.accounts() == {bob.id}

    asyncio.run(tell())


def test_fsck_finds_greetings_of_nobody(tmp_path):
    """A stray folder is told, and a repair removes it."""
    clock, greetings = FakeClock(), FileGreetings(tmp_path / "greetings")
    upgrade(tmp_path / "um.db")
    asyncio.run(greetings.put(ANNA, NAME, b"x"))

    def found(**options):
        run = fsck(
            tmp_path / "um.db",
            MemoryBlobStore(clock),
            clock=clock,
            greetings=greetings,
            **options,
        )
        return [(each.check, each.subject, each.repaired) for each in asyncio.run(run)]

    assert found() == [("greeting-astray", ANNA, False)]
    assert found(repair=True) == [("greeting-astray", ANNA, True)]
    assert found() == []

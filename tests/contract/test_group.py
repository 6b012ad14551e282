"""Writers that wait for SQLite's one writer share a transaction, and notice nothing of it."""

import asyncio
import sqlite3
import threading

import pytest

from storage import sqlite
from storage.group import GROUP
from tests.support.stores import on_database
from um.core.errors import NotFoundError, UnavailableError


@pytest.fixture
def house(tmp_path, sqlite_template, monkeypatch):
    """A house that notes its commits; `commit` may be given a failure."""
    commits = []

    def commit(self, cursor):
        commits.append(1)
        if made.failing and (code := made.failing.pop()):
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = code
            raise error
        cursor.execute("COMMIT")

    path = tmp_path / "um.db"
    path.write_bytes(sqlite_template.read_bytes())
    made = on_database(path)
    made.failing = []
    made.commits = commits
    monkeypatch.setattr(sqlite.SqliteBackend, "commit", commit)
    yield made
    made.close()


def together(house, *works):
    """Run them while the writer is held up, so that all of them wait at its door."""
    begun, held = threading.Event(), threading.Event()

    def first_txn(tx):
        begun.set()
        return held.wait(10)

    async def story():
        first = asyncio.create_task(house.store.run("first", first_txn))
        assert await asyncio.to_thread(begun.wait, 10)
        rest = [asyncio.create_task(house.store.run(f"w{n}", w)) for n, w in enumerate(works)]
        await asyncio.sleep(0)
        house.commits.clear()
        held.set()
        assert await first is True
        return await asyncio.gather(*rest, return_exceptions=True)

    return house.runner.run(story())


def mark(name):
    return lambda tx: tx.records.set_mark(name, "x") or name


def marks(house, *names):
    return [name for name in names if house.read(lambda tx, name=name: tx.records.mark(name))]


def test_who_waits_shares_one_commit(house):
    """Three writers, one COMMIT (and that of the one they waited for); each gets its own answer."""
    assert together(house, mark("a"), mark("b"), mark("c")) == ["a", "b", "c"]
    assert len(house.commits) == 2
    assert marks(house, "a", "b", "c") == ["a", "b", "c"]


def test_a_group_has_its_limit(house):
    """However many wait, no transaction grows without bound, and all are answered."""
    names = [f"m{number}" for number in range(2 * GROUP + 1)]
    assert together(house, *map(mark, names)) == names
    assert len(house.commits) == 4


def test_one_that_fails_takes_back_its_own(house):
    """Its rows go, those before and after it stay; a constraint of the database fails it alone."""

    def failing_txn(tx):
        tx.records.set_mark("b", "x")
        raise NotFoundError

    def no_such_account_txn(tx):
        tx.records.set_mark("c", "x")
        tx.reservations.add("f" * 32, 1, expires_at=house.now())

    a, b, c, d = together(house, mark("a"), failing_txn, no_such_account_txn, mark("d"))
    assert (a, d) == ("a", "d")
    assert isinstance(b, NotFoundError)
    assert isinstance(c, NotFoundError)
    assert len(house.commits) == 2
    assert marks(house, "a", "b", "c", "d") == ["a", "d"]


def test_a_commit_that_fails_is_everyones_answer(house):
    """Refusals too: they may rest on what was not committed. Nothing is run a second time."""
    runs = []

    def refused_txn(tx):
        runs.append(tx.records.mark("a"))
        raise NotFoundError

    house.failing = [sqlite3.SQLITE_FULL, None]  # the last is for the first writer's own commit
    outcomes = together(house, mark("a"), refused_txn)
    assert [type(each) for each in outcomes] == [UnavailableError] * 2
    assert runs == ["x"]
    assert marks(house, "a") == []
    assert together(house, mark("a"), mark("b")) == ["a", "b"]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR])
def test_what_breaks_the_transaction_is_found_out_one_by_one(house, code):
    """The group leaves no trace; alone, each gets what is its own."""

    def breaking_txn(tx):
        tx.records.set_mark("b", "x")
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = code
        raise error

    a, b, c = together(house, mark("a"), breaking_txn, mark("c"))
    assert (a, c) == ("a", "c")
    assert isinstance(b, UnavailableError)
    assert marks(house, "a", "b", "c") == ["a", "c"]


def test_a_caller_that_gave_up_is_not_waited_for(house):
    """What was cancelled before its turn is not done; what stands beside it is."""
    begun, held = threading.Event(), threading.Event()

    def first_txn(tx):
        begun.set()
        return held.wait(10)

    async def story():
        first = asyncio.create_task(house.store.run("first", first_txn))
        assert await asyncio.to_thread(begun.wait, 10)
        gone, stays = (asyncio.create_task(house.store.run(n, mark(n))) for n in "ab")
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        held.set()
        return await asyncio.gather(first, gone, stays, return_exceptions=True)

    _, gone, stays = house.runner.run(story())
    assert isinstance(gone, asyncio.CancelledError)
    assert stays == "b"
    assert marks(house, "a", "b") == ["b"]


def test_changes_are_told_before_each_caller_goes_on(house):
    """Every unit's hints are published, in their order, though one transaction held them."""
    accounts = [house.account(name) for name in ("alice", "bob")]
    house.events.clear()
    together(
        house,
        *(
            lambda tx, account=account: tx.accounts.set_preference(account.id, "k", "v")
            for account in accounts
        ),
    )
    assert [event.account_id for event in house.events] == [account.id for account in accounts]

"""Logging in, and being locked out."""

import asyncio
from dataclasses import replace

import pytest

from tests.support.clock import FakeClock
from tests.support.house import DOMAIN, NUMBER, PASSWORD, PIN, House
from um.core.account import AccountState
from um.core.errors import (
    AccountClosedError,
    AuthenticationError,
    LockedOutError,
    NotFoundError,
    UnavailableError,
)
from um.core.ids import AccountId
from um.service.authentication import Authenticator
from um.service.failures import UnwrittenFailures
from um.service.passwords import UNMATCHABLE_HASH

PEER = "192.0.2.7"


def run(coroutine):
    return asyncio.run(coroutine)


class FullStore:
    """The store of a full disk: it can only read."""

    def __init__(self, store):
        self.read = store.read

    async def run(self, name, work):
        raise UnavailableError


def on_a_full_disk(house: House) -> Authenticator:
    return Authenticator(FullStore(house.store), house.clock, house.hasher, house.settings)


async def fail(house, name="alice", peer=PEER, times=1):
    for _ in range(times):
        with pytest.raises(AuthenticationError):
            await house.authenticator.login(name, "wrong", peer=peer)


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "Alice",
        f"alice@{DOMAIN}",
        NUMBER,
        "15551230001",
        "5551230001",
        "0015551230001",
        "(555) 123-0001",
        f"{NUMBER}@{DOMAIN}",
        f"5551230001@{DOMAIN.upper()}",
    ],
)
def test_name_and_number_log_in_in_any_spelling(name):
    async def story():
        house = House()
        account = await house.add()
        login = await house.authenticator.login(name, PASSWORD, peer=PEER)
        assert login.account == account
        assert (login.read_only, login.notice) == (False, "")

    run(story())


@pytest.mark.parametrize("name", ["bob", "alice@elsewhere.example", "", "@", "alice+tag", "\udcff"])
def test_an_unknown_name_costs_and_says_the_same_as_a_wrong_password(name):
    """One check against a hash, one failure written, one error."""

    async def story():
        house = House()
        account = await house.add()
        with pytest.raises(AuthenticationError) as wrong:
            await house.authenticator.login("alice", "wrong", peer=PEER)
        with pytest.raises(AuthenticationError) as unknown:
            await house.authenticator.login(name, PASSWORD, peer=PEER)
        assert str(wrong.value) == str(unknown.value)
        assert house.hasher.checks == [account.password_hash, UNMATCHABLE_HASH]

    run(story())


def test_an_account_without_a_password_has_none_that_matches():
    async def story():
        house = House()
        account = await house.add()
        bare = replace(account, password_hash=None, pin_hash=None)
        await house.store.run("t", lambda tx: tx.accounts.save(bare))
        for password in ("", PASSWORD):
            with pytest.raises(AuthenticationError):
                await house.authenticator.login("alice", password, peer=PEER)
        with pytest.raises(AuthenticationError):
            await house.authenticator.verify_pin(account.id, "")

    run(story())


def test_a_suspended_owner_may_look_and_is_told_why():
    async def story():
        house = House()
        await house.add()
        await house.accounts.suspend("alice", reason="invoice 17 is unpaid")
        login = await house.authenticator.login("alice", PASSWORD, peer=PEER)
        assert login.read_only
        assert "invoice 17 is unpaid" in login.notice

    run(story())


def test_a_closed_account_says_so_only_to_its_owner():
    """Reason and purge date after the right password; a stranger learns nothing."""

    async def story():
        house = House()
        await house.add()
        await house.accounts.close("alice", reason="moved away")
        await fail(house)
        with pytest.raises(AccountClosedError, match=r"moved away.*2026-05-04"):
            await house.authenticator.login("alice", PASSWORD, peer=PEER)

    run(story())


def test_an_account_that_is_being_purged_is_unknown():
    async def story():
        house = House()
        account = await house.add()
        gone = replace(account, state=AccountState.PURGING)
        await house.store.run("t", lambda tx: tx.accounts.save(gone))
        with pytest.raises(AuthenticationError):
            await house.authenticator.login("alice", PASSWORD, peer=PEER)
        with pytest.raises(NotFoundError):
            await house.authenticator.verify_pin(account.id, PIN)

    run(story())


def test_a_change_during_the_check_counts():
    """The account is closed and its password changed while argon2 works: the login sees it."""

    async def story():
        house = House()
        await house.add()

        class Slow:
            def __init__(self, meanwhile):
                self._meanwhile = meanwhile

            async def verify(self, secret, stored):
                await self._meanwhile()
                return await house.hasher.verify(secret, stored)

        async def close():
            await house.accounts.close("alice")

        async def change():
            await house.accounts.set_password("alice", "another secret")

        for meanwhile, error in ((close, AccountClosedError), (change, AuthenticationError)):
            slow = Authenticator(house.store, house.clock, Slow(meanwhile), house.settings)
            with pytest.raises(error):
                await slow.login("alice", PASSWORD, peer=PEER)

    run(story())


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_failures_from_one_address_slow_and_then_lock_for_good(name):
    """Five: 15 s; ten: a quarter of an hour; twenty: a day. Names that do not exist lock too."""

    async def story():
        house = House()
        await house.add()
        await fail(house, name, times=5)
        for pause_seconds, failures in ((15, 5), (900, 10)):
            for _ in range(failures):
                with pytest.raises(LockedOutError):
                    await house.authenticator.login(name, PASSWORD, peer=PEER)
                house.clock.advance(pause_seconds + 1)
                await fail(house, name)
        house.clock.advance(hours=20)
        with pytest.raises(LockedOutError):
            await house.authenticator.login(name, PASSWORD, peer=PEER)

    run(story())


def test_a_lock_outlives_the_process_and_leaves_other_addresses_alone():
    """The counters are in the store: a new authenticator (restart, other node) obeys them."""

    async def story():
        house = House()
        await house.add()
        await fail(house, times=5)
        restarted = Authenticator(house.store, house.clock, house.hasher, house.settings)
        checks = len(house.hasher.checks)
        with pytest.raises(LockedOutError):
            await restarted.login("alice", PASSWORD, peer=PEER)
        with pytest.raises(LockedOutError):
            await restarted.login(NUMBER, PASSWORD, peer=PEER)  # the same account
        assert len(house.hasher.checks) == checks
        assert await restarted.login("alice", PASSWORD, peer="192.0.2.99")

    run(story())


def test_success_clears_and_a_new_password_opens():
    async def story():
        house = House()
        await house.add()
        for _ in range(3):
            await fail(house, times=4)
            await house.authenticator.login("alice", PASSWORD, peer=PEER)
        await fail(house, times=5)
        with pytest.raises(LockedOutError):
            await house.authenticator.login("alice", PASSWORD, peer=PEER)
        await house.accounts.set_password("alice", "another secret")
        await house.authenticator.login("alice", "another secret", peer=PEER)

    run(story())


def test_a_store_that_cannot_write_keeps_no_owner_out():
    """After a slip of the finger and then a full disk, the owner gets in and can make room."""

    async def story():
        house = House()
        await house.add()
        await fail(house)
        login = await on_a_full_disk(house).login("alice", PASSWORD, peer=PEER)
        assert login.account.name == "alice"

    run(story())


def test_a_wrong_password_is_wrong_on_a_full_disk_too():
    """It is answered as ever, counts on top of what was written, and the right one clears it."""

    async def story():
        house = House()
        await house.add()
        await fail(house, times=3)
        house.authenticator = on_a_full_disk(house)
        await fail(house)
        await house.authenticator.login("alice", PASSWORD, peer=PEER)
        await fail(house, times=2)
        checks = len(house.hasher.checks)
        with pytest.raises(LockedOutError):
            await house.authenticator.login("alice", PASSWORD, peer=PEER)
        assert len(house.hasher.checks) == checks
        await house.authenticator.login("alice", PASSWORD, peer="192.0.2.8")
        house.clock.advance(seconds=16)
        await house.authenticator.login("alice", PASSWORD, peer=PEER)

    run(story())


def test_pins_are_locked_on_a_full_disk_too():
    """Ten wrong ones, some of them written down and some not, and no guess is free."""

    async def story():
        house = House()
        account = await house.add()
        for authenticator, times in ((house.authenticator, 4), (on_a_full_disk(house), 6)):
            await authenticator.verify_pin(account.id, PIN)
            for _ in range(times):
                with pytest.raises(AuthenticationError):
                    await authenticator.verify_pin(account.id, "999999")
        with pytest.raises(LockedOutError):
            await authenticator.verify_pin(account.id, PIN)
        house.clock.advance(hours=24, seconds=1)
        await authenticator.verify_pin(account.id, PIN)

    run(story())


def test_the_count_in_memory_is_bounded_and_forgets_the_oldest():
    clock = FakeClock()
    unwritten = UnwrittenFailures(2)
    began = clock.now()
    for subject in ("a", "b", "a", "c"):
        clock.advance(seconds=1)
        unwritten.record([subject], clock.now())
    counts = [unwritten.failures(subject, since=began) for subject in "abc"]
    assert counts == [2, 0, 1]
    unwritten.clear(["a"])
    assert unwritten.failures("a", since=began) == 0


def test_ten_wrong_pins_in_a_day_lock_the_mailbox_until_a_new_pin():
    """Across calls, lines and restarts; the right PIN does not help."""

    async def story():
        house = House()
        account = await house.add()
        for hour in range(10):
            house.clock.advance(hours=2 if hour else 0)
            with pytest.raises(AuthenticationError):
                await house.authenticator.verify_pin(account.id, "999999")
        restarted = Authenticator(house.store, house.clock, house.hasher, house.settings)
        with pytest.raises(LockedOutError):
            await restarted.verify_pin(account.id, PIN)
        await house.accounts.set_pin("alice", "905172")
        assert (await restarted.verify_pin(account.id, "905172")).id == account.id
        with pytest.raises(NotFoundError):
            await restarted.verify_pin(AccountId("none"), PIN)

    run(story())


def test_a_lock_of_the_pin_ends_when_the_failures_are_a_day_old():
    async def story():
        house = House()
        account = await house.add()
        for _ in range(10):
            with pytest.raises(AuthenticationError):
                await house.authenticator.verify_pin(account.id, "999999")
        house.clock.advance(hours=24, seconds=1)
        await house.authenticator.verify_pin(account.id, PIN)

    run(story())


def test_guesses_on_many_lines_at_once_are_no_more_than_ten():
    """The right PIN among thirty that are checked together opens nothing: the others locked it."""

    async def story():
        house = House()
        alice = await house.add()
        released = asyncio.Event()

        async def verify(secret, stored):
            await released.wait()
            return stored == f"plain${secret}"

        house.hasher.verify = verify
        guesses = [f"4{number:05}" for number in range(29)]
        calls = [
            asyncio.ensure_future(house.authenticator.verify_pin(alice.id, pin))
            for pin in [*guesses, PIN]
        ]
        await asyncio.sleep(0)
        released.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(each) for each in ended[:29]] == [AuthenticationError] * 29
        assert isinstance(ended[29], LockedOutError)

    run(story())


def test_a_pin_that_is_changed_during_its_check_opens_nothing():
    """What holds is what is stored when the check is over."""

    async def story():
        house = House()
        alice = await house.add()
        plain = house.hasher.verify

        async def verify(secret, stored):
            await house.accounts.clear_pin("alice")
            return await plain(secret, stored)

        house.hasher.verify = verify
        with pytest.raises(AuthenticationError):
            await house.authenticator.verify_pin(alice.id, PIN)

    run(story())


def test_the_pin_of_a_mailbox_that_is_not_there_takes_as_long():
    """A check is made all the same: time tells no one which mailboxes there are."""

    async def story():
        house = House()
        with pytest.raises(AuthenticationError):
            await house.authenticator.refuse_pin(PIN)
        assert house.hasher.checks == [UNMATCHABLE_HASH]

    run(story())

"""Portal sessions, operators' tokens, app passwords: the doors besides the password."""

import asyncio
import re

import pytest

from tests.support.house import PASSWORD, House
from tests.unit.service.test_housekeeping import housekeeping
from um.core.credentials import Scope
from um.core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ForbiddenError,
    InvalidError,
    LockedOutError,
    NotFoundError,
)
from um.policy.lifecycle import Door
from um.service.app_passwords import MAX_PASSWORDS, AppPasswords
from um.service.operator_tokens import OperatorTokens
from um.service.random_secrets import digest, form_token
from um.service.web_sessions import WebSessions

PEER = "192.0.2.7"


def run(coroutine):
    return asyncio.run(coroutine)


def web_sessions(house):
    return WebSessions(house.store, house.clock)


def test_a_session_ends_after_30_idle_minutes_and_12_hours():
    """Each request prolongs it, but not beyond the longest; an ended one stays ended."""

    async def story():
        house = House()
        account, sessions = await house.add(), web_sessions(house)
        cookie = await sessions.open(account.id, peer=PEER, agent="Firefox\r\n\x1b[31m")
        for _ in range(24):
            visitor = await sessions.find(cookie)
            assert visitor.account == account
            assert visitor.session.agent == "Firefox[31m"
            house.clock.advance(minutes=29, seconds=59)
        house.clock.advance(minutes=1)
        assert await sessions.find(cookie) is None
        idle = await sessions.open(account.id, peer=PEER)
        house.clock.advance(minutes=30)
        assert await sessions.find(idle) is None
        house.clock.advance(minutes=-1)
        assert await sessions.find(idle) is None
        assert await sessions.every(account.id) == []

    run(story())


def test_a_cookie_is_new_each_time_and_kept_as_a_hash_only():
    """Two logins have two cookies of 256 bits; what is stored opens nothing."""

    async def story():
        house = House()
        account, sessions = await house.add(), web_sessions(house)
        cookies = {await sessions.open(account.id, peer=PEER) for _ in range(2)}
        assert all(re.fullmatch(r"[\w-]{43}", cookie) for cookie in cookies)
        assert len(cookies) == 2
        for each in await sessions.every(account.id):
            assert each.secret_hash in {digest(cookie) for cookie in cookies}
            assert await sessions.find(each.secret_hash) is None
            assert each.secret_hash not in repr(each)

    run(story())


def test_a_suspended_owner_reads_and_a_closed_one_is_out():
    """The state holds from the next request on, with its reason, and ends with it."""

    async def story():
        house = House()
        account, sessions = await house.add(), web_sessions(house)
        cookie = await sessions.open(account.id, peer=PEER)
        await house.accounts.suspend("alice", reason="unpaid")
        visitor = await sessions.find(cookie)
        assert visitor.read_only
        assert "unpaid" in visitor.notice
        await house.accounts.resume("alice")
        visitor = await sessions.find(cookie)
        assert (visitor.read_only, visitor.notice) == (False, "")
        await house.accounts.close("alice")
        assert await sessions.find(cookie) is None

    run(story())


def test_a_new_password_ends_all_other_sessions():
    """The one that changed it may stay; without a word all of them end."""

    async def story():
        house = House()
        account, sessions = await house.add(), web_sessions(house)
        mine, other = [await sessions.open(account.id, peer=PEER) for _ in range(2)]
        keep = (await sessions.find(mine)).session.secret_hash
        await house.accounts.set_password("alice", "correct horse two", keep_session=keep)
        assert await sessions.find(mine) is not None
        assert await sessions.find(other) is None
        await house.accounts.set_password("alice", "correct horse three")
        assert await sessions.find(mine) is None

    run(story())


def test_an_owner_logs_out_here_and_everywhere_else():
    """Logging out is for one session, and there is a way to end the others."""

    async def story():
        house = House()
        account, sessions = await house.add(), web_sessions(house)
        first, second = [await sessions.open(account.id, peer=PEER) for _ in range(2)]
        assert await sessions.end_others(await sessions.find(first)) == 1
        assert await sessions.find(second) is None
        await sessions.end(first)
        await sessions.end(first)
        assert await sessions.find(first) is None

    run(story())


def test_a_form_token_follows_from_the_cookie_alone():
    """The same session has the same, another session another, and it is not the cookie."""
    assert form_token("a") == form_token("a") != form_token("b")
    assert re.fullmatch("[0-9a-f]{64}", form_token("a"))


def test_housekeeping_drops_what_ended_by_itself():
    """Sessions that nobody comes back to do not stay in the table."""

    async def story():
        house = House()
        account, sessions = await house.add(), web_sessions(house)
        cookie = await sessions.open(account.id, peer=PEER)
        assert (await housekeeping(house).tick())["sessions"] == 0
        house.clock.advance(minutes=31)
        assert (await housekeeping(house).tick())["sessions"] == 1
        found = await house.store.read("t", lambda tx: tx.credentials.session(digest(cookie)))
        assert found is None

    run(story())


def test_a_token_does_what_its_scopes_say_until_its_day():
    """Known, allowed, expired and taken back are four different answers."""

    async def story():
        house = House()
        tokens = OperatorTokens(house.store, house.clock)
        secret = await tokens.add("billing", frozenset({Scope.DEPOSIT}), valid_days=30)
        assert (await tokens.check(secret, Scope.DEPOSIT)).name == "billing"
        with pytest.raises(ForbiddenError, match="accounts"):
            await tokens.check(secret, Scope.ACCOUNTS)
        with pytest.raises(AuthenticationError):
            await tokens.check(secret + "x", Scope.DEPOSIT)
        house.clock.advance(days=30)
        with pytest.raises(AuthenticationError):
            await tokens.check(secret, Scope.DEPOSIT)
        for_ever = await tokens.add("ops", frozenset(Scope))
        await tokens.remove("ops", actor="anna")
        with pytest.raises(AuthenticationError):
            await tokens.check(for_ever, Scope.READ)
        assert [each.name for each in await tokens.every()] == ["billing"]

    run(story())


def test_a_token_that_cannot_be_is_refused():
    """A bad name, no scope, no day, a name that is taken, and one that is not there."""

    async def story():
        tokens = OperatorTokens(House().store, House().clock)
        read = frozenset({Scope.READ})
        for name, scopes, days in (("A b", read, None), ("a", frozenset(), None), ("a", read, 0)):
            with pytest.raises(InvalidError):
                await tokens.add(name, scopes, valid_days=days)
        await tokens.add("a", read)
        with pytest.raises(AlreadyExistsError):
            await tokens.add("a", read)
        with pytest.raises(NotFoundError):
            await tokens.remove("b")

    run(story())


def test_an_app_password_opens_imap_however_it_is_typed():
    """With hyphens, spaces or capitals, and it opens neither the portal nor another account."""

    async def story():
        house = House()
        await house.add()
        await house.add("bob", "+15551230002")
        passwords = AppPasswords(house.store, house.clock, house.settings)
        made = await passwords.add("alice", "Phone")
        assert re.fullmatch(r"([a-km-np-z2-9]{5}-){3}[a-km-np-z2-9]{5}", made)
        login = house.authenticator.login
        for typed in (made, made.replace("-", ""), made.replace("-", " ").upper()):
            assert (await login("alice", typed, peer=PEER)).account.name == "alice"
        for name, door in (("bob", Door.IMAP), ("alice", Door.PORTAL)):
            with pytest.raises(AuthenticationError):
                await login(name, made, peer=PEER, door=door)
        assert (await login("alice", PASSWORD, peer=PEER)).account.name == "alice"

    run(story())


def test_an_app_password_is_taken_back_alone():
    """The lost telephone is shut out, the other goes on; a lock-out is for all of them."""

    async def story():
        house = House()
        await house.add()
        passwords = AppPasswords(house.store, house.clock, house.settings)
        lost, kept = [await passwords.add("alice", label) for label in ("Lost", "Kept")]
        login = house.authenticator.login
        await login("alice", kept, peer=PEER)
        by_label = {each.label: each for each in await passwords.every("alice")}
        assert (by_label["Lost"].used_at, by_label["Kept"].used_at) == (None, house.clock.now())
        await passwords.remove("alice", by_label["Lost"].id)
        with pytest.raises(AuthenticationError):
            await login("alice", lost, peer=PEER)
        with pytest.raises(NotFoundError):
            await passwords.remove("alice", by_label["Lost"].id)
        await login("alice", kept, peer=PEER)
        for _ in range(5):
            with pytest.raises(AuthenticationError):
                await login("alice", "wrong", peer=PEER)
        with pytest.raises(LockedOutError):
            await login("alice", kept, peer=PEER)

    run(story())


def test_app_passwords_have_a_label_and_an_end():
    """No label, a label with a line break, and one too many are refused."""

    async def story():
        house = House()
        await house.add()
        passwords = AppPasswords(house.store, house.clock, house.settings)
        for label in (" ", "a\nb", "x" * 61):
            with pytest.raises(InvalidError):
                await passwords.add("alice", label)
        for number in range(MAX_PASSWORDS):
            await passwords.add("alice", f"no. {number}")
        with pytest.raises(InvalidError, match="at most"):
            await passwords.add("alice", "one more")

    run(story())

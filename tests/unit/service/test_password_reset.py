"""Forgotten passwords: what is mailed, how often, and that a stranger neither learns nor takes anything."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.forwarding import ForwardHouse
from tests.support.web_house import run
from um.core.errors import NotFoundError, UnavailableError
from um.service.app_passwords import AppPasswords
from um.service.forward.signing import token_hash
from um.service.password_reset import GRACE, MANY, PasswordReset

NEW = "a better password"
OWN = "anna@example.org"


class Forgetful(ForwardHouse):
    """A house with a reset, and an owner who was confirmed a day ago."""

    def __init__(self) -> None:
        super().__init__()
        self.account = run(self.add(full_name="Alice Adams"))
        self.reset = PasswordReset(
            self.store, self.clock, self.hasher, self.signer, self.security, self.settings
        )
        run(self.confirmed(self.account, OWN, kind=None))
        self.clock.advance(days=1)

    async def asked(self, name: str = "alice") -> list[str]:
        """Somebody asks; the tokens that were mailed for it."""
        self.relay.sent.clear()
        await self.reset.mail_link(name)
        await self.sender.tick()
        found = []
        for number in range(len(self.relay.sent)):
            body = self.relay.message(number).get_body(("plain",))
            found.append(body.get_content().split("/reset/")[1].split()[0])
        return found

    async def opens(self, token: str) -> bool:
        """Whether a link would open now; it is not used."""

        def opens_txn(tx) -> bool:
            from um.core.credentials import LinkPurpose

            link = tx.credentials.link_of(self.account.id, LinkPurpose.RESET_PASSWORD)
            there = link is not None and link.secret_hash == token_hash(token)
            return there and self.clock.now() < link.expires_at

        return await self.store.read("opens", opens_txn)


def test_a_link_sets_a_password_and_ends_what_the_old_one_opened():
    """Once; sessions, app passwords; and the owner is told of it at home and outside."""
    house = Forgetful()

    async def story():
        apps = AppPasswords(house.store, house.clock, house.settings)
        await apps.add("alice", "phone")
        (token,) = await house.asked()
        await house.reset.use(token, NEW)
        assert await apps.every("alice") == []
        assert (await house.authenticator.login("alice", NEW, peer="x")).account.name == "alice"
        with pytest.raises(NotFoundError):
            await house.reset.use(token, NEW)
        house.relay.sent.clear()
        await house.sender.tick()
        assert [each.recipient for each in house.relay.sent] == [OWN]
        (notice,) = await house.notices(house.account)
        assert notice["Subject"] == "The password of your mailbox was set anew"

    run(story())


def test_a_notice_that_cannot_be_written_undoes_nothing(monkeypatch):
    """The password is set, and the answer says so."""
    house = Forgetful()

    async def broken(*_, **__):
        raise UnavailableError

    async def story():
        (token,) = await house.asked()
        monkeypatch.setattr(house.blobs, "put", broken)
        await house.reset.use(token, NEW)
        assert await house.authenticator.login("alice", NEW, peer="x")

    run(story())


@given(pauses=st.lists(st.integers(0, 200), min_size=1, max_size=80))
def test_whoever_asks_a_link_that_opens_lies_with_the_owner(pauses):
    """After each request, by whomever, the last mail holds a link that opens, for GRACE at least.

    None is replaced before its mail's time is over, and the mails of a day are few.
    """
    house = Forgetful()

    async def story():
        last, mailed = "", []
        for pause in pauses:
            before = await house.opens(last) if last else False
            house.clock.advance(minutes=pause)
            for token in await house.asked():
                mailed.append((house.clock.now(), token))
                last = token
            assert await house.opens(last), before
            house.clock.advance(seconds=GRACE.total_seconds() - 1)
            assert await house.opens(last)
            house.clock.advance(seconds=1 - GRACE.total_seconds())
        for at, _ in mailed:
            day = [each for each, _ in mailed if at <= each < at + timedelta(days=1)]
            assert len(day) <= MANY + 8

    run(story())


def test_a_stranger_who_asks_all_day_voids_nothing_that_was_promised():
    """Every minute: what a mail promises holds, and eleven mails are the most of a day."""
    house = Forgetful()

    async def story():
        mails, promised_until, token = 0, house.clock.now(), ""
        for minute in range(24 * 60):
            fresh = await house.asked()
            if fresh:
                assert house.clock.now() >= promised_until
                mails += 1
                (token,) = fresh
                link = await house.store.read("link", lambda tx: open_link(tx, house))
                promised_until = link.expires_at - GRACE
            assert await house.opens(token), minute
            house.clock.advance(minutes=1)
        assert MANY < mails <= MANY + 8

    run(story())


def open_link(tx, house):
    from um.core.credentials import LinkPurpose

    return tx.credentials.link_of(house.account.id, LinkPurpose.RESET_PASSWORD)


@pytest.mark.parametrize("name", ["alice", "nobody", "+15551230001", "a" * 320, ""])
def test_the_answer_is_given_before_the_name_is_looked_at(name):
    """What is done before it is the same for everybody: one transaction that knows no name."""
    house = Forgetful()
    names = []

    async def story():
        run_, read = house.store.run, house.store.read

        async def told(what, work):
            names.append(what)
            return await (run_ if what.startswith("ask") else read)(what, work)

        house.store.run = told
        await house.reset.ask(peer="192.0.2.9")
        assert names == ["ask-password-reset"]
        house.store.run = run_
        await house.reset.mail_link(name)

    run(story())
    assert house.hasher.checks == []


def test_nothing_wakes_the_sender():
    """A known name is not told by the mail that leaves at once."""
    house = Forgetful()
    woken = []

    async def story():
        from um.core.events import OutboxFilled

        house.bus.subscribe(OutboxFilled, woken.append)
        await house.reset.mail_link("alice")
        assert woken == []
        assert await house.queue.waiting()

    run(story())


def test_a_link_that_was_used_is_not_mailed():
    """The relay was down; meanwhile the operator set a password."""
    house = Forgetful()

    async def story():
        await house.reset.mail_link("alice")
        await house.accounts.set_password("alice", NEW)
        house.relay.sent.clear()
        await house.sender.tick()
        assert house.relay.sent == []

    run(story())


@pytest.mark.parametrize("by", ["removing the address", "closing"])
def test_a_link_in_the_wrong_hands_ends(by):
    """What was mailed to an address that is removed opens nothing more; nor after a reopening."""
    house = Forgetful()

    async def story():
        (token,) = await house.asked()
        if by == "closing":
            await house.accounts.close("alice")
            await house.accounts.reopen("alice")
        else:
            await house.book.remove(house.account.id, OWN)
        with pytest.raises(NotFoundError):
            await house.reset.use(token, NEW)

    run(story())


def test_storage_trouble_is_told_to_nobody(monkeypatch):
    """The work after the answer raises nothing."""
    house = Forgetful()

    async def broken(*_, **__):
        raise UnavailableError

    monkeypatch.setattr(house.store, "run", broken)
    run(house.reset.mail_link("alice"))

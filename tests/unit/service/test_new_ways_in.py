"""What lets others into a mailbox is told to its owner, before it does."""

import pytest

from tests.support.forwarding import ForwardHouse
from tests.support.web_house import run
from um.core.errors import AuthenticationError, NotFoundError, UnavailableError
from um.core.message import MessageKind
from um.service.app_passwords import AppPasswords

THIEF = "thief@example.com"
OWN = "anna@example.org"


@pytest.fixture
def house():
    made = ForwardHouse()
    made.account = run(made.add(full_name="Alice Adams"))
    return made


async def ask_for(house, address):
    """Add the address, and return the token that was mailed there."""
    await house.book.add(house.account.id, address)
    await house.sender.tick()
    return house.mailed_token()


def test_an_owner_hears_of_a_new_address_at_home_and_outside(house):
    """In the box and at the addresses confirmed before; the new one is told nothing of it."""

    async def story():
        await house.book.confirm(await ask_for(house, OWN))
        house.relay.sent.clear()
        await house.book.confirm(await ask_for(house, THIEF))
        await house.sender.tick()
        told = [each for each in house.relay.sent if b"was added" in each.data]
        assert [each.recipient for each in told] == [OWN]
        at_home = await house.notices(house.account)
        assert [each["Subject"] for each in at_home] == [
            f"{OWN} was added to your mailbox",
            f"{THIEF} was added to your mailbox",
        ]
        assert "within these 24 hours" in at_home[-1].get_content()

    run(story())


def test_an_address_is_not_confirmed_untold(house):
    """While the box cannot be written to the link stays open; then it is told once."""

    async def story():
        token = await ask_for(house, THIEF)
        put = house.blobs.put

        async def broken(*_, **__):
            raise UnavailableError

        house.blobs.put = broken
        with pytest.raises(UnavailableError):
            await house.book.confirm(token)
        house.blobs.put = put
        assert (await house.book.asked(token)).address.confirmed_at is None
        await house.book.confirm(token)
        with pytest.raises(NotFoundError):
            await house.book.confirm(token)
        assert len(await house.notices(house.account)) == 1

    run(story())


def test_a_notice_under_the_same_key_is_one_message(house):
    """Two nodes that confirm at once, or one that died in between, tell it once."""

    async def story():
        notices = house.security
        for _ in range(2):
            await notices.address_confirmed(house.account, THIEF, key="k" * 32)
        entries = await house.folder(house.account)
        assert [each.kind for each in entries] == [MessageKind.NOTICE]

    run(story())


def test_a_password_that_was_replaced_since_it_was_checked_opens_nothing(house):
    """A reset that comes between the check and the change wins; who is still right goes on."""

    async def story():
        account = house.account
        apps = AppPasswords(house.store, house.clock, house.settings)
        await house.accounts.set_password("alice", "what the reset set")
        with pytest.raises(AuthenticationError):
            await house.book.add(account.id, THIEF, proof=account)
        with pytest.raises(AuthenticationError):
            await apps.add("alice", "thief", proof=account)
        with pytest.raises(AuthenticationError):
            await house.accounts.set_password("alice", "what the thief sets", proof=account)
        with pytest.raises(AuthenticationError):
            await house.accounts.set_pin("alice", "905172", proof=account)
        assert await house.book.every(account.id) == []
        assert await apps.every("alice") == []
        now = (await house.accounts.show("alice")).account
        assert now.password_hash == "plain$what the reset set"
        assert now.pin_hash == account.pin_hash
        await house.book.add(account.id, OWN, proof=now)
        await apps.add("alice", "own", proof=now)
        await house.accounts.set_pin("alice", "905172", proof=now)

    run(story())

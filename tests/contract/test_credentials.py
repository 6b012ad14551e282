"""The contract of `Credentials`."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from um.core.credentials import (
    AppPassword,
    LinkPurpose,
    OneTimeLink,
    OperatorToken,
    Scope,
    WebSession,
)
from um.core.errors import AlreadyExistsError, NotFoundError

MINUTE = timedelta(minutes=1)
RESET = LinkPurpose.RESET_PASSWORD


def digest(letter: str) -> str:
    return letter * 64


def session(house, account, letter="a", **fields):
    made = WebSession(digest(letter), account.id, house.now(), house.now(), **fields)
    house.run(lambda tx: tx.credentials.add_session(made))
    return made


def app_password(house, account, letter="a", label="Phone"):
    made = AppPassword(uuid.uuid4().hex, account.id, label, digest(letter), house.now())
    house.run(lambda tx: tx.credentials.add_app_password(made))
    return made


def link(house, account, letter="a"):
    made = OneTimeLink(digest(letter), account.id, RESET, house.now() + MINUTE)
    house.run(lambda tx: tx.credentials.add_link(made))
    return made


def take(house, made, *, at=None):
    at = at or house.now()
    return house.run(lambda tx: tx.credentials.take_link(made.secret_hash, RESET, at))


def test_a_session_is_found_used_and_ended(house):
    """It comes back whole, notes its use, and is gone once it was ended; twice does no harm."""
    made = session(house, house.account(), peer="192.0.2.1", agent="Fïrefox")
    later = house.now() + MINUTE
    house.run(lambda tx: tx.credentials.touch_session(made.secret_hash, later))
    found = house.read(lambda tx: tx.credentials.session(made.secret_hash))
    assert found == replace(made, used_at=later)
    for _ in range(2):
        house.run(lambda tx: tx.credentials.end_session(made.secret_hash))
    house.run(lambda tx: tx.credentials.touch_session(made.secret_hash, later))
    assert house.read(lambda tx: tx.credentials.session(made.secret_hash)) is None


def test_an_owner_ends_all_other_sessions(house):
    """All of the account but the one in hand, and nobody else's; the latest used is listed first."""
    anna, bob = house.account("anna"), house.account("bob")
    first, second = session(house, anna, "a"), session(house, anna, "b")
    other = session(house, bob, "c")
    at = house.now() + MINUTE
    house.run(lambda tx: tx.credentials.touch_session(second.secret_hash, at))
    listed = house.read(lambda tx: tx.credentials.sessions_of(anna.id))
    assert [each.secret_hash for each in listed] == [second.secret_hash, first.secret_hash]
    ended = house.run(lambda tx: tx.credentials.end_sessions_of(anna.id, but=first.secret_hash))
    assert ended == 1
    assert house.read(lambda tx: tx.credentials.sessions_of(anna.id)) == [first]
    assert house.run(lambda tx: tx.credentials.end_sessions_of(anna.id)) == 1
    assert house.read(lambda tx: tx.credentials.sessions_of(bob.id)) == [other]


def test_idle_and_old_sessions_are_forgotten(house):
    """Each of the two terms ends a session by itself."""
    account, now = house.account(), house.now()
    idle, old, good = (session(house, account, letter) for letter in "abc")
    for each, used in ((old, now + 9 * MINUTE), (good, now + 9 * MINUTE)):
        house.run(
            lambda tx, each=each, used=used: tx.credentials.touch_session(each.secret_hash, used)
        )

    def forget(tx):
        return tx.credentials.forget_sessions(used_before=now + MINUTE, opened_before=now - MINUTE)

    assert house.run(forget) == 1
    assert house.read(lambda tx: tx.credentials.session(idle.secret_hash)) is None

    def forget_old(tx):
        return tx.credentials.forget_sessions(used_before=now, opened_before=now + MINUTE)

    assert house.run(forget_old) == 2


def test_a_token_is_known_by_its_secret_and_removed_by_its_name(house):
    """Scopes and dates survive; a name is given once."""
    made = OperatorToken(
        uuid.uuid4().hex,
        "billing",
        digest("a"),
        frozenset({Scope.DEPOSIT, Scope.READ}),
        house.now(),
        house.now() + MINUTE,
    )
    house.run(lambda tx: tx.credentials.add_token(made))
    again = replace(made, id=uuid.uuid4().hex, secret_hash=digest("b"))
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.credentials.add_token(again))
    first = replace(again, name="audit", expires_at=None, scopes=frozenset())
    house.run(lambda tx: tx.credentials.add_token(first))
    assert house.read(lambda tx: tx.credentials.token(digest("a"))) == made
    assert house.read(lambda tx: tx.credentials.tokens()) == [first, made]
    assert house.run(lambda tx: tx.credentials.remove_token("billing")) is True
    assert house.run(lambda tx: tx.credentials.remove_token("billing")) is False
    assert house.read(lambda tx: tx.credentials.token(digest("a"))) is None


def test_an_app_password_opens_its_own_account_only(house):
    """It is found with its account, notes its use, and is taken back by its owner alone."""
    anna, bob = house.account("anna"), house.account("bob")
    phone, laptop = app_password(house, anna, "a"), app_password(house, anna, "b", "Läptop")
    assert house.read(lambda tx: tx.credentials.app_password(bob.id, digest("a"))) is None
    at = house.now() + MINUTE
    house.run(lambda tx: tx.credentials.touch_app_password(phone.id, at))
    used = replace(phone, used_at=at)
    assert house.read(lambda tx: tx.credentials.app_password(anna.id, digest("a"))) == used
    listed = house.read(lambda tx: tx.credentials.app_passwords_of(anna.id))
    assert sorted(listed, key=lambda each: each.label) == [laptop, used]
    assert house.run(lambda tx: tx.credentials.remove_app_password(bob.id, phone.id)) is False
    assert house.run(lambda tx: tx.credentials.remove_app_password(anna.id, phone.id)) is True
    assert house.read(lambda tx: tx.credentials.app_passwords_of(anna.id)) == [laptop]


def test_a_link_works_once_and_not_after_its_time(house):
    """The first to follow it gets in; an expired one is used up without opening anything."""
    account = house.account()
    made = link(house, account)
    assert take(house, made) == account.id
    assert take(house, made) is None
    late = link(house, account)
    assert take(house, late, at=late.expires_at) is None
    assert take(house, late) is None


def test_a_new_link_ends_the_one_before(house):
    """Only the last mail's link works; another account's stays."""
    anna, bob = house.account("anna"), house.account("bob")
    old, other = link(house, anna, "a"), link(house, bob, "b")
    new = link(house, anna, "c")
    assert take(house, old) is None
    assert take(house, new) == anna.id
    assert take(house, other) == bob.id


def test_an_open_link_is_known_until_it_is_used(house):
    """Of its account only; one that has expired is told as well, until it is swept."""
    anna, bob = house.account("anna"), house.account("bob")
    made = link(house, anna, "a")

    def found(account):
        return house.read(lambda tx: tx.credentials.link_of(account.id, RESET))

    assert (found(anna), found(bob)) == (made, None)
    newer = link(house, anna, "b")
    assert found(anna) == newer
    assert take(house, newer) == anna.id
    assert found(anna) is None


def test_an_accounts_links_end_together(house):
    """All of one account's; another's still opens."""
    anna, bob = house.account("anna"), house.account("bob")
    old, other = link(house, anna, "a"), link(house, bob, "b")
    assert house.run(lambda tx: tx.credentials.end_links_of(anna.id)) == 1
    assert house.run(lambda tx: tx.credentials.end_links_of(anna.id)) == 0
    assert take(house, old) is None
    assert take(house, other) == bob.id


def test_expired_links_are_swept(house):
    """Those that expired before the instant, no others."""
    link(house, house.account())
    now = house.now()
    assert house.run(lambda tx: tx.credentials.forget_links(now)) == 0
    assert house.run(lambda tx: tx.credentials.forget_links(now + 2 * MINUTE)) == 1


def test_nothing_opens_for_an_account_that_is_not_there(house):
    """Each kind says so."""
    ghost = replace(house.account(), id="f" * 32)
    for make in (session, app_password, link):
        with pytest.raises(NotFoundError):
            make(house, ghost)


def test_all_of_it_goes_with_the_account(house):
    """A purge leaves no door: sessions, app passwords and links go, the operator's tokens stay."""
    account = house.account()
    made = session(house, account), app_password(house, account), link(house, account)
    token = OperatorToken(uuid.uuid4().hex, "ops", digest("t"), frozenset(), house.now())
    house.run(lambda tx: tx.credentials.add_token(token))
    house.run(lambda tx: tx.accounts.delete(account.id))
    assert house.read(lambda tx: tx.credentials.session(made[0].secret_hash)) is None
    assert house.read(lambda tx: tx.credentials.app_passwords_of(account.id)) == []
    assert take(house, made[2]) is None
    assert house.read(lambda tx: tx.credentials.tokens()) == [token]

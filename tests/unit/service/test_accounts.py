"""Accounts as an operator keeps them: adding, closing, secrets, numbers, addresses."""

import asyncio
import contextlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.house import DOMAIN, NUMBER, PASSWORD, PIN, House, incoming
from um.core.account import AccountState, NumberState, NumberUse
from um.core.errors import (
    AlreadyExistsError,
    AuthenticationError,
    InvalidError,
    LifeCycleError,
    LockedOutError,
    NotFoundError,
)
from um.core.message import MessageKind
from um.service.accounts import NewAccount
from um.service.numbers import find_number, normal_number, parse_number
from um.service.recipients import Directory


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_new_account_has_inbox_and_trash_and_its_numbers():
    async def story():
        house = House()
        account = await house.add(full_name="Alice Ng")
        overview = await house.accounts.show("ALICE")
        assert overview.account == account
        assert [number.e164 for number in overview.numbers] == [NUMBER]
        assert overview.usage.limit_octets == 104_857_600
        assert overview.counts == {}
        boxes = await house.store.read("t", lambda tx: tx.mailboxes.of_account(account.id))
        assert {(box.name, box.special_use) for box in boxes} == {
            ("INBOX", None),
            ("Trash", "\\Trash"),
        }
        on = await house.store.read("t", lambda tx: tx.mailboxes.subscriptions(account.id))
        assert on == {"INBOX", "Trash"}
        assert account.timezone == "America/Toronto"
        assert PASSWORD not in repr(account)

    run(story())


def test_a_name_or_number_that_is_taken_leaves_nothing_behind():
    """All or nothing: the account is not there if its number could not be given."""

    async def story():
        house = House()
        await house.add()
        with pytest.raises(AlreadyExistsError):
            await house.add("Alice", "+15551230002")
        with pytest.raises(AlreadyExistsError, match="belongs to an account already"):
            await house.add("bob", "(555) 123-0001")
        with pytest.raises(NotFoundError):
            await house.accounts.show("bob")
        assert [each.account.name for each in await house.accounts.every()] == ["alice"]

    run(story())


@pytest.mark.parametrize(
    "new",
    [
        NewAccount("5551230001"),
        NewAccount("bob", [("911", NumberUse.VOICE)]),
        NewAccount("bob", timezone="Mars/Base"),
        NewAccount("bob", quota_octets=1),
    ],
)
def test_values_that_make_no_sense_are_refused(new):
    async def story():
        house = House()
        with pytest.raises(InvalidError):
            await house.accounts.add(new)
        assert await house.accounts.every() == []

    run(story())


def test_show_counts_by_kind_and_octets():
    async def story():
        house = House()
        account = await house.add()
        await house.delivery.deliver(incoming(account, "v"))
        await house.delivery.deliver(incoming(account, "i", kind=MessageKind.INVOICE))
        overview = await house.accounts.show(f"alice@{DOMAIN}")
        assert overview.counts == {MessageKind.VOICE: 1, MessageKind.INVOICE: 1}
        assert overview.usage.used_octets == 2000
        with pytest.raises(NotFoundError):
            await house.accounts.show("alice@elsewhere.example")

    run(story())


def test_closing_fixes_the_purge_date_and_stops_the_numbers_and_reopening_undoes_it():
    async def story():
        house = House()
        house.clock.jump(datetime.fromisoformat("2025-12-31T10:00-05:00"))
        account = await house.add()
        await house.delivery.deliver(incoming(account))
        await house.accounts.suspend("alice", reason="unpaid")
        closed = await house.accounts.close("alice", reason="moved away")
        assert closed.state is AccountState.CLOSED
        assert closed.purge_at == datetime.fromisoformat("2026-02-28T10:00-05:00")
        (number,) = await house.numbers.every("alice")
        assert number.state is NumberState.SUSPENDED
        assert number.hold_until == closed.purge_at
        with pytest.raises(LifeCycleError):
            await house.accounts.close("alice")
        house.clock.advance(days=59)
        again = await house.accounts.reopen("alice")
        assert (again.state, again.purge_at, again.closed_at) == (AccountState.ACTIVE, None, None)
        (number,) = await house.numbers.every("alice")
        assert (number.state, number.hold_until) == (NumberState.ACTIVE, None)
        assert (await house.accounts.show("alice")).counts == {MessageKind.VOICE: 1}

    run(story())


def test_suspend_and_resume_keep_the_reason_only_as_long_as_it_holds():
    async def story():
        house = House()
        await house.add()
        suspended = await house.accounts.suspend("alice", reason="unpaid")
        assert (suspended.state_reason, suspended.suspended_at) == ("unpaid", house.clock.now())
        with pytest.raises(LifeCycleError):
            await house.accounts.reopen("alice")
        resumed = await house.accounts.resume("alice")
        assert (resumed.state_reason, resumed.suspended_at) == ("", None)

    run(story())


def test_secrets_are_checked_hashed_and_never_in_the_audit():
    async def story():
        house = House()
        account = await house.add()
        for bad in ("short", "tab\tulator", "x" * 1025):
            with pytest.raises(InvalidError):
                await house.accounts.set_password("alice", bad)
        for bad in ("123456", "230001", "000000"):
            with pytest.raises(InvalidError):
                await house.accounts.set_pin("alice", bad)
        await house.accounts.set_password("alice", "another secret", actor="carol")
        await house.accounts.set_pin("alice", "905172")
        await house.accounts.set_voicemail("alice", on=False)
        shown = (await house.accounts.show("alice")).account
        assert shown.password_hash == "plain$another secret"
        assert not shown.voicemail_enabled
        audit = await house.store.read("t", lambda tx: tx.records.audit_of(account.id))
        assert [(each.action, each.actor) for each in audit] == [
            ("add", "operator"),
            ("password", "carol"),
            ("pin", "operator"),
            ("voicemail", "operator"),
        ]
        assert "another secret" not in repr(audit) + repr(shown)
        assert "905172" not in repr(audit) + repr(shown)

    run(story())


def test_a_removed_number_is_held_for_two_months_and_can_be_freed():
    async def story():
        house = House()
        await house.add()
        await house.add("bob", None)
        removed = await house.numbers.remove("alice", "555 123 0001")
        assert removed.state is NumberState.HELD
        with pytest.raises(AlreadyExistsError, match="held until 2026-05-04"):
            await house.numbers.add("bob", NUMBER)
        house.clock.jump(removed.hold_until)
        added = await house.numbers.add("bob", NUMBER, use=NumberUse.FAX)
        assert added.use is NumberUse.FAX
        with pytest.raises(LifeCycleError):
            await house.numbers.free(NUMBER)
        await house.numbers.remove("bob", NUMBER)
        await house.numbers.free(NUMBER)
        await house.numbers.add("alice", NUMBER)
        assert [each.e164 for each in await house.numbers.every("alice")] == [NUMBER]

    run(story())


def test_a_hold_counts_from_closure_if_that_came_first():
    async def story():
        house = House()
        await house.add()
        await house.accounts.close("alice")
        house.clock.advance(days=30)
        removed = await house.numbers.remove("alice", NUMBER)
        assert removed.hold_until < house.clock.now() + timedelta(days=32)
        with pytest.raises(LifeCycleError, match="closed"):
            await house.numbers.add("alice", "+15551230009")

    run(story())


def test_a_number_of_another_account_cannot_be_touched():
    async def story():
        house = House()
        await house.add()
        await house.add("bob", None)
        with pytest.raises(NotFoundError):
            await house.numbers.remove("bob", NUMBER)
        with pytest.raises(NotFoundError):
            await house.numbers.set_use("bob", NUMBER, NumberUse.FAX)
        with pytest.raises(NotFoundError):
            await house.numbers.add_alias("bob", NUMBER, "2001")

    run(story())


def test_an_alias_names_its_number():
    async def story():
        house = House()
        await house.add()
        await house.numbers.add_alias("alice", NUMBER, "2001")
        changed = await house.numbers.set_use("alice", NUMBER, NumberUse.VOICE)
        for dialled in ("2001", "5551230001", NUMBER):
            found = await house.store.read("t", lambda tx, d=dialled: find_number(tx, d, "CA"))
            assert found == changed
        for bad in ("", "a b", "x" * 33):
            with pytest.raises(InvalidError):
                await house.numbers.add_alias("alice", NUMBER, bad)

    run(story())


@pytest.mark.parametrize(
    "spelling",
    [
        "5551230001",
        "15551230001",
        "+15551230001",
        "01115551230001",
        "0015551230001",
        "(555) 123-0001",
        "1-555-123-0001",
        "+1 (555) 123.0001",
    ],
)
def test_one_number_has_many_spellings(spelling):
    assert parse_number(spelling, "CA") == NUMBER


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("004930123456", "CA", "+4930123456"),
        ("0114930123456", "CA", "+4930123456"),
        ("030123456", "DE", "+4930123456"),
        ("0015551230001", "DE", NUMBER),
        ("001115551230001", "AU", NUMBER),
    ],
)
def test_numbers_of_the_world_and_of_other_regions(text, region, number):
    assert parse_number(text, region) == number


@pytest.mark.parametrize("text", ["", "911", "2001", "5551234", "1" * 41, "+", "alice", "+1²3"])
def test_what_is_no_full_number_is_refused(text):
    with pytest.raises(InvalidError):
        parse_number(text, "CA")
    assert normal_number(text, "CA") == text


@given(st.text(max_size=50))
def test_any_text_is_a_number_or_the_one_error(text):
    try:
        number = parse_number(text, "CA")
    except InvalidError:
        return
    assert number.startswith("+")
    assert number[1:].isdigit()
    assert len(number) <= 16
    assert parse_number(number, "CA") == number


def test_mail_addresses_find_their_account():
    async def story():
        house = House()
        account = await house.add()
        directory = Directory(house.store, house.settings)
        for local in (
            "alice",
            "ALICE",
            "alice+bills",
            '"alice"',
            NUMBER,
            "15551230001",
            "5551230001",
            "555-123-0001",
        ):
            assert await directory.find(f"{local}@{DOMAIN}") == account
        assert await directory.find(f"alice@{DOMAIN.upper()}") == account
        for address in (
            "alice",
            "alice@elsewhere.example",
            f"bob@{DOMAIN}",
            f"+@{DOMAIN}",
            f"@{DOMAIN}",
            f'"@{DOMAIN}',
            f"{'a' * 400}@{DOMAIN}",
            "",
        ):
            assert await directory.find(address) is None
        closed = await house.accounts.close("alice")
        assert await directory.find(f"{NUMBER}@{DOMAIN}") == closed

    run(story())


def test_clearing_the_pin_lifts_its_lock():
    """The box has no PIN then, and the next one begins with a clean slate."""

    async def story():
        house = House()
        alice = await house.add()
        for _ in range(10):
            with contextlib.suppress(AuthenticationError):
                await house.authenticator.verify_pin(alice.id, "111111")
        with pytest.raises(LockedOutError):
            await house.authenticator.verify_pin(alice.id, PIN)
        await house.accounts.clear_pin("alice")
        assert (await house.accounts.show("alice")).account.pin_hash is None
        with pytest.raises(AuthenticationError):
            await house.authenticator.verify_pin(alice.id, PIN)
        await house.accounts.set_pin("alice", PIN)
        await house.authenticator.verify_pin(alice.id, PIN)

    run(story())


def test_preferences_are_set_and_shown_by_name():
    """Those that are not named stay."""

    async def story():
        house = House()
        await house.add()
        await house.accounts.set_preferences("alice", {"a": "yes", "b": "no"})
        await house.accounts.set_preferences("alice", {"b": "yes"})
        assert await house.accounts.preferences("alice") == {"a": "yes", "b": "yes"}
        with pytest.raises(NotFoundError):
            await house.accounts.set_preferences("nobody", {"a": "yes"})

    run(story())

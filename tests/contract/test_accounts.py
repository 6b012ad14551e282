"""The contract of `Accounts` and `Numbers`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from um.core.account import (
    AccountState,
    AuditRecord,
    CallRecord,
    Number,
    NumberState,
    NumberUse,
    PurgeRecord,
)
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.events import AccountChanged
from um.core.message import MessageKind


def test_an_account_comes_back_as_it_was_stored(house):
    """Every field of an account is kept, instants to the microsecond."""
    at = house.now() + timedelta(microseconds=123_457)
    account = house.account(
        "Zoë",
        state=AccountState.CLOSED,
        full_name="Zoë Müller",
        timezone="America/Toronto",
        language="fr",
        quota_octets=5,
        voicemail_enabled=False,
        ring_seconds=25,
        password_hash="$argon2id$x",
        pin_hash="$argon2id$y",
        state_reason="unpaid",
        suspended_at=at,
        closed_at=at,
        purge_at=at,
        legal_hold_at=at,
        legal_hold_reason="case 7",
    )
    assert house.read(lambda tx: tx.accounts.get(account.id)) == account
    assert house.read(lambda tx: tx.accounts.lock(account.id)) == account
    assert house.run(lambda tx: tx.accounts.lock_state(account.id)) is AccountState.CLOSED
    assert house.run(lambda tx: tx.accounts.lock_state("nobody")) is None


def test_names_are_compared_without_case(house):
    """One name serves one account of a domain, in whatever case it is written."""
    account = house.account("Zoë")
    assert house.read(lambda tx: tx.accounts.by_name("ZOË", "UM.example.net")) == account
    assert house.read(lambda tx: tx.accounts.by_name("zoe", "um.example.net")) is None
    with pytest.raises(AlreadyExistsError):
        house.account("zOË")


def test_saving_replaces_and_tells(house):
    """`save` replaces the row, publishes AccountChanged, and knows only accounts that are there."""
    account = house.account()
    house.events.clear()
    house.run(lambda tx: tx.accounts.save(replace(account, name="bob", pin_hash="x")))
    assert house.read(lambda tx: tx.accounts.by_name("bob", "um.example.net")).pin_hash == "x"
    assert house.events == [AccountChanged(account.id)]
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.accounts.save(replace(account, id="f" * 32, name="carol")))


def test_saving_under_a_taken_name_is_refused(house):
    """A rename never takes another's name."""
    house.account("alice")
    bob = house.account("bob")
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.accounts.save(replace(bob, name="ALICE")))
    assert house.read(lambda tx: tx.accounts.get(bob.id)) == bob


def test_every_account_is_listed_by_name(house):
    """`every` lists by name."""
    for name in ("carol", "alice", "bob"):
        house.account(name)
    assert [each.name for each in house.read(lambda tx: tx.accounts.every())] == [
        "alice",
        "bob",
        "carol",
    ]


def test_accounts_are_paged_by_name(house):
    """A page begins after a name, whether or not it is there, in any case."""
    for name in ("carol", "alice", "bob"):
        house.account(name)

    def names(after, limit):
        return [each.name for each in house.read(lambda tx: tx.accounts.page(after, limit))]

    assert names("", 2) == ["alice", "bob"]
    assert names("BOB", 2) == ["carol"]
    assert names("b", 1) == ["bob"]
    assert names("carol", 5) == []


def test_totals_are_of_all_accounts_together(house):
    """Accounts by state, messages by kind, octets; nothing at all in an empty house."""
    empty = house.read(lambda tx: tx.accounts.totals())
    assert (dict(empty.accounts), dict(empty.messages), empty.used_octets) == ({}, {}, 0)
    account, other = house.account(), house.account("other")
    house.run(lambda tx: tx.accounts.save(replace(other, state=AccountState.SUSPENDED)))
    voice = house.deliver(account, house.folder(account), kind=MessageKind.VOICE)
    fax = house.deliver(other, house.folder(other), kind=MessageKind.FAX)
    totals = house.read(lambda tx: tx.accounts.totals())
    assert dict(totals.accounts) == {AccountState.ACTIVE: 1, AccountState.SUSPENDED: 1}
    assert dict(totals.messages) == {MessageKind.VOICE: 1, MessageKind.FAX: 1}
    assert totals.used_octets == voice.size_octets + fax.size_octets


def test_usage_counts_what_is_stored_and_what_is_promised(house):
    """Octets used are the entries' sizes; a reservation counts until it expires or is released."""
    account = house.account(quota_octets=10_000)
    inbox = house.folder(account)
    house.deliver(account, inbox, 700)
    soon = house.now() + timedelta(minutes=1)

    def reserve_txn(tx):
        tx.reservations.add(account.id, 50, expires_at=soon)
        return tx.reservations.add(account.id, 100, expires_at=soon + timedelta(hours=1))

    second = house.run(reserve_txn)
    usage = house.read(lambda tx: tx.accounts.usage(account.id, house.now()))
    assert (usage.used_octets, usage.reserved_octets, usage.limit_octets) == (700, 150, 10_000)
    assert house.read(lambda tx: tx.accounts.usage(account.id, soon)).reserved_octets == 100
    house.run(lambda tx: tx.reservations.change(second, 30, expires_at=soon + timedelta(hours=1)))
    assert house.read(lambda tx: tx.accounts.usage(account.id, soon)).reserved_octets == 30
    assert house.run(lambda tx: tx.reservations.expire(soon)) == 1
    house.run(lambda tx: tx.reservations.release(second))
    house.run(lambda tx: tx.reservations.release(second))
    assert house.read(lambda tx: tx.accounts.usage(account.id, house.now())).reserved_octets == 0
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.reservations.change(second, 1, expires_at=soon))
    with pytest.raises(NotFoundError):
        house.read(lambda tx: tx.accounts.usage("f" * 32, house.now()))
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.reservations.add("f" * 32, 1, expires_at=soon))


def test_messages_are_counted_by_kind_over_all_folders(house):
    """`counts` counts entries, copies included, and is empty for an empty account."""
    account, other = house.account(), house.account("other")
    inbox, folder = house.folder(account), house.folder(account, "Saved")
    entry = house.deliver(account, inbox, kind=MessageKind.VOICE)
    house.deliver(account, inbox, kind=MessageKind.FAX)
    house.run(lambda tx: tx.messages.copy(inbox.id, [entry.uid], folder.id, house.now()))
    assert house.read(lambda tx: tx.accounts.counts(account.id)) == {
        MessageKind.VOICE: 2,
        MessageKind.FAX: 1,
    }
    assert house.read(lambda tx: tx.accounts.counts(other.id)) == {}


def test_preferences_are_set_replaced_and_removed(house):
    """A preference is one value a key; None removes it; the account must be there."""
    account = house.account()
    for value in ("1", "2"):
        house.run(lambda tx, value=value: tx.accounts.set_preference(account.id, "k", value))
    house.run(lambda tx: tx.accounts.set_preference(account.id, "gone", "x"))
    house.run(lambda tx: tx.accounts.set_preference(account.id, "gone", None))
    assert house.read(lambda tx: tx.accounts.preferences(account.id)) == {"k": "2"}
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.accounts.set_preference("f" * 32, "k", "1"))


def test_a_number_comes_back_and_belongs_to_one_account(house):
    """A number that serves one account is refused to another."""
    alice, bob = house.account("alice"), house.account("bob")
    number = Number("+15551230001", alice.id, NumberUse.FAX)
    house.run(lambda tx: tx.numbers.add(number, now=house.now()))
    assert house.read(lambda tx: tx.numbers.get(number.e164)) == number
    assert house.read(lambda tx: tx.numbers.of_account(alice.id)) == [number]
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.numbers.add(replace(number, account_id=bob.id), now=house.now()))
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.numbers.add(Number("+1", "f" * 32), now=house.now()))


def test_a_held_number_is_taken_over_after_its_hold(house):
    """Until `hold_until` a number is nobody's and not to be had; from then on it may be taken."""
    alice, bob = house.account("alice"), house.account("bob")
    number = Number("+15551230001", alice.id)
    until = house.now() + timedelta(days=60)
    house.run(lambda tx: tx.numbers.add(number, now=house.now()))
    house.run(lambda tx: tx.numbers.add_alias("101", number.e164))
    house.run(lambda tx: tx.numbers.hold(number.e164, until))
    held = house.read(lambda tx: tx.numbers.get(number.e164))
    assert (held.account_id, held.state, held.hold_until) == (None, NumberState.HELD, until)
    assert house.read(lambda tx: tx.numbers.by_alias("101")) is None
    mine = replace(number, account_id=bob.id)
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.numbers.add(mine, now=until - timedelta(microseconds=1)))
    house.run(lambda tx: tx.numbers.add(mine, now=until))
    assert house.read(lambda tx: tx.numbers.get(number.e164)) == mine


def test_a_number_changes_state_and_use_and_is_freed(house):
    """State, hold and use change by themselves; a freed number is forgotten with its aliases."""
    account = house.account()
    number = Number("+15551230001", account.id)
    house.run(lambda tx: tx.numbers.add(number, now=house.now()))
    until = house.now() + timedelta(days=1)
    house.events.clear()
    house.run(lambda tx: tx.numbers.set_state(number.e164, NumberState.SUSPENDED, hold_until=until))
    house.run(lambda tx: tx.numbers.set_use(number.e164, NumberUse.VOICE))
    assert house.read(lambda tx: tx.numbers.get(number.e164)) == Number(
        number.e164, account.id, NumberUse.VOICE, NumberState.SUSPENDED, until
    )
    assert house.events == [AccountChanged(account.id)] * 2
    house.run(lambda tx: tx.numbers.add_alias("7", number.e164))
    house.run(lambda tx: tx.numbers.free(number.e164))
    assert house.read(lambda tx: (tx.numbers.get(number.e164), tx.numbers.by_alias("7"))) == (
        None,
        None,
    )
    for change in (
        lambda tx: tx.numbers.free(number.e164),
        lambda tx: tx.numbers.hold(number.e164, until),
        lambda tx: tx.numbers.set_use(number.e164, NumberUse.FAX),
        lambda tx: tx.numbers.set_state(number.e164, NumberState.ACTIVE),
        lambda tx: tx.numbers.add_alias("7", number.e164),
    ):
        with pytest.raises(NotFoundError):
            house.run(change)


def test_an_extension_names_one_number(house):
    """An alias is given once; giving it again to the same number is no error."""
    account = house.account()
    numbers = [Number(f"+1555123000{last}", account.id) for last in (1, 2)]
    for number in numbers:
        house.run(lambda tx, number=number: tx.numbers.add(number, now=house.now()))
    for _ in range(2):
        house.run(lambda tx: tx.numbers.add_alias("101", numbers[0].e164))
    assert house.read(lambda tx: tx.numbers.by_alias("101")) == numbers[0]
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.numbers.add_alias("101", numbers[1].e164))


def test_deleting_an_account_leaves_its_purge_record_and_held_numbers_only(house):
    """Nothing of a deleted account is left but the purge record; its neighbour keeps everything."""
    gone, stays = house.account("gone"), house.account("stays")
    until = house.now() + timedelta(days=60)
    for account, last in ((gone, 1), (stays, 2)):
        inbox = house.folder(account)
        house.folder(account, "Trash", special_use="\\Trash")
        entry = house.deliver(account, inbox, 500)
        expunged = house.deliver(account, inbox, 500)
        _fill_txns(house, account, inbox, entry, expunged, f"+1555123000{last}", until)
    before = house.read(lambda tx: _everything(tx, house, stays))
    house.events.clear()
    house.run(lambda tx: tx.accounts.delete(gone.id))
    house.run(lambda tx: tx.accounts.delete(gone.id))
    assert house.events == [AccountChanged(gone.id)]
    assert house.read(lambda tx: _everything(tx, house, stays)) == before
    assert house.read(lambda tx: tx.accounts.get(gone.id)) is None
    assert house.read(lambda tx: tx.mailboxes.of_account(gone.id)) == []
    left = house.read(lambda tx: tx.messages.discarded(10, of=[gone.id]))
    assert len(left) == 2
    assert house.read(lambda tx: tx.messages.blobs_of(gone.id)) == set(left)
    house.run(lambda tx: tx.messages.forget_discarded(left))
    assert house.read(lambda tx: tx.messages.blobs_of(gone.id)) == set()
    assert house.read(lambda tx: _everything(tx, house, stays)) == before
    assert house.read(lambda tx: tx.messages.ingested(f"key:{gone.id}")) is None
    assert house.read(lambda tx: tx.accounts.preferences(gone.id)) == {}
    assert house.read(lambda tx: tx.mailboxes.subscriptions(gone.id)) == set()
    assert house.read(lambda tx: tx.records.calls_of(gone.id)) == []
    assert house.read(lambda tx: tx.records.audit_of(gone.id)) == []
    assert house.read(lambda tx: tx.records.mark(f"seen:{gone.id}")) is None
    since = house.now() - timedelta(days=1)
    for subject in (f"pin:{gone.id}", "imap:gone@um.example.net", "phone:+15551230001"):
        count = house.read(lambda tx, subject=subject: tx.lockouts.failures(subject, since=since))
        assert count == 0
    assert house.read(lambda tx: tx.numbers.get("+15551230001")) == Number(
        "+15551230001", None, NumberUse.BOTH, NumberState.HELD, until
    )
    assert house.read(lambda tx: tx.numbers.by_alias("x+15551230001")) is None
    assert {each.account_id for each in house.read(lambda tx: tx.records.purges())} == {
        gone.id,
        stays.id,
    }


def _fill_txns(house, account, inbox, entry, expunged, e164, until):
    def fill_txn(tx):
        now = house.now()
        tx.messages.expunge(inbox.id, [expunged.uid])
        tx.messages.remember_ingest(f"key:{account.id}", entry, now)
        tx.reservations.add(account.id, 10, expires_at=until)
        tx.accounts.set_preference(account.id, "k", "v")
        tx.mailboxes.subscribe(account.id, "Elsewhere", on=True)
        tx.numbers.add(Number(e164, account.id), now=now)
        tx.numbers.set_state(e164, NumberState.SUSPENDED, hold_until=until)
        tx.numbers.add_alias(f"x{e164}", e164)
        tx.records.audit(AuditRecord(now, "op", "close", account.id, "unpaid"))
        tx.records.audit(AuditRecord(now, "op", "note", None, f"see {account.id}"))
        tx.records.add_call(CallRecord(account.id, now, "voice", e164, "+1", 1.5))
        tx.records.save_purge(PurgeRecord(account.id, now, None, 1, 2, 3))
        tx.records.set_mark(f"seen:{account.id}", "x")
        for subject in (f"pin:{account.id}", f"imap:{account.name}@um.example.net"):
            tx.lockouts.record_failure(subject, now)
        tx.lockouts.record_failure(f"phone:{e164}", now)

    house.run(fill_txn)


def _everything(tx, house, account):
    inbox = tx.mailboxes.by_name(account.id, "INBOX")
    since = house.now() - timedelta(days=1)
    entries = tx.messages.entries(inbox.id)
    return (
        tx.accounts.get(account.id),
        tx.accounts.usage(account.id, house.now()),
        tx.accounts.preferences(account.id),
        tx.mailboxes.of_account(account.id),
        tx.mailboxes.subscriptions(account.id),
        entries,
        tx.messages.contents([entry.content_id for entry in entries]),
        tx.messages.vanished(inbox.id),
        tx.messages.ingested(f"key:{account.id}"),
        tx.numbers.of_account(account.id),
        tx.numbers.by_alias("x+15551230002"),
        tx.records.audit_of(account.id),
        tx.records.calls_of(account.id),
        tx.records.mark(f"seen:{account.id}"),
        [
            tx.lockouts.failures(subject, since=since)
            for subject in (f"pin:{account.id}", "imap:stays@um.example.net", "phone:+15551230002")
        ],
    )


def test_accounts_come_in_pages_by_their_ids(house):
    accounts = sorted((house.account(f"a{number}") for number in range(5)), key=lambda a: a.id)
    assert house.read(lambda tx: tx.accounts.batch(None, 2)) == accounts[:2]
    assert house.read(lambda tx: tx.accounts.batch(accounts[1].id, 9)) == accounts[2:]
    assert house.read(lambda tx: tx.accounts.batch(accounts[4].id, 9)) == []


def test_accounts_whose_purge_is_due_are_found(house):
    """Closed and past the date, a legal hold notwithstanding; and what has begun, at any time."""
    at = house.now()
    house.account("active")
    house.account("zoe", state=AccountState.CLOSED, purge_at=at, legal_hold_at=at)
    house.account("adam", state=AccountState.CLOSED, purge_at=at)
    house.account("later", state=AccountState.CLOSED, purge_at=at + timedelta(microseconds=1))
    house.account("begun", state=AccountState.PURGING, purge_at=at + timedelta(days=9))
    found = house.read(lambda tx: tx.accounts.due(at))
    assert [account.name for account in found] == ["adam", "begun", "zoe"]


def test_who_has_chosen_a_preference_is_found(house):
    alice, bob = house.account(), house.account("bob")

    def choose_txn(tx):
        tx.accounts.set_preference(alice.id, "a", "1")
        tx.accounts.set_preference(alice.id, "b", "2")
        tx.accounts.set_preference(alice.id, "c", "3")
        tx.accounts.set_preference(bob.id, "c", "4")

    house.run(choose_txn)
    assert house.read(lambda tx: tx.accounts.choosing(["a", "b"])) == {
        alice.id: {"a": "1", "b": "2"}
    }
    assert house.read(lambda tx: tx.accounts.choosing(["c"])) == {
        alice.id: {"c": "3"},
        bob.id: {"c": "4"},
    }
    assert house.read(lambda tx: tx.accounts.choosing([])) == {}


def test_held_numbers_of_nobody_are_freed_when_their_hold_ends(house):
    """Not a moment early, with their aliases; a closed account's own numbers stay its own."""
    account = house.account()
    until = house.now() + timedelta(days=60)

    def add_txn(tx):
        for e164 in ("+15551230001", "+15551230002", "+15551230003"):
            tx.numbers.add(Number(e164, account.id), now=house.now())
        tx.numbers.hold("+15551230001", until)
        tx.numbers.hold("+15551230002", until + timedelta(seconds=1))
        tx.numbers.set_state("+15551230003", NumberState.SUSPENDED, hold_until=until)

    house.run(add_txn)
    assert house.run(lambda tx: tx.numbers.free_held(until - timedelta(microseconds=1))) == 0
    assert house.run(lambda tx: tx.numbers.free_held(until)) == 1
    assert house.read(lambda tx: tx.numbers.get("+15551230001")) is None
    assert house.read(lambda tx: tx.numbers.get("+15551230002")).state is NumberState.HELD
    assert house.read(lambda tx: tx.numbers.get("+15551230003")).account_id == account.id


def test_several_accounts_are_deleted_at_once(house):
    """With their failures and messages; who is not there, or not named, is no matter."""
    alice, bob, carl = house.account(), house.account("bob"), house.account("carl")

    def fill_txn(tx):
        for account in (alice, bob, carl):
            tx.lockouts.record_failure(f"imap:{account.name}", house.now())
            tx.lockouts.record_failure(f"pin:{account.id}", house.now())
            tx.records.audit(AuditRecord(house.now(), "op", "note", account.id, "x"))

    house.run(fill_txn)
    for account in (alice, bob, carl):
        house.deliver(account, house.folder(account))
    house.run(lambda tx: tx.accounts.delete(alice.id, carl.id, "0" * 32))
    assert [each.id for each in house.read(lambda tx: tx.accounts.every())] == [bob.id]
    long_ago = house.now() - timedelta(days=1)

    def failures_txn(tx):
        subjects = [f"imap:{each.name}" for each in (alice, bob, carl)]
        subjects += [f"pin:{each.id}" for each in (alice, bob, carl)]
        return [tx.lockouts.failures(subject, since=long_ago) for subject in subjects]

    assert house.read(failures_txn) == [0, 1, 0, 0, 1, 0]
    assert len(house.read(lambda tx: tx.messages.discarded(9, of=[alice.id, carl.id]))) == 2
    assert len(house.read(lambda tx: tx.records.audit_of(bob.id))) == 1
    assert house.used(bob) == 1000

"""The contract of `ForwardAddresses` and `Outbox`."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.stores import on_database
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.forwarding import (
    AddressState,
    AfterCopy,
    CopyMode,
    ForwardAddress,
    OutboxEntry,
    OutboxState,
    Purpose,
)

MINUTE = timedelta(minutes=1)


def address(house, account, text="anna@example.org", **fields):
    return ForwardAddress(uuid.uuid4().hex, account.id, text, house.now(), **fields)


def row(house, account, *, age=timedelta(), **fields):
    at = house.now() - age
    entry = OutboxEntry(
        uuid.uuid4().hex, account.id, Purpose.COPY, "anna@example.org", at, at, **fields
    )
    house.run(lambda tx: tx.outbox.add(entry))
    return entry


def get(house, entry):
    return house.read(lambda tx: tx.outbox.get(entry.id))


def lease(house, *, limit=10):
    now = house.now()
    return house.run(lambda tx: tx.outbox.lease(now, now + 10 * MINUTE, limit=limit))


def test_addresses_come_back_whole(house):
    """All fields survive, case is no difference within an account, another account may have it."""
    anna, bob = house.account("anna"), house.account("bob")
    given = address(
        house,
        anna,
        "Änna@Example.org",
        state=AddressState.DISABLED,
        token_hash="a" * 64,
        token_expires_at=house.now() + MINUTE,
        confirmed_at=house.now(),
        bounces=3,
        bounced_at=house.now(),
    )
    house.run(lambda tx: tx.addresses.add(given))
    for found in (
        house.read(lambda tx: tx.addresses.get(given.id)),
        house.read(lambda tx: tx.addresses.find(anna.id, "äNNA@example.ORG")),
        house.read(lambda tx: tx.addresses.by_token("a" * 64)),
    ):
        assert found == given
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.addresses.add(address(house, anna, "änna@example.org")))
    house.run(lambda tx: tx.addresses.add(address(house, bob, "änna@example.org")))
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.addresses.add(replace(given, id="1" * 32, account_id="f" * 32)))


def test_addresses_are_saved_and_removed(house):
    """A saved one is as it was given; to save or remove one that is gone does nothing."""
    anna = house.account()
    first, second = address(house, anna), address(house, anna, "b@example.org")
    second = replace(second, created_at=first.created_at + MINUTE)
    for each in (second, first):
        house.run(lambda tx, each=each: tx.addresses.add(each))
    changed = replace(first, state=AddressState.CONFIRMED, token_hash=None)
    house.run(lambda tx: tx.addresses.save(changed))
    assert house.read(lambda tx: tx.addresses.of_account(anna.id)) == [changed, second]
    for _ in range(2):
        house.run(lambda tx: tx.addresses.remove(first.id))
    house.run(lambda tx: tx.addresses.save(changed))
    assert house.read(lambda tx: tx.addresses.of_account(anna.id)) == [second]
    assert house.read(lambda tx: tx.addresses.by_token("b" * 64)) is None


def test_rows_come_back_whole(house):
    """All fields survive; a row of no account or no message cannot be."""
    anna = house.account()
    entry = house.deliver(anna, house.folder(anna))
    given = row(
        house,
        anna,
        content_id=entry.content_id,
        mailbox_id=entry.mailbox_id,
        uid=entry.uid,
        mode=CopyMode.ATTACH,
        after=AfterCopy.TRASH,
        detail='{"é": 1}',
    )
    assert get(house, given) == given
    assert house.read(lambda tx: tx.outbox.of_content(entry.content_id)) == [given]
    for wrong in ({"account_id": "f" * 32}, {"content_id": "f" * 32}):
        other = replace(given, id=uuid.uuid4().hex, **wrong)
        with pytest.raises(NotFoundError):
            house.run(lambda tx, other=other: tx.outbox.add(other))
    assert house.read(lambda tx: tx.outbox.get("f" * 32)) is None


def test_a_lease_is_one_owners(house):
    """What is due goes out once, the longest due first; it is due again when the lease is over."""
    anna = house.account()
    late = row(house, anna, age=MINUTE)
    later = row(house, anna)
    future = row(house, anna, age=-MINUTE)
    until = house.now() + 10 * MINUTE
    assert lease(house, limit=1) == [replace(late, leased_until=until)]
    assert lease(house) == [replace(later, leased_until=until)]
    assert lease(house) == []
    house.clock.advance(60)
    assert [each.id for each in lease(house)] == [future.id]
    house.clock.advance(600)
    assert [each.id for each in lease(house)] == [late.id, later.id, future.id]
    assert house.run(lambda tx: tx.outbox.release()) == 3
    assert len(lease(house)) == 3


def test_when_the_next_is_due(house):
    """The instant at which a lease would next give something: nothing, a row, or a lease's end."""
    anna = house.account()
    assert house.read(lambda tx: tx.outbox.next_due()) is None
    row(house, anna, age=-MINUTE)
    first = row(house, anna)
    assert house.read(lambda tx: tx.outbox.next_due()) == house.now()
    lease(house)
    assert house.read(lambda tx: tx.outbox.next_due()) == house.now() + MINUTE
    house.clock.advance(60)
    lease(house)
    assert house.read(lambda tx: tx.outbox.next_due()) == first.created_at + 10 * MINUTE


def test_webhooks_have_a_lane_of_their_own(house):
    """Leased and due apart from mails; without a word both are meant."""
    anna = house.account()
    mail = row(house, anna, age=MINUTE)
    hook = replace(mail, id=uuid.uuid4().hex, purpose=Purpose.WEBHOOK, next_try=house.now())
    house.run(lambda tx: tx.outbox.add(hook))

    def due(webhooks):
        return house.read(lambda tx: tx.outbox.next_due(webhooks=webhooks))

    assert (due(None), due(False)) == (mail.next_try, mail.next_try)
    assert due(True) == hook.next_try
    now, until = house.now(), house.now() + MINUTE
    for webhooks, wanted in ((True, hook), (False, mail)):
        taken = house.run(
            lambda tx, lane=webhooks: tx.outbox.lease(now, until, limit=9, webhooks=lane)
        )
        assert [each.id for each in taken] == [wanted.id]
    assert lease(house) == []


def test_what_did_not_arrive_is_listed(house):
    """Refused, given up and bounced, the last first; what went well or was cancelled is not."""
    anna = house.account()
    ends = [
        OutboxState.REFUSED,
        OutboxState.DONE,
        OutboxState.GIVEN_UP,
        OutboxState.CANCELLED,
        OutboxState.BOUNCED,
    ]
    rows = [row(house, anna) for _ in ends]
    for number, (each, state) in enumerate(zip(rows, ends, strict=True)):
        at = house.now() + number * MINUTE
        house.run(lambda tx, r=each, s=state, at=at: tx.outbox.settle(r.id, s, at, error="x"))
    row(house, anna)
    found = house.read(lambda tx: tx.outbox.ended_badly())
    assert [each.id for each in found] == [rows[4].id, rows[2].id, rows[0].id]
    assert house.read(lambda tx: tx.outbox.ended_badly(limit=1)) == found[:1]


def test_how_a_row_goes_on(house):
    """A retry counts and ends the lease; a settled one is not tried again; one that is gone tells."""
    anna = house.account()
    entry = row(house, anna)
    lease(house)
    soon = house.now() + MINUTE
    assert house.run(lambda tx: tx.outbox.retry_at(entry.id, soon, error="421 ü"))
    found = get(house, entry)
    assert (found.attempts, found.next_try, found.last_error) == (1, soon, "421 ü")
    assert found.leased_until is None
    assert lease(house) == []
    house.clock.advance(60)
    assert [each.id for each in lease(house)] == [entry.id]
    at = house.now()
    assert house.run(lambda tx: tx.outbox.settle(entry.id, OutboxState.REFUSED, at, error="550"))
    found = get(house, entry)
    assert (found.state, found.finished_at, found.last_error) == (OutboxState.REFUSED, at, "550")
    house.clock.advance(days=30)
    assert lease(house) == []
    assert not house.run(lambda tx: tx.outbox.settle("f" * 32, OutboxState.DONE, at))
    assert not house.run(lambda tx: tx.outbox.retry_at("f" * 32, at, error=""))


def test_listing_hurrying_cancelling_and_forgetting(house):
    """The queue is listed, hurried by account, cancelled by target and swept by age."""
    anna, bob = house.account("anna"), house.account("bob")
    first = row(house, anna, age=-MINUTE)
    second = row(house, anna, age=-2 * MINUTE)
    other = row(house, bob, age=-3 * MINUTE)
    assert house.read(lambda tx: tx.outbox.waiting()) == [first, second, other]
    assert house.read(lambda tx: tx.outbox.waiting(limit=1)) == [first]
    assert house.read(lambda tx: tx.outbox.of_account(anna.id)) == [second, first]
    assert house.read(lambda tx: tx.outbox.count_waiting()) == 3
    now = house.now()
    assert house.run(lambda tx: tx.outbox.hurry(now, account_id=bob.id)) == 1
    assert [each.id for each in lease(house)] == [other.id]
    assert house.run(lambda tx: tx.outbox.hurry(now)) == 2
    assert house.run(lambda tx: tx.outbox.cancel(anna.id, "anna@example.org", now)) == 2
    assert get(house, first).state is OutboxState.CANCELLED
    assert house.read(lambda tx: tx.outbox.count_waiting()) == 1
    assert house.run(lambda tx: tx.outbox.forget(now)) == 0
    assert house.run(lambda tx: tx.outbox.forget(now + MINUTE)) == 2
    assert get(house, first) is None


def test_a_row_outlives_its_message_but_not_its_account(house):
    """An expunge leaves the row without a message; the account's end takes rows and addresses."""
    anna, bob = house.account("anna"), house.account("bob")
    folder = house.folder(anna)
    entry = house.deliver(anna, folder)
    about = row(house, anna, content_id=entry.content_id)
    kept = row(house, bob)
    house.run(lambda tx: tx.addresses.add(address(house, anna)))
    house.run(lambda tx: tx.messages.expunge(folder.id, [entry.uid]))
    assert get(house, about) == replace(about, content_id=None)
    house.run(lambda tx: tx.accounts.delete(anna.id))
    assert get(house, about) is None
    assert house.read(lambda tx: tx.addresses.of_account(anna.id)) == []
    assert get(house, kept) == kept


def test_two_processes_never_lease_the_same_row(persistent):
    """Leases taken at the same time by two stores share nothing, and together take everything."""
    anna = persistent.account()
    wanted = {row(persistent, anna).id for _ in range(40)}
    other = on_database(persistent.url)
    try:
        taken: list[str] = []

        def lease_all(house):
            found = []
            while got := lease(house, limit=3):
                found += [each.id for each in got]
            return found

        with ThreadPoolExecutor(2) as threads:
            for ids in threads.map(lease_all, (persistent, other)):
                taken += ids
        assert len(taken) == len(set(taken))
        assert set(taken) == wanted
    finally:
        other.close()

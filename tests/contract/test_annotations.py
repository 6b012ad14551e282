"""`Annotations`: every store keeps notes alike, and loses them with what they are about."""

import pytest

from um.core.errors import NotFoundError


def put(house, account, place, **values):
    named = {f"/private/{name}": value for name, value in values.items()}
    house.run(lambda tx: tx.annotations.put(account.id, place, named))


def notes(house, account, place=None):
    return house.read(lambda tx: tx.annotations.of(account.id, place))


def test_notes_are_set_replaced_and_removed(house):
    """Any octets; a folder's, the account's and a neighbour's are kept apart."""
    alice, bob = house.account(), house.account("bob")
    inbox = house.folder(alice)
    put(house, alice, inbox.id, a=b"\0\xff", b=b"")
    put(house, alice, None, a=b"own")
    put(house, bob, None, a=b"bob's")
    put(house, alice, inbox.id, a=b"new", b=None, c=None)
    assert notes(house, alice, inbox.id) == {"/private/a": b"new"}
    assert notes(house, alice) == {"/private/a": b"own"}
    assert house.read(lambda tx: tx.annotations.total(alice.id)) == (2, 6)
    assert house.read(lambda tx: tx.annotations.total("0" * 32)) == (0, 0)


def test_a_note_raises_the_mod_sequence_of_its_folder(house):
    """RFC 7162 §3.2: who synchronises by it finds out; the account's own notes are of no folder."""
    alice = house.account()
    inbox, other = house.folder(alice), house.folder(alice, "Other")

    def highest(place):
        return house.read(lambda tx: tx.mailboxes.get(place).highest_modseq)

    before = highest(inbox.id), highest(other.id)
    put(house, alice, None, a=b"x")
    put(house, alice, inbox.id)
    assert (highest(inbox.id), highest(other.id)) == before
    put(house, alice, inbox.id, a=b"x", b=None)
    assert (highest(inbox.id), highest(other.id)) == (before[0] + 1, before[1])


def test_notes_need_what_they_are_about(house):
    alice, bob = house.account(), house.account("bob")
    inbox = house.folder(alice)
    for account, place in ((bob, inbox.id), (alice, "0" * 32)):
        with pytest.raises(NotFoundError):
            put(house, account, place, a=b"x")
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.annotations.put("0" * 32, None, {"/private/a": b"x"}))


def test_notes_follow_their_folder_and_go_with_it(house):
    alice = house.account()
    inbox, other = house.folder(alice), house.folder(alice, "Other")
    for place in (inbox.id, other.id, None):
        put(house, alice, place, a=b"x")
    house.run(lambda tx: tx.mailboxes.rename(other.id, "Elsewhere"))
    assert notes(house, alice, other.id) == {"/private/a": b"x"}
    house.run(lambda tx: tx.mailboxes.delete(other.id))
    assert house.read(lambda tx: tx.annotations.total(alice.id)) == (2, 2)
    house.run(lambda tx: tx.accounts.delete(alice.id))
    assert house.read(lambda tx: tx.annotations.total(alice.id)) == (0, 0)

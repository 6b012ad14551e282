"""The contract of `Messages`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from um.core.account import AccountState
from um.core.errors import AlreadyExistsError, InvalidError, NotFoundError
from um.core.events import MailboxChanged
from um.core.message import DELETED, FLAGGED, SEEN, Copied, Entry, FlagOperation, MessageKind

ADD, REMOVE, REPLACE = FlagOperation.ADD, FlagOperation.REMOVE, FlagOperation.REPLACE


def test_an_entry_comes_back_as_it_was_stored(house):
    """UIDs and MODSEQs grow one by one; instants are kept in UTC to the microsecond."""
    account = house.account()
    inbox = house.folder(account)
    content = house.content(account, 77, kind=MessageKind.VOICE, duration_seconds=12)
    at = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone(timedelta(hours=-5)))

    def add_txn(tx):
        tx.messages.add_content(content)
        return tx.messages.add_entry(
            inbox.id,
            content.id,
            flags=["\\seen", "$Label", "$label", "Two"],
            internal_date=at,
            saved_at=house.now(),
            trashed_at=at,
        )

    entry = house.run(add_txn)
    assert entry == Entry(
        mailbox_id=inbox.id,
        uid=1,
        account_id=account.id,
        content_id=content.id,
        kind=MessageKind.VOICE,
        size_octets=77,
        modseq=2,
        flags=frozenset({SEEN, "$Label", "Two"}),
        internal_date=at,
        saved_at=house.now(),
        trashed_at=at,
    )
    assert entry.internal_date.tzinfo is UTC
    assert house.entries(inbox) == [entry]
    assert house.read(lambda tx: tx.messages.entry(inbox.id, entry.uid)) == entry
    assert house.read(lambda tx: tx.messages.entry(inbox.id, 2)) is None
    assert house.deliver(account, inbox).uid == 2
    assert house.read(lambda tx: tx.mailboxes.get(inbox.id)).uidnext == 3


@pytest.mark.parametrize("year", [1, 1969, 1970, 2106, 9999])
def test_any_internal_date_is_kept(house, year):
    """APPEND may name any date (RFC 3501 §6.3.11)."""
    account = house.account()
    inbox = house.folder(account)
    entry = house.deliver(account, inbox)
    at = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    added = house.run(
        lambda tx: tx.messages.add_entry(
            inbox.id, entry.content_id, flags=(), internal_date=at, saved_at=house.now()
        )
    )
    assert house.read(lambda tx: tx.messages.entry(inbox.id, added.uid)).internal_date == at


def test_contents_come_back_byte_for_byte(house):
    """Rendered structures are octets, NUL and 8-bit included; unknown ids are left out."""
    account = house.account()
    inbox = house.folder(account)
    entry = house.deliver(account, inbox, kind=MessageKind.FAX, pages=3, thread_id="t")
    found = house.read(lambda tx: tx.messages.contents([entry.content_id, "f" * 32]))
    content = found[entry.content_id]
    assert list(found) == [entry.content_id]
    assert (content.envelope, content.structure) == (b'("x\x00\xff")', b"\x00\x01")
    assert (content.pages, content.thread_id, content.kind) == (3, "t", MessageKind.FAX)
    assert type(content.envelope) is bytes
    assert house.read(lambda tx: tx.messages.contents([])) == {}
    assert house.read(lambda tx: tx.messages.blobs_of(account.id)) == {content.blob}
    known = house.read(lambda tx: tx.messages.known_blobs([content.blob, "f" * 32]))
    assert known == {content.blob}
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.messages.add_content(content))


def test_an_entry_needs_its_content_and_folder(house):
    """Neither a missing content or folder nor one of another account makes an entry."""
    alice, bob = house.account("alice"), house.account("bob")
    inbox, foreign = house.folder(alice), house.folder(bob)
    entry = house.deliver(alice, inbox)
    times = {"flags": (), "internal_date": house.now(), "saved_at": house.now()}
    for folder, content in (
        (foreign.id, entry.content_id),
        ("f" * 32, entry.content_id),
        (inbox.id, "f" * 32),
    ):
        with pytest.raises(NotFoundError):
            house.run(
                lambda tx, folder=folder, content=content: tx.messages.add_entry(
                    folder, content, **times
                )
            )
    with pytest.raises(NotFoundError):
        house.run(
            lambda tx: tx.messages.add_content(replace(house.content(bob), account_id="f" * 32))
        )
    assert (house.used(alice), house.used(bob)) == (1000, 0)


def test_an_ingest_key_is_remembered_once(house):
    """A key names the first delivery until it is forgotten, even after the message is gone."""
    account = house.account()
    inbox = house.folder(account)
    first, second = house.deliver(account, inbox), house.deliver(account, inbox)
    at = house.now()
    house.run(lambda tx: tx.messages.remember_ingest("key", first, at))
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.messages.remember_ingest("key", second, at))
    house.run(lambda tx: tx.messages.expunge(inbox.id, [first.uid]))
    assert house.read(lambda tx: tx.messages.ingested("key")) == (inbox.id, first.uid)
    assert house.read(lambda tx: tx.messages.ingested("other")) is None
    assert house.run(lambda tx: tx.messages.forget_ingests(at)) == 0
    assert house.run(lambda tx: tx.messages.forget_ingests(at + timedelta(seconds=1))) == 1
    assert house.read(lambda tx: tx.messages.ingested("key")) is None


def test_a_taken_key_may_be_seen_within_the_transaction(house):
    """The refusal leaves the transaction whole: the caller may go on in it."""
    account = house.account()
    inbox = house.folder(account)
    first = house.deliver(account, inbox)
    house.run(lambda tx: tx.messages.remember_ingest("key", first, house.now()))

    def retry_txn(tx):
        with pytest.raises(AlreadyExistsError):
            tx.messages.remember_ingest("key", first, house.now())
        return tx.messages.ingested("key")

    assert house.run(retry_txn) == (inbox.id, first.uid)


def test_entries_since_a_modseq(house):
    """Only what changed after `since` is listed, by UID."""
    account = house.account()
    inbox = house.folder(account)
    one, two, three = (house.deliver(account, inbox) for _ in range(3))
    house.run(lambda tx: tx.messages.change_flags(inbox.id, [one.uid], ADD, [SEEN]))
    assert [each.uid for each in house.entries(inbox, since=two.modseq)] == [one.uid, three.uid]
    assert house.entries(house.folder(account, "Empty")) == []


@pytest.mark.parametrize(
    ("operation", "given", "after"),
    [
        (ADD, ["\\FLAGGED", "$work"], {SEEN, "$Work", FLAGGED}),
        (REMOVE, ["\\seen", "$WORK", "$None"], set()),
        (REPLACE, ["$WORK", DELETED], {"$Work", DELETED}),
        (REPLACE, [], set()),
    ],
)
def test_flags_are_added_removed_and_replaced(house, operation, given, after):
    """STORE in its three forms; a keyword keeps the case that it was first stored in."""
    account = house.account()
    inbox = house.folder(account)
    entry = house.deliver(account, inbox, flags=[SEEN, "$Work"])
    changed, failed = house.run(
        lambda tx: tx.messages.change_flags(inbox.id, [entry.uid, 99], operation, given)
    )
    assert failed == []
    assert changed == [replace(entry, flags=frozenset(after), modseq=entry.modseq + 1)]
    assert house.entries(inbox) == changed


def test_one_modseq_for_all_that_really_changed(house):
    """An entry whose flags are already so keeps its MODSEQ; the others share one new."""
    account = house.account()
    inbox = house.folder(account)
    entries = [house.deliver(account, inbox, flags=flags) for flags in ([], [SEEN], ["x"])]
    uids = [entry.uid for entry in entries]
    house.events.clear()
    after, _ = house.run(lambda tx: tx.messages.change_flags(inbox.id, uids, ADD, [SEEN]))
    new = entries[-1].modseq + 1
    assert [entry.modseq for entry in after] == [new, entries[1].modseq, new]
    assert house.events == [MailboxChanged(account.id, inbox.id, new)]
    house.events.clear()
    house.run(lambda tx: tx.messages.change_flags(inbox.id, uids, ADD, [SEEN]))
    assert house.events == []
    assert house.read(lambda tx: tx.mailboxes.get(inbox.id)).highest_modseq == new


def test_unchanged_since_spares_what_changed(house):
    """UNCHANGEDSINCE: messages changed later keep their flags and are named (RFC 7162 §3.1.3)."""
    account = house.account()
    inbox = house.folder(account)
    one, two = (house.deliver(account, inbox) for _ in range(2))
    after, failed = house.run(
        lambda tx: tx.messages.change_flags(
            inbox.id, [one.uid, two.uid], ADD, [SEEN], unchanged_since=one.modseq
        )
    )
    assert ([entry.uid for entry in after], failed) == ([one.uid], [two.uid])
    assert house.read(lambda tx: tx.messages.entry(inbox.id, two.uid)) == two


def test_a_flag_that_cannot_be_stored_changes_nothing(house):
    r"""`\Recent` belongs to a session; the refusal stores none of the flags beside it."""
    account = house.account()
    inbox = house.folder(account)
    entry = house.deliver(account, inbox)
    for flag in ("\\Recent", "\\Custom", "two words", ""):
        with pytest.raises(InvalidError):
            house.run(
                lambda tx, flag=flag: tx.messages.change_flags(
                    inbox.id, [entry.uid], ADD, [SEEN, flag]
                )
            )
    assert house.entries(inbox) == [entry]
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.messages.change_flags("f" * 32, [1], ADD, [SEEN]))


def test_a_copy_shares_the_content_and_is_charged(house):
    """COPY in UID order keeps flags and date, saves anew, charges the sizes, adds no blob."""
    account = house.account()
    inbox, folder = house.folder(account), house.folder(account, "Saved")
    one = house.deliver(account, inbox, 10, flags=[SEEN, "x"])
    two = house.deliver(account, inbox, 20)
    house.clock.advance(60)
    copied = house.run(
        lambda tx: tx.messages.copy(inbox.id, [two.uid, one.uid, 99], folder.id, house.now())
    )
    assert copied == [Copied(one.uid, 1), Copied(two.uid, 2)]
    there = house.entries(folder)
    assert [entry.content_id for entry in there] == [one.content_id, two.content_id]
    assert there[0].flags == one.flags
    assert there[0].internal_date == one.internal_date
    assert there[0].saved_at == house.now()
    assert house.entries(inbox) == [one, two]
    assert house.used(account) == 60
    assert len(house.read(lambda tx: tx.messages.blobs_of(account.id))) == 2


def test_a_copy_into_the_same_folder(house):
    """A folder may be its own target."""
    account = house.account()
    inbox = house.folder(account)
    entry = house.deliver(account, inbox, 10)
    copied = house.run(lambda tx: tx.messages.copy(inbox.id, [entry.uid], inbox.id, house.now()))
    assert copied == [Copied(1, 2)]
    assert [each.uid for each in house.entries(inbox)] == [1, 2]
    moved = house.run(lambda tx: tx.messages.move(inbox.id, [1], inbox.id, house.now()))
    assert moved == [Copied(1, 3)]
    assert [each.uid for each in house.entries(inbox)] == [2, 3]
    assert house.used(account) == 20


def test_a_move_is_neutral_to_the_quota(house):
    """MOVE leaves tombstones at the source and does not pass through a higher charge."""
    account = house.account()
    inbox, trash = house.folder(account), house.folder(account, "Trash")
    one, two = house.deliver(account, inbox, 10), house.deliver(account, inbox, 20)
    house.run(lambda tx: tx.messages.set_trashed(inbox.id, [one.uid], house.now()))
    house.events.clear()
    moved = house.run(lambda tx: tx.messages.move(inbox.id, [one.uid], trash.id, house.now()))
    assert moved == [Copied(one.uid, 1)]
    assert house.entries(inbox) == [two]
    assert [entry.trashed_at for entry in house.entries(trash)] == [None]
    (tombstone,) = house.read(lambda tx: tx.messages.vanished(inbox.id))
    assert tombstone.uid == one.uid
    assert house.used(account) == 30
    assert {event.mailbox_id for event in house.events} == {inbox.id, trash.id}


def test_messages_stay_within_their_account(house):
    """Neither COPY nor MOVE reaches another account's folder."""
    alice, bob = house.account("alice"), house.account("bob")
    inbox, foreign = house.folder(alice), house.folder(bob)
    entry = house.deliver(alice, inbox)
    for target, error in ((foreign.id, InvalidError), ("f" * 32, NotFoundError)):
        for how in ("copy", "move"):
            with pytest.raises(error):
                house.run(
                    lambda tx, how=how, target=target: getattr(tx.messages, how)(
                        inbox.id, [entry.uid], target, house.now()
                    )
                )
    assert house.entries(inbox) == [entry]
    assert house.entries(foreign) == []


def test_expunge_discharges_and_leaves_tombstones(house):
    """EXPUNGE frees room at once; tombstones share one MODSEQ; UIDs are never used again."""
    account = house.account()
    inbox = house.folder(account)
    entries = [house.deliver(account, inbox, size) for size in (1, 10, 100)]
    gone = house.run(lambda tx: tx.messages.expunge(inbox.id, [3, 1, 77]))
    assert gone == [1, 3]
    assert house.entries(inbox) == [entries[1]]
    assert house.used(account) == 10
    tombstones = house.read(lambda tx: tx.messages.vanished(inbox.id))
    assert [each.uid for each in tombstones] == [1, 3]
    assert {each.modseq for each in tombstones} == {entries[2].modseq + 1}
    since = tombstones[0].modseq
    assert house.read(lambda tx: tx.messages.vanished(inbox.id, since=since)) == []
    assert house.deliver(account, inbox).uid == 4
    house.events.clear()
    assert house.run(lambda tx: tx.messages.expunge(inbox.id, [1, 3])) == []
    assert house.events == []


def test_a_content_goes_with_its_last_entry(house):
    """A content lives while any folder names it; then its blob waits to be deleted."""
    account = house.account()
    inbox, folder = house.folder(account), house.folder(account, "Saved")
    entry = house.deliver(account, inbox)
    (blob,) = house.read(lambda tx: tx.messages.blobs_of(account.id))
    house.run(lambda tx: tx.messages.copy(inbox.id, [entry.uid], folder.id, house.now()))
    house.run(lambda tx: tx.messages.expunge(inbox.id, [entry.uid]))
    assert house.read(lambda tx: tx.messages.known_blobs([blob])) == {blob}
    house.run(lambda tx: tx.messages.expunge(folder.id, [1]))
    assert house.read(lambda tx: tx.messages.contents([entry.content_id])) == {}
    assert house.read(lambda tx: tx.messages.discarded(9)) == [blob]
    assert house.read(lambda tx: tx.messages.known_blobs([blob])) == {blob}
    assert house.read(lambda tx: tx.messages.blobs_of(account.id)) == {blob}
    house.run(lambda tx: tx.messages.forget_discarded([blob, "f" * 32]))
    assert house.read(lambda tx: tx.messages.known_blobs([blob])) == set()
    assert house.read(lambda tx: tx.messages.blobs_of(account.id)) == set()


def test_discarded_bodies_are_listed_by_age_and_owner(house):
    """Oldest first, as many as asked for; every way in which a content can go lists its body."""
    alice, bob = house.account("alice"), house.account("bob")
    start = house.now()
    for account, name in ((alice, "INBOX"), (alice, "Gone"), (bob, "INBOX")):
        folder = house.folder(account, name)
        for _ in range(2):
            house.deliver(account, folder)
        house.clock.advance(seconds=1)
        if name == "Gone":
            house.run(lambda tx, folder=folder: tx.mailboxes.delete(folder.id))
        else:
            house.run(lambda tx, folder=folder: tx.messages.expunge(folder.id, [1]))

    def discarded(limit=9, **options):
        return house.read(lambda tx: tx.messages.discarded(limit, **options))

    every = discarded()
    assert len(every) == 4
    assert discarded(3) == every[:3]
    assert discarded(of=[bob.id]) == every[3:]
    assert discarded(of=[alice.id]) == every[:3]
    assert discarded(before=start + timedelta(seconds=1)) == []
    assert discarded(before=start + timedelta(seconds=2)) == every[:1]
    assert discarded(of=[bob.id], before=start + timedelta(seconds=3)) == []
    house.clock.advance(seconds=1)
    house.run(lambda tx: tx.accounts.delete(bob.id))
    assert len(discarded(of=[bob.id])) == 2
    house.run(lambda tx: tx.messages.forget_discarded(every[:2]))
    assert discarded()[:2] == every[2:]


def test_a_body_that_is_needed_is_not_discarded(house):
    """Should two contents ever share a body, it goes with the last one; a rollback keeps it too."""
    account = house.account()
    inbox = house.folder(account)
    entry = house.deliver(account, inbox)
    first = house.read(lambda tx: tx.messages.contents([entry.content_id]))[entry.content_id]
    twin = replace(house.content(account), blob=first.blob)

    def twin_txn(tx):
        tx.messages.add_content(twin)
        tx.messages.add_entry(
            inbox.id, twin.id, flags=(), internal_date=house.now(), saved_at=house.now()
        )
        tx.messages.expunge(inbox.id, [entry.uid])

    house.run(twin_txn)
    assert house.read(lambda tx: tx.messages.discarded(9)) == []
    house.run(lambda tx: tx.messages.expunge(inbox.id, [2]))
    assert house.read(lambda tx: tx.messages.discarded(9)) == [first.blob]


def test_trashed_entries_are_found_by_their_age(house):
    """`trashed_before` finds what the owner threw away before an instant, until it is restored."""
    account = house.account()
    trash = house.folder(account, "Trash")
    old, new, never = (house.deliver(account, trash) for _ in range(3))
    at = house.now()
    house.run(lambda tx: tx.messages.set_trashed(trash.id, [old.uid], at - timedelta(days=8)))
    house.run(lambda tx: tx.messages.set_trashed(trash.id, [new.uid], at))
    found = house.read(lambda tx: tx.messages.trashed_before(at, 9))
    assert [entry.uid for entry in found] == [old.uid]
    assert found[0].modseq > never.modseq
    house.run(lambda tx: tx.messages.set_trashed(trash.id, [old.uid], None))
    assert house.read(lambda tx: tx.messages.trashed_before(at, 9)) == []


def test_only_active_accounts_give_their_trash_away(house):
    """Not those that may be reopened, nor those under a legal hold; at most as many as asked for."""
    at = house.now()
    active = house.account("active")
    others = [
        house.account("closed", state=AccountState.CLOSED),
        house.account("suspended", state=AccountState.SUSPENDED),
        house.account("held", legal_hold_at=at),
    ]
    for account in (active, *others):
        trash = house.folder(account, "Trash", special_use="\\Trash")
        uids = [house.deliver(account, trash).uid for _ in range(2)]
        house.run(
            lambda tx, trash=trash, uids=uids: tx.messages.set_trashed(trash.id, uids, house.now())
        )
    later = at + timedelta(days=8)
    found = house.read(lambda tx: tx.messages.trashed_before(later, 9))
    assert [(entry.account_id, entry.uid) for entry in found] == [(active.id, 1), (active.id, 2)]
    assert house.read(lambda tx: tx.messages.trashed_before(later, 1)) == found[:1]


def test_messages_are_found_by_kind_age_and_whether_they_were_heard(house):
    """By when they came into their folder (RFC 8514), outside Trash, of the accounts asked for."""
    alice, bob = house.account(), house.account("bob")
    inbox, trash = house.folder(alice), house.folder(alice, "Trash", special_use="\\Trash")
    theirs = house.folder(bob)
    old = house.deliver(alice, inbox, 10, kind=MessageKind.VOICE)
    heard = house.deliver(alice, inbox, 20, kind=MessageKind.VOICE, flags=["\\Seen"])
    house.deliver(alice, inbox, kind=MessageKind.FAX)
    house.deliver(alice, trash, kind=MessageKind.VOICE)
    house.deliver(bob, theirs, 40, kind=MessageKind.VOICE)
    before = house.now() + timedelta(seconds=1)
    house.clock.advance(1)
    house.deliver(alice, inbox, kind=MessageKind.VOICE)

    def aged(*accounts, seen_only=False, limit=9):
        return house.read(
            lambda tx: tx.messages.aged(
                [each.id for each in accounts],
                MessageKind.VOICE,
                before=before,
                seen_only=seen_only,
                limit=limit,
            )
        )

    def sums(*accounts, seen_only=False):
        return house.read(
            lambda tx: tx.messages.aged_sums(
                [each.id for each in accounts],
                MessageKind.VOICE,
                before=before,
                seen_only=seen_only,
            )
        )

    assert aged(alice) == [old, heard]
    assert aged(alice, seen_only=True) == [heard]
    assert aged(alice, limit=1) == [old]
    assert aged() == []
    assert len(aged(alice, bob)) == 3
    assert sums(alice, bob) == {alice.id: (2, 30), bob.id: (1, 40)}
    assert sums(alice, bob, seen_only=True) == {alice.id: (1, 20)}
    house.run(lambda tx: tx.messages.copy(inbox.id, [old.uid], inbox.id, house.now()))
    assert aged(alice) == [old, heard]  # the copy came just now

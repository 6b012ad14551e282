"""The contract of `Mailboxes`."""

import pytest

from um.core.errors import AlreadyExistsError, InvalidError, NotFoundError
from um.core.events import MailboxChanged
from um.core.message import DELETED, SEEN, MailboxStatus


def test_a_folder_begins_empty(house):
    """UIDNEXT and HIGHESTMODSEQ begin at 1; what was asked for is kept."""
    account = house.account()
    trash = house.folder(account, "Trash", special_use="\\Trash")
    assert (trash.uidnext, trash.highest_modseq, trash.recent_floor) == (1, 1, 0)
    assert trash.special_use == "\\Trash"
    assert len(trash.id) == 32
    assert house.read(lambda tx: tx.mailboxes.get(trash.id)) == trash
    assert house.read(lambda tx: tx.mailboxes.by_name(account.id, "Trash")) == trash
    assert house.read(lambda tx: tx.mailboxes.by_name(account.id, "trash")) is None


def test_folders_are_told_apart_by_name(house):
    """A name serves one folder of an account; the list is in the order of the names."""
    account, other = house.account(), house.account("other")
    for name in ("b/Ünter", "INBOX", "a"):
        house.folder(account, name)
    house.folder(other, "INBOX")
    names = [box.name for box in house.read(lambda tx: tx.mailboxes.of_account(account.id))]
    assert names == ["INBOX", "a", "b/Ünter"]
    with pytest.raises(AlreadyExistsError):
        house.folder(account, "INBOX")
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.mailboxes.create("f" * 32, "INBOX"))


def test_uidvalidity_never_repeats_for_a_name(house):
    """A folder that is made again, within one second too, has a greater UIDVALIDITY."""
    account = house.account()
    seen = []
    for _ in range(3):
        folder = house.folder(account, "Again")
        seen.append(folder.uidvalidity)
        house.run(lambda tx, folder=folder: tx.mailboxes.delete(folder.id))
    assert seen == sorted(set(seen))
    assert seen[0] >= int(house.now().timestamp())
    house.clock.advance(days=1)
    assert house.folder(account, "Again").uidvalidity == int(house.now().timestamp())
    house.clock.jump(house.now().replace(year=2001))
    assert house.folder(account, "Back").uidvalidity > seen[-1] + 86_000


def test_a_rename_keeps_the_folder(house):
    """The folder keeps its id, UIDs and messages; a taken name is refused."""
    account = house.account()
    folder, other = house.folder(account, "a"), house.folder(account, "other")
    entry = house.deliver(account, folder)
    house.events.clear()
    house.run(lambda tx: tx.mailboxes.rename(folder.id, "b"))
    renamed = house.read(lambda tx: tx.mailboxes.by_name(account.id, "b"))
    assert (renamed.id, renamed.uidvalidity) == (folder.id, folder.uidvalidity)
    assert house.entries(renamed) == [entry]
    assert [type(event) for event in house.events] == [MailboxChanged]
    with pytest.raises(AlreadyExistsError):
        house.run(lambda tx: tx.mailboxes.rename(folder.id, other.name))
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.mailboxes.rename("f" * 32, "c"))


def test_a_deleted_folder_leaves_nothing_behind(house):
    """Entries, tombstones and charge go; a content that lives elsewhere stays."""
    account = house.account()
    folder, inbox = house.folder(account, "a"), house.folder(account)
    kept = house.deliver(account, folder, 100)
    house.deliver(account, folder, 30)
    expunged = house.deliver(account, folder, 7)
    house.run(lambda tx: tx.messages.copy(folder.id, [kept.uid], inbox.id, house.now()))
    house.run(lambda tx: tx.messages.expunge(folder.id, [expunged.uid]))
    house.run(lambda tx: tx.mailboxes.delete(folder.id))
    assert house.read(lambda tx: tx.mailboxes.get(folder.id)) is None
    assert house.entries(folder) == []
    assert house.read(lambda tx: tx.messages.vanished(folder.id)) == []
    assert house.used(account) == 100
    assert len(house.read(lambda tx: tx.messages.blobs_of(account.id))) == 3
    assert len(house.read(lambda tx: tx.messages.discarded(9))) == 2
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.mailboxes.delete(folder.id))


def test_status_counts(house):
    """STATUS counts messages, recent, unseen and deleted ones and their octets."""
    account = house.account()
    inbox = house.folder(account)
    house.deliver(account, inbox, 10)
    house.run(lambda tx: tx.mailboxes.claim_recent(inbox.id))
    house.deliver(account, inbox, 20, flags=[SEEN])
    last = house.deliver(account, inbox, 40, flags=[SEEN, DELETED])
    assert house.read(lambda tx: tx.mailboxes.status(inbox.id)) == MailboxStatus(
        messages=3,
        recent=2,
        unseen=1,
        deleted=1,
        size_octets=70,
        deleted_octets=40,
        uidnext=last.uid + 1,
        uidvalidity=inbox.uidvalidity,
        highest_modseq=last.modseq,
    )
    empty = house.folder(account, "Empty")
    assert house.read(lambda tx: tx.mailboxes.status(empty.id)).size_octets == 0
    with pytest.raises(NotFoundError):
        house.read(lambda tx: tx.mailboxes.status("f" * 32))


def test_recent_is_claimed_once(house):
    r"""Each message is \Recent to the one session that claimed it."""
    account = house.account()
    inbox = house.folder(account)
    house.deliver(account, inbox)
    assert house.run(lambda tx: tx.mailboxes.claim_recent(inbox.id)) == 0
    assert house.run(lambda tx: tx.mailboxes.claim_recent(inbox.id)) == 1
    house.deliver(account, inbox)
    assert house.run(lambda tx: tx.mailboxes.claim_recent(inbox.id)) == 1
    assert house.run(lambda tx: tx.mailboxes.claim_recent(inbox.id)) == 2
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.mailboxes.claim_recent("f" * 32))


def test_subscriptions_need_no_folder(house):
    """A name may be subscribed that does not exist, once and for all (RFC 3501 §6.3.6)."""
    account = house.account()
    for name in ("Nowhere", "Nowhere", "Away"):
        house.run(lambda tx, name=name: tx.mailboxes.subscribe(account.id, name, on=True))
    for _ in range(2):
        house.run(lambda tx: tx.mailboxes.subscribe(account.id, "Away", on=False))
    assert house.read(lambda tx: tx.mailboxes.subscriptions(account.id)) == {"Nowhere"}
    with pytest.raises(NotFoundError):
        house.run(lambda tx: tx.mailboxes.subscribe("f" * 32, "x", on=True))


def test_a_name_that_is_no_text_is_refused(persistent):
    """A lone surrogate, as a broken modified UTF-7 name decodes to, is refused and not a fault."""
    account = persistent.account()
    with pytest.raises(InvalidError):
        persistent.folder(account, "a\ud800")
    assert persistent.read(lambda tx: tx.mailboxes.of_account(account.id)) == []

"""What an owner does with mailboxes, apart from any protocol."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from tests.support.house import House, incoming, mail
from um.core.errors import (
    AlreadyExistsError,
    InvalidError,
    NotFoundError,
    QuotaExceededError,
    ReadOnlyError,
    TooLargeError,
    UnavailableError,
)
from um.core.ids import MailboxId, ModSeq
from um.core.message import DELETED, INBOX, SEEN, TRASH, FlagOperation
from um.service.content_cache import ContentCache
from um.service.mailboxes import GoneError, MailboxService, NoTargetError


def service(house: House, **more: int) -> MailboxService:
    return MailboxService(house.store, house.blobs, house.delivery, house.clock, **more)


def run(story) -> None:
    asyncio.run(story())


async def box(mailboxes, account, name=INBOX):
    return await mailboxes.open(account.id, name)


def test_a_mailbox_of_another_account_is_not_there():
    """Every call names the account; nothing of another is read or changed by knowing an id."""

    async def story():
        house = House()
        mailboxes = service(house)
        alice, bob = await house.add(), await house.add("bob", None)
        await house.delivery.deliver(incoming(alice))
        inbox = (await box(mailboxes, alice)).mailbox.id
        calls = [
            lambda: mailboxes.changes(bob.id, inbox, since=ModSeq(0)),
            lambda: mailboxes.change_flags(
                bob.id, inbox, uids=[1], operation=FlagOperation.ADD, flags=[SEEN]
            ),
            lambda: mailboxes.expunge(bob.id, inbox),
            lambda: mailboxes.copy(bob.id, inbox, uids=[1], target=TRASH),
            lambda: mailboxes.move(bob.id, inbox, uids=[1], target=TRASH),
            lambda: mailboxes.discard(bob.id, inbox, uids=[1]),
        ]
        for call in calls:
            with pytest.raises(NotFoundError):
                await call()
        (entry,) = (await box(mailboxes, alice)).entries
        assert entry.flags == frozenset()

    run(story)


def test_a_suspended_account_may_look_and_not_touch():
    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        await house.delivery.deliver(incoming(alice))
        await house.accounts.suspend("alice", reason="unpaid")
        snapshot = await box(mailboxes, alice)
        (entry,) = snapshot.entries
        content = (await mailboxes.contents([entry]))[entry.content_id]
        assert await mailboxes.octets(content) == mail(1000)
        inbox = snapshot.mailbox.id
        for change in (
            lambda: mailboxes.create(alice.id, "x"),
            lambda: mailboxes.expunge(alice.id, inbox),
            lambda: mailboxes.move(alice.id, inbox, uids=[entry.uid], target=TRASH),
            lambda: mailboxes.may_append(alice.id, INBOX, 10),
            lambda: mailboxes.append(alice.id, INBOX, data=mail()),
            lambda: mailboxes.subscribe(alice.id, "x", on=True),
        ):
            with pytest.raises(ReadOnlyError):
                await change()

    run(story)


def test_what_the_owner_deletes_lies_in_trash_and_comes_back():
    """Phone and portal delete into Trash, with the instant it is swept by."""

    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        await house.delivery.deliver(incoming(alice))
        inbox = (await box(mailboxes, alice)).mailbox.id
        moved = await mailboxes.discard(alice.id, inbox, uids=[1])
        (entry,) = (await box(mailboxes, alice, TRASH)).entries
        assert entry.trashed_at == house.clock.now()
        await mailboxes.restore(alice.id, moved.target.id, uids=[entry.uid])
        (back,) = (await box(mailboxes, alice)).entries
        assert back.trashed_at is None
        assert (await mailboxes.usage(alice.id)).used_octets == 1000

    run(story)


def test_quota_of_copy_move_and_append():
    """COPY stands under the limit, into Trash under 110 % of it; MOVE under none."""

    async def story():
        house = House()
        mailboxes = service(house, append_octets=5000)
        alice = await house.add()
        await house.delivery.deliver(incoming(alice))
        await house.store.run(
            "quota", lambda tx: tx.accounts.save(replace(alice, quota_octets=1900))
        )
        inbox = (await box(mailboxes, alice)).mailbox.id
        with pytest.raises(QuotaExceededError):
            await mailboxes.copy(alice.id, inbox, uids=[1], target=INBOX)
        await mailboxes.copy(alice.id, inbox, uids=[1], target=TRASH)
        with pytest.raises(QuotaExceededError):
            await mailboxes.may_append(alice.id, INBOX, 1)
        with pytest.raises(QuotaExceededError):
            await mailboxes.append(alice.id, INBOX, data=mail())
        with pytest.raises(TooLargeError):
            await mailboxes.may_append(alice.id, INBOX, 5001)
        with pytest.raises(InvalidError):
            await mailboxes.append(alice.id, INBOX, data=b"")
        await mailboxes.move(alice.id, inbox, uids=[1], target=TRASH)
        assert (await mailboxes.usage(alice.id)).used_octets == 2000
        for call in (
            mailboxes.copy(alice.id, inbox, uids=[], target="Nowhere"),
            mailboxes.append(alice.id, "Nowhere", data=mail(900)),
        ):
            with pytest.raises((NoTargetError, QuotaExceededError)):
                await call

    run(story)


def test_copy_by_number_is_all_or_nothing():
    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        await house.delivery.deliver(incoming(alice))
        inbox = (await box(mailboxes, alice)).mailbox.id
        with pytest.raises(GoneError):
            await mailboxes.copy(alice.id, inbox, uids=[1, 2], target=TRASH, all_or_nothing=True)
        assert (await box(mailboxes, alice, TRASH)).entries == []
        done = await mailboxes.copy(alice.id, inbox, uids=[1, 2], target=TRASH)
        assert [each.source_uid for each in done.messages] == [1]

    run(story)


def test_changes_since_a_modseq_are_all_that_happened():
    r"""A reader that re-reads by MODSEQ misses nothing, and \\Recent goes to one of them."""

    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        for key in ("1", "2"):
            await house.delivery.deliver(incoming(alice, key))
        first = await mailboxes.open(alice.id, INBOX, claim_recent=True)
        assert first.recent_after == 0
        assert (await mailboxes.open(alice.id, INBOX, claim_recent=True)).recent_after == 2
        inbox, since = first.mailbox.id, first.mailbox.highest_modseq
        assert (await mailboxes.changes(alice.id, inbox, since=since)).entries == []
        await mailboxes.change_flags(
            alice.id, inbox, uids=[1], operation=FlagOperation.ADD, flags=[DELETED]
        )
        await house.delivery.deliver(incoming(alice, "3"))
        await mailboxes.expunge(alice.id, inbox)
        changes = await mailboxes.changes(alice.id, inbox, since=since, claim_recent=True)
        assert [entry.uid for entry in changes.entries] == [3]
        assert [tombstone.uid for tombstone in changes.vanished] == [1]
        assert changes.recent_after == 2
        again = await mailboxes.changes(
            alice.id, inbox, since=changes.mailbox.highest_modseq, claim_recent=True
        )
        assert (again.entries, again.vanished) == ([], [])

    run(story)


def test_a_full_disk_hides_no_mail():
    r"""A store that can only read shows all there is; \\Recent waits; an outage is logged once."""

    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        empty = await mailboxes.open(alice.id, INBOX, claim_recent=True)
        await house.delivery.deliver(incoming(alice, "1"))
        since, write = empty.mailbox.highest_modseq, house.store.run

        async def full(name, work):
            raise UnavailableError

        async def looks():
            snapshot = await mailboxes.open(alice.id, INBOX, claim_recent=True)
            changes = await mailboxes.changes(
                alice.id, empty.mailbox.id, since=since, claim_recent=True
            )
            return [
                ([entry.uid for entry in look.entries], look.recent_after)
                for look in (snapshot, changes)
            ]

        with capture_logs() as logs:
            house.store.run = full
            assert await looks() == [([1], 0), ([1], 0)]
            assert [each["event"] for each in logs] == ["recent not claimed"]
            house.store.run = write
            assert await looks() == [([1], 0), ([1], 1)]
            await house.delivery.deliver(incoming(alice, "2"))
            house.store.run = full
            assert await looks() == [([1, 2], 1), ([1, 2], 1)]
            assert [each["event"] for each in logs].count("recent not claimed") == 2
        house.store.unavailable = True
        with pytest.raises(UnavailableError):
            await looks()

    run(story)


def test_folders():
    """Names, hierarchy, and what belongs to the account."""

    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        await mailboxes.create(alice.id, "a/b/c")
        with pytest.raises(AlreadyExistsError):
            await mailboxes.create(alice.id, "a/b")
        for name in ("", "/a", "a/", "a//b", "x*", "x%", "x\n", "x" * 256, "/".join("x" * 21)):
            with pytest.raises(InvalidError):
                await mailboxes.create(alice.id, name)
        await mailboxes.delete(alice.id, "a/b")
        await mailboxes.rename(alice.id, "a/b", "z")
        for name, target in (("a", "a/x"), (TRASH, "t"), ("z", TRASH), ("nothing", "x")):
            with pytest.raises((InvalidError, AlreadyExistsError, NotFoundError)):
                await mailboxes.rename(alice.id, name, target)
        names = [folder.mailbox.name for folder in await mailboxes.folders(alice.id)]
        assert names == [INBOX, TRASH, "a", "z/c"]
        with pytest.raises(NotFoundError):
            await mailboxes.changes(alice.id, MailboxId("0" * 32), since=ModSeq(0))

    run(story)


def test_rendered_contents_are_kept_while_room_lasts():
    """A second look costs no query; the least recently used goes first."""

    async def story():
        house = House()
        mailboxes = service(house)
        alice = await house.add()
        for key in ("1", "2", "3"):
            await house.delivery.deliver(incoming(alice, key))
        entries = (await box(mailboxes, alice)).entries
        contents = await mailboxes.contents(entries)
        house.store.unavailable = True
        assert await mailboxes.contents(entries) == contents
        one, two, three = (contents[entry.content_id] for entry in entries)
        cache = ContentCache(1)
        cache.put([one])
        assert cache.used_octets == 0
        big = ContentCache(3_000)
        big.put([one, two])
        big.get([one.id])
        big.put([three])
        kept = big.get([one.id, two.id, three.id])
        assert two.id not in kept
        assert big.used_octets <= 3_000
        big.clear()
        assert big.get([one.id]) == {}

    run(story)

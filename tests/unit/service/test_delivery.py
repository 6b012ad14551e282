"""The laws of the one write path."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.house import House, incoming
from um.core.account import AccountState
from um.core.errors import (
    AccountClosedError,
    AccountSuspendedError,
    NotFoundError,
    QuotaExceededError,
    ReadOnlyError,
    UnavailableError,
)
from um.core.ids import AccountId
from um.core.message import INBOX, TRASH, MessageKind
from um.policy.quota import NOTICE_ROOM_OCTETS
from um.service.delivery import Room

MIB = 1024 * 1024


def run(coroutine):
    return asyncio.run(coroutine)


async def inbox(house, account):
    def entries(tx):
        return tx.messages.entries(tx.mailboxes.by_name(account.id, INBOX).id)

    return await house.store.read("inbox", entries)


async def put_in_state(house, account, state):
    await house.store.run("t", lambda tx: tx.accounts.save(replace(account, state=state)))


def test_a_delivery_is_stored_told_and_charged():
    """One message: its body, its entry with the next UID, its size on the quota, its event."""

    async def story():
        house = House()
        account = await house.add()
        first = await house.delivery.deliver(incoming(account, "a", duration_seconds=12))
        second = await house.delivery.deliver(incoming(account, "b", flags=["\\Seen"]))
        one, two = await inbox(house, account)
        assert (first.uid, second.uid) == (one.uid, two.uid) == (1, 2)
        assert two.flags == {"\\Seen"}
        assert one.internal_date == one.saved_at == house.clock.now()
        assert (await house.usage(account.id)).used_octets == 2000
        assert [event.uid for event in house.stored] == [1, 2]
        ids = [one.content_id]
        content = (await house.store.read("t", lambda tx: tx.messages.contents(ids)))[ids[0]]
        assert content.duration_seconds == 12
        assert await house.blobs.get(content.blob) == incoming(account).data
        assert len(house.blobs.blobs) == 2

    run(story())


def test_the_same_key_delivers_once():
    """A sender that lost our answer and tries again gets the first place; no body is left over."""

    async def story():
        house = House()
        account = await house.add()
        first = await house.delivery.deliver(incoming(account))
        again = await house.delivery.deliver(incoming(account))
        assert (again.mailbox_id, again.uid, again.uidvalidity) == (
            first.mailbox_id,
            first.uid,
            first.uidvalidity,
        )
        assert (first.duplicate, again.duplicate) == (False, True)
        assert len(await inbox(house, account)) == len(house.blobs.blobs) == 1
        assert len(house.stored) == 1

    run(story())


def test_two_at_once_with_one_key_store_one():
    async def story():
        house = House()
        account = await house.add()
        both = [house.delivery.deliver(incoming(account)) for _ in range(2)]
        placed = await asyncio.gather(*both)
        assert sorted(each.duplicate for each in placed) == [False, True]
        assert len(await inbox(house, account)) == len(house.blobs.blobs) == 1

    run(story())


class Rival:
    """A store in which another process takes the key while our transaction runs."""

    def __init__(self, house, message):
        self._house = house
        self._message = message

    async def run(self, name, work):
        if name == "deliver" and self._message is not None:
            message, self._message = self._message, None
            await self._house.delivery.deliver(message)

            def blind(tx):
                tx.messages.ingested = lambda _: None  # its snapshot was taken before
                return work(tx)

            return await self._house.store.run(name, blind)
        return await self._house.store.run(name, work)

    async def read(self, name, work):
        return await self._house.store.read(name, work)


def test_the_loser_of_a_race_for_a_key_returns_the_winners_place():
    """The key is UNIQUE: whoever commits second is a duplicate and deletes its own body."""

    async def story():
        house = House()
        account = await house.add()
        reservation = await house.delivery.reserve(account.id, 5000, seconds=60)
        loser = house.delivery_over(Rival(house, incoming(account)))
        placed = await loser.deliver(incoming(account, reservation_id=reservation))
        assert placed.duplicate
        assert len(await inbox(house, account)) == len(house.blobs.blobs) == 1
        assert (await house.usage(account.id)).reserved_octets == 0

    run(story())


class LostAnswer:
    """A store whose connection breaks between COMMIT and its answer, or before it."""

    def __init__(self, house, *, committed):
        self._house = house
        self._committed = committed

    async def run(self, name, work):
        if name == "deliver" and not self._committed:
            raise UnavailableError
        done = await self._house.store.run(name, work)
        if name == "deliver":
            raise UnavailableError
        return done

    async def read(self, name, work):
        return await self._house.store.read(name, work)


def test_an_unknown_commit_is_asked_after_by_its_key():
    """The answer to COMMIT is lost: the delivery looks before it says that it failed."""

    async def story():
        house = House()
        account = await house.add()
        delivery = house.delivery_over(LostAnswer(house, committed=True))
        placed = await delivery.deliver(incoming(account))
        assert not placed.duplicate
        (entry,) = await inbox(house, account)
        assert entry.uid == placed.uid
        assert len(house.blobs.blobs) == 1
        assert len(house.stored) == 1

    run(story())


def test_in_doubt_the_body_stays():
    """Not found after a lost answer may mean not yet: the body is the sweeper's, not ours."""

    async def story():
        house = House()
        account = await house.add()
        delivery = house.delivery_over(LostAnswer(house, committed=False))
        with pytest.raises(UnavailableError):
            await delivery.deliver(incoming(account))
        assert await inbox(house, account) == []
        assert len(house.blobs.blobs) == 1

    run(story())


def test_a_full_disk_stores_nothing():
    async def story():
        house = House()
        account = await house.add()
        house.blobs.unavailable = True
        with pytest.raises(UnavailableError):
            await house.delivery.deliver(incoming(account))
        house.blobs.unavailable = False
        house.store.unavailable = True
        with pytest.raises(UnavailableError):
            await house.delivery.deliver(incoming(account))
        house.store.unavailable = False
        assert await inbox(house, account) == []
        assert house.stored == []

    run(story())


@pytest.mark.parametrize("kind", list(MessageKind))
def test_the_state_of_the_account_opens_and_shuts_the_doors(kind):
    """Suspended takes invoices and notices, closed takes nothing, purging is unknown."""
    taken = {MessageKind.INVOICE, MessageKind.NOTICE}
    refusals = {
        AccountState.ACTIVE: None,
        AccountState.SUSPENDED: None if kind in taken else AccountSuspendedError,
        AccountState.CLOSED: AccountClosedError,
        AccountState.PURGING: NotFoundError,
    }

    async def story(state, refusal):
        house = House()
        account = await house.add()
        await put_in_state(house, account, state)
        if refusal is None:
            await house.delivery.may_take(account.id, kind)
            assert not (await house.delivery.deliver(incoming(account, kind=kind))).duplicate
            return
        with pytest.raises(refusal):
            await house.delivery.may_take(account.id, kind)
        with pytest.raises(refusal):
            await house.delivery.deliver(incoming(account, kind=kind))
        assert house.blobs.blobs == {}

    for state, refusal in refusals.items():
        run(story(state, refusal))


def test_an_owner_appends_only_while_the_account_is_active():
    """A suspended account is read only, also for invoices that its owner would file."""

    async def story():
        house = House()
        account = await house.add()
        own = incoming(account, kind=MessageKind.INVOICE, by_owner=True, mailbox=TRASH)
        assert (await house.delivery.deliver(own)).uid == 1
        await put_in_state(house, account, AccountState.SUSPENDED)
        with pytest.raises(ReadOnlyError):
            await house.delivery.deliver(replace(own, ingest_key="other"))

    run(story())


def test_unknown_accounts_and_folders_are_refused_without_a_trace():
    async def story():
        house = House()
        account = await house.add()
        with pytest.raises(NotFoundError):
            await house.delivery.deliver(incoming(account, mailbox="Nowhere"))
        with pytest.raises(NotFoundError):
            await house.delivery.deliver(replace(incoming(account), account_id=AccountId("no")))
        assert house.blobs.blobs == {}

    run(story())


def test_32_deliveries_at_once_into_the_last_4_mb_never_pass_the_limit():
    async def story():
        house = House()
        account = await house.add(quota_octets=100 * MIB)
        await house.delivery.deliver(incoming(account, "fill", size_octets=96 * MIB))
        messages = [incoming(account, f"k{n}", size_octets=MIB // 2) for n in range(32)]
        done = await asyncio.gather(
            *(house.delivery.deliver(each) for each in messages), return_exceptions=True
        )
        refused = [each for each in done if isinstance(each, QuotaExceededError)]
        assert len(refused) == 32 - 8
        assert (await house.usage(account.id)).used_octets == 100 * MIB
        assert len(house.blobs.blobs) == 9

    run(story())


def test_a_reservation_keeps_its_room_and_gives_it_to_its_message():
    """Promised before the beep, not refused after it; released with the delivery."""

    async def story():
        house = House()
        account = await house.add(quota_octets=2 * MIB)
        reservation = await house.delivery.reserve(account.id, MIB, seconds=300)
        await house.delivery.deliver(incoming(account, "other", size_octets=MIB))
        with pytest.raises(QuotaExceededError):
            await house.delivery.deliver(incoming(account, "third"))
        with pytest.raises(QuotaExceededError):
            await house.delivery.reserve(account.id, 1, seconds=1)
        message = incoming(account, "own", size_octets=MIB, reservation_id=reservation)
        await house.delivery.deliver(message)
        usage = await house.usage(account.id)
        assert (usage.used_octets, usage.reserved_octets) == (2 * MIB, 0)

    run(story())


def test_a_promise_outlives_a_suspension():
    """A caller who began to speak is heard, even if the account is suspended meanwhile."""

    async def story():
        house = House()
        account = await house.add()
        reservation = await house.delivery.reserve(account.id, 5000, seconds=300)
        await put_in_state(house, account, AccountState.SUSPENDED)
        with pytest.raises(AccountSuspendedError):
            await house.delivery.reserve(account.id, 5000, seconds=300)
        placed = await house.delivery.deliver(incoming(account, reservation_id=reservation))
        assert placed.uid == 1

    run(story())


def test_a_replay_is_never_refused_for_quota():
    """The server was down for longer than the reservation, and the mailbox filled up."""

    async def story():
        house = House()
        account = await house.add(quota_octets=MIB)
        reservation = await house.delivery.reserve(account.id, 5000, seconds=300)
        house.clock.advance(hours=1)
        await house.delivery.deliver(incoming(account, "full", size_octets=MIB))
        replay = incoming(account, "own", reservation_id=reservation)
        with pytest.raises(QuotaExceededError):
            await house.delivery.deliver(replay)
        await house.delivery.deliver(replace(replay, room=Room.PROMISED))

    run(story())


def test_a_fax_reserves_page_by_page():
    """It grows while there is room; the page that has none is refused and the rest stays."""

    async def story():
        house = House()
        account = await house.add(quota_octets=2 * MIB)
        delivery = house.delivery
        reservation = await delivery.reserve(account.id, MIB, seconds=60)
        await delivery.change_reservation(account.id, reservation, 2 * MIB, seconds=60)
        with pytest.raises(QuotaExceededError):
            await delivery.change_reservation(account.id, reservation, 3 * MIB, seconds=60)
        assert (await house.usage(account.id)).reserved_octets == 2 * MIB
        await delivery.change_reservation(account.id, reservation, 10, seconds=60)
        assert (await house.usage(account.id)).reserved_octets == 10
        await delivery.release(reservation)
        await delivery.release(reservation)
        assert (await house.usage(account.id)).reserved_octets == 0

    run(story())


def test_a_quota_notice_comes_through_a_full_mailbox():
    async def story():
        house = House()
        account = await house.add(quota_octets=MIB)
        await house.delivery.deliver(incoming(account, "full", size_octets=MIB))
        notice = incoming(account, "n", kind=MessageKind.NOTICE, room=Room.NOTICE)
        await house.delivery.deliver(notice)
        large = incoming(
            account, "m", kind=MessageKind.NOTICE, room=Room.NOTICE, size_octets=NOTICE_ROOM_OCTETS
        )
        with pytest.raises(QuotaExceededError):
            await house.delivery.deliver(large)

    run(story())


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "step",
    [
        "message.rendered",
        "blob.renamed",
        "transaction.begun",
        "transaction.charged",
        "transaction.entry-added",
        "transaction.before-commit",
        "transaction.committed",
    ],
)
def test_killed_at_any_step_a_retry_makes_exactly_one(step):
    """Whatever was done before, the second attempt with the same key ends with one message."""

    async def story():
        kill_at = [step]

        def steps(name):
            if kill_at == [name]:
                kill_at.clear()
                raise Killed

        house = House(steps=steps)
        account = await house.add()
        with pytest.raises(Killed):
            await house.delivery.deliver(incoming(account))
        assert kill_at == []
        again = await house.delivery.deliver(incoming(account))
        (entry,) = await inbox(house, account)
        assert entry.uid == again.uid
        assert (await house.usage(account.id)).used_octets == 1000

    run(story())


operations = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.integers(300, 400_000)),
        st.tuples(st.just("notice"), st.integers(300, 70_000)),
        st.tuples(st.just("reserve"), st.integers(1, 400_000)),
        st.tuples(st.just("spend"), st.integers(300, 400_000)),
        st.tuples(st.just("expunge"), st.integers(1, 6)),
        st.tuples(st.just("copy"), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.integers(1, 100)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(operations)
def test_used_is_the_sum_of_sizes_whatever_happens(steps):
    """Used octets are exact, UIDs grow, and no NORMAL delivery passes the limit."""

    async def story():
        house = House()
        account = await house.add(quota_octets=MIB)
        reservations = []
        last_uid = 0
        for number, (what, size) in enumerate(steps):
            before = await house.usage(account.id)
            try:
                if what == "deliver":
                    placed = await house.delivery.deliver(
                        incoming(account, f"k{number}", size_octets=size)
                    )
                    assert placed.uid > last_uid
                    last_uid = placed.uid
                    assert before.used_octets + before.reserved_octets + size <= MIB
                elif what == "notice":
                    message = incoming(
                        account,
                        f"k{number}",
                        size_octets=size,
                        kind=MessageKind.NOTICE,
                        room=Room.NOTICE,
                    )
                    last_uid = (await house.delivery.deliver(message)).uid
                elif what == "reserve":
                    reservations.append(await house.delivery.reserve(account.id, size, seconds=120))
                elif what == "spend" and reservations:
                    message = incoming(
                        account,
                        f"k{number}",
                        size_octets=size,
                        reservation_id=reservations.pop(),
                    )
                    last_uid = (await house.delivery.deliver(message)).uid
                elif what in ("expunge", "copy"):
                    await _change(house, account, what, size)
                    last_uid = max(last_uid, await _uidnext(house, account) - 1)
                elif what == "wait":
                    house.clock.advance(size)
            except QuotaExceededError:
                assert (await house.usage(account.id)).used_octets == before.used_octets
            sizes = [entry.size_octets for entry in await inbox(house, account)]
            assert (await house.usage(account.id)).used_octets == sum(sizes)

    run(story())


async def _uidnext(house, account):
    box = await house.store.read("t", lambda tx: tx.mailboxes.by_name(account.id, INBOX))
    return box.uidnext


async def _change(house, account, what, uid):
    def change(tx):
        box = tx.mailboxes.by_name(account.id, INBOX).id
        if what == "expunge":
            tx.messages.expunge(box, [uid])
        else:
            tx.messages.copy(box, [uid], box, house.clock.now())

    await house.store.run("change", change)

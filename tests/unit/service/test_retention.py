"""Messages that go by age where a rule says so; nothing goes of itself."""

import asyncio

import pytest

from storage.memory.accounts import MemoryAccounts
from tests.support.house import House, incoming
from um.core.errors import InvalidError, NotFoundError
from um.core.message import INBOX, SEEN, TRASH, FlagOperation, MessageKind
from um.core.retention import parse_rule
from um.policy.retention import KEEP
from um.service.housekeeping import Housekeeping, HousekeepingSettings
from um.service.retention import BATCH, Retention

OTHER = "+15551230002"
VOICE = "voice older than 60 days and heard -> Trash"
FAX = "fax older than 30 days -> delete"


def run(coroutine):
    return asyncio.run(coroutine)


def retention(house, *rules):
    return Retention(house.store, house.clock, house.settings, [parse_rule(each) for each in rules])


def housekeeping(house, rules):
    return Housekeeping(
        house.store,
        house.blobs,
        house.quarantine,
        house.purge(),
        house.clock,
        HousekeepingSettings(),
        retention=rules,
    )


async def hear(house, account, uid):
    def hear_txn(tx):
        inbox = tx.mailboxes.by_name(account.id, INBOX).id
        tx.messages.change_flags(inbox, [uid], FlagOperation.ADD, [SEEN])

    await house.store.run("t", hear_txn)


async def held(house, account, name=INBOX):
    """UIDs of a folder."""

    def held_txn(tx):
        folder = tx.mailboxes.by_name(account.id, name)
        return [entry.uid for entry in tx.messages.entries(folder.id)]

    return await house.store.read("t", held_txn)


async def furnished(house):
    """Alice with a heard and a new voice message, a fax and a mail; Bob with a heard one."""
    alice, bob = await house.add(), await house.add("bob", OTHER)
    kinds = (MessageKind.VOICE, MessageKind.VOICE, MessageKind.FAX, MessageKind.MAIL)
    for number, kind in enumerate(kinds):
        await house.delivery.deliver(incoming(alice, f"a{number}", kind=kind))
    await house.delivery.deliver(incoming(bob, "b", kind=MessageKind.VOICE))
    for account in (alice, bob):
        await hear(house, account, 1)
    return alice, bob


def test_nothing_goes_by_itself():
    """Years later every message is there: no rule, no deletion."""

    async def story():
        house = House()
        alice, bob = await furnished(house)
        keeper = housekeeping(house, retention(house))
        for _ in range(5):
            house.clock.advance(hours=23)
            await keeper.tick()
        house.clock.advance(days=3650)
        assert await retention(house).dry_run() == []
        assert await retention(house).run() == []
        assert (len(await held(house, alice)), len(await held(house, bob))) == (4, 1)

    run(story())


def test_a_rule_does_nothing_until_a_day_after_its_dry_run():
    """Seen, slept on, done: what goes is in Trash and in the audit log, and can be restored."""

    async def story():
        house = House()
        alice, bob = await furnished(house)
        rules = retention(house, VOICE)
        house.clock.advance(days=61)
        assert await rules.run() == []
        found = await rules.dry_run()
        assert {(each.account.name, each.messages, each.octets) for each in found} == {
            ("alice", 1, 1000),
            ("bob", 1, 1000),
        }
        assert await rules.run() == []
        house.clock.advance(hours=24)
        done = await rules.run()
        assert {(each.account.name, each.messages) for each in done} == {("alice", 1), ("bob", 1)}
        assert (await held(house, alice), await held(house, bob)) == ([2, 3, 4], [])
        assert len(await held(house, alice, TRASH)) == len(await held(house, bob, TRASH)) == 1
        assert await rules.run() == []
        told = (await house.records.audit("alice"))[-1]
        assert (told.actor, told.action) == ("housekeeping", "retention")
        assert told.detail == f"{VOICE}: 1 messages, 1000 octets"
        assert (await house.usage(alice.id)).used_octets == 4000
        # Trash has its own term, which begins now.
        keeper = housekeeping(house, rules)
        emptied = 0
        for _ in range(9):
            house.clock.advance(hours=23)
            emptied += (await keeper.tick())["trash"]
        assert emptied == 2

    run(story())


def test_the_accounts_own_rule_wins_and_is_shown_by_itself():
    """Alice keeps her voice messages and lets faxes go; the operator's rule holds for Bob."""

    async def story():
        house = House()
        alice, bob = await furnished(house)
        rules = retention(house, VOICE)
        await rules.choose("alice", MessageKind.VOICE, KEEP)
        await rules.choose("alice", MessageKind.FAX, FAX, reason="asked for", actor="cli:ann")
        house.clock.advance(days=61)
        found = await rules.dry_run("alice")
        assert [(str(each.standing.rule), each.messages) for each in found] == [(FAX, 1)]
        house.clock.advance(hours=24)
        assert [str(each.standing.rule) for each in await rules.run()] == [FAX]
        assert await held(house, alice) == [1, 2, 4]
        assert await held(house, alice, TRASH) == []
        assert await held(house, bob) == [1]
        chosen = [each for each in await house.records.audit("alice") if "rule" in each.action]
        assert (chosen[-1].actor, chosen[-1].detail) == ("cli:ann", f"fax: {FAX} (asked for)")
        # Another rule of the same kind is another rule: it wants a dry run of its own.
        await rules.choose("alice", MessageKind.FAX, "fax older than 1 days -> Trash")
        (standing,) = await rules.rules("alice")
        assert standing.shown_at is None
        await rules.choose("alice", MessageKind.VOICE, None)
        assert str((await rules.rules("alice"))[0].rule) == VOICE

    run(story())


def test_a_dry_run_of_one_account_looks_at_no_other(monkeypatch):
    """Owners ask for it on a page: it must not cost more with every account there is."""

    def everybody(*_):
        raise AssertionError

    async def story():
        house = House()
        await furnished(house)
        rules = retention(house)
        await rules.choose("alice", MessageKind.FAX, FAX)
        monkeypatch.setattr(MemoryAccounts, "choosing", everybody)
        house.clock.advance(days=61)
        assert [each.account.name for each in await rules.dry_run("alice")] == ["alice"]
        (standing,) = await rules.rules("alice")
        assert standing.shown_at == house.clock.now()

    run(story())


@pytest.mark.parametrize("change", ["suspend", "close", "hold"])
def test_accounts_that_are_not_active_or_under_a_hold_are_left_alone(change):
    async def story():
        house = House()
        alice, bob = await furnished(house)
        rules = retention(house, VOICE)
        await rules.dry_run()
        house.clock.advance(days=61)
        if change == "hold":
            await house.accounts.set_legal_hold("alice", on=True, reason="case 7")
        else:
            await getattr(house.accounts, change)("alice")
        assert [each.account.name for each in await rules.dry_run()] == ["bob"]
        assert [each.account.name for each in await rules.run()] == ["bob"]
        assert (await held(house, alice), await held(house, bob)) == ([1, 2, 3, 4], [])

    run(story())


def test_a_hold_that_comes_between_survey_and_change_holds():
    """Each transaction asks anew."""

    async def story():
        house = House()
        alice, _ = await furnished(house)
        rules = retention(house, VOICE)
        await rules.dry_run()
        house.clock.advance(days=61)
        async for batch in rules._survey("alice", house.clock.now()):
            await house.accounts.set_legal_hold("alice", on=True, reason="case 7")
            for each in batch:
                assert (await rules._carry_out(each, house.clock.now())).messages == 0
        assert await held(house, alice) == [1, 2, 3, 4]

    run(story())


def test_many_messages_go_in_bounded_transactions():
    async def story():
        house = House()
        alice = await house.add()
        for number in range(BATCH + 1):
            await house.delivery.deliver(incoming(alice, f"k{number}", kind=MessageKind.FAX))
        rules = retention(house, FAX)
        await rules.dry_run()
        house.clock.advance(days=31)
        (done,) = await rules.run()
        assert (done.messages, done.octets) == (BATCH + 1, 1000 * (BATCH + 1))
        audit = [each for each in await house.records.audit("alice") if each.action == "retention"]
        assert len(audit) == 2
        assert (await house.usage(alice.id)).used_octets == 0

    run(story())


def test_the_night_carries_rules_out_but_not_on_a_clock_that_jumped():
    """Once a night; three months in one step make nothing old."""

    async def story():
        house = House()
        alice, _ = await furnished(house)
        rules = retention(house, VOICE)
        keeper = housekeeping(house, rules)
        await rules.dry_run()
        await keeper.tick()
        house.clock.advance(days=90)
        ended = await keeper.tick()
        assert (ended["retention"], ended["trash"]) == (0, 0)
        assert await held(house, alice) == [1, 2, 3, 4]
        await house.purge().run(at=house.clock.now())
        house.clock.advance(hours=1)
        assert "retention" not in await keeper.tick()  # the night has been
        house.clock.advance(hours=23)
        assert (await keeper.tick())["retention"] == 2

    run(story())


def test_what_is_no_word_or_no_account_is_refused():
    async def story():
        house = House()
        await house.add()
        rules = retention(house)
        for kind, word in (
            (MessageKind.VOICE, "often"),
            (MessageKind.VOICE, FAX),
            (MessageKind.NOTICE, KEEP),
        ):
            with pytest.raises(InvalidError):
                await rules.choose("alice", kind, word)
        for call in (
            rules.rules("bob"),
            rules.dry_run("bob"),
            rules.run("bob"),
            rules.choose("bob", MessageKind.FAX, FAX),
        ):
            with pytest.raises(NotFoundError):
                await call

    run(story())


def test_a_rule_for_all_reaches_every_page_of_accounts():
    """More accounts than are looked at in one transaction."""

    async def story():
        house = House()
        for number in range(BATCH + 3):
            account = await house.add(f"user{number}", None)
            await house.delivery.deliver(incoming(account, account.name, kind=MessageKind.FAX))
        rules = retention(house, FAX)
        house.clock.advance(days=31)
        assert len(await rules.dry_run()) == BATCH + 3

    run(story())

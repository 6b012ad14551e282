"""Server-sent events: hints at once, for one's own account only, until the session ends."""

import asyncio

import pytest

from tests.support.house import incoming
from tests.support.web_house import WebHouse, run
from um.core.events import AccountChanged, MailboxChanged
from um.core.ids import AccountId, MailboxId, ModSeq
from um.service.events import LocalEventBus
from um.web.streams import MAX_OF_ACCOUNT, MAX_PENDING, Streams, TooManyStreamsError

ALICE, BOB = AccountId("a" * 32), AccountId("b" * 32)


class Listener:
    """One stream of an account, and what decides about it."""

    def __init__(self, streams: Streams, account_id: AccountId = ALICE) -> None:
        self.lives = True
        self.stream = streams.events(account_id, self._alive)

    async def _alive(self) -> bool:
        return self.lives

    async def next(self) -> str:
        """The next piece, without beats."""
        while (piece := await asyncio.wait_for(anext(self.stream), 5)) == b": beat\n\n":
            pass
        return piece.decode()

    async def rest(self) -> str:
        return b"".join([piece async for piece in self.stream]).decode()


def changed(account_id, mailbox="1"):
    return MailboxChanged(account_id, MailboxId(mailbox), ModSeq(1))


def test_changes_are_told_to_their_owner_only():
    """Several of one folder are one event; another account's are none."""

    async def scenario():
        bus = LocalEventBus()
        streams = Streams(bus, beat_seconds=0.01)
        alice, bob = Listener(streams), Listener(streams, BOB)
        assert "event: hello" in await alice.next()
        assert "event: hello" in await bob.next()
        bus.publish([changed(ALICE), changed(ALICE), changed(ALICE, "2"), AccountChanged(ALICE)])
        told = await alice.next()
        assert told.count("event: mailbox") == 2
        assert '{"mailbox": "1"}' in told
        assert told.count("event: account") == 1
        bus.publish([changed(BOB)])
        assert (await bob.next()).count("event") == 1

    run(scenario())


def test_a_stream_ends_with_its_session_and_with_the_server():
    """At once when something about the account changed, else with the next beat."""

    async def scenario():
        bus = LocalEventBus()
        streams = Streams(bus, beat_seconds=3600)
        first, second, third = (Listener(streams) for _ in range(3))
        for each in (first, second, third):
            await each.next()
        first.lives = False
        streams.wake(ALICE)
        assert "event: bye" in await asyncio.wait_for(first.rest(), 5)
        assert "event: account" in await second.next()
        streams.close()
        assert "event: bye" in await asyncio.wait_for(second.rest(), 5)
        with pytest.raises(TooManyStreamsError):
            streams.check_room(ALICE)
        quick = Streams(bus, beat_seconds=0.01)
        idle = Listener(quick)
        await idle.next()
        idle.lives = False
        assert "event: bye" in await asyncio.wait_for(idle.rest(), 5)
        await third.stream.aclose()

    run(scenario())


def test_streams_of_an_account_are_bounded_and_leave_room_when_they_end():
    async def scenario():
        streams = Streams(LocalEventBus(), beat_seconds=3600)
        listeners = [Listener(streams) for _ in range(MAX_OF_ACCOUNT)]
        for each in listeners:
            streams.check_room(ALICE)
            await each.next()
        with pytest.raises(TooManyStreamsError):
            streams.check_room(ALICE)
        late = Listener(streams)
        assert "event: bye" in await late.rest()
        streams.check_room(BOB)
        await listeners[0].stream.aclose()
        streams.check_room(ALICE)
        for each in listeners[1:]:
            await each.stream.aclose()

    run(scenario())


def test_a_reader_that_does_not_read_costs_little():
    """What waits for a slow page is bounded, however much happens."""

    async def scenario():
        bus = LocalEventBus()
        streams = Streams(bus, beat_seconds=3600)
        slow = Listener(streams)
        await slow.next()
        bus.publish([changed(ALICE, str(number)) for number in range(10 * MAX_PENDING)])
        told = await slow.next()
        assert told.count("event: mailbox") == MAX_PENDING
        assert "event: account" in told
        await slow.stream.aclose()

    run(scenario())


def test_a_delivery_is_heard_and_a_stream_is_no_use_of_the_session():
    """Thirty minutes on, the session ends although its page listened all the time."""
    web = WebHouse()
    account = run(web.house.add("alice"))
    cookie = web.logged_in().cookies["__Host-um"]

    async def scenario():
        async def alive():
            return await web.services.sessions.find(cookie, touch=False) is not None

        stream = web.services.streams.events(account.id, alive)
        await anext(stream)
        await web.house.delivery.deliver(incoming(account))
        told = b": beat\n\n"
        while told == b": beat\n\n":
            told = await asyncio.wait_for(anext(stream), 5)
        assert b"event: mailbox" in told
        for _ in range(4):
            web.house.clock.advance(minutes=8)
            last = await asyncio.wait_for(anext(stream), 5)
        assert b"event: bye" in last

    run(scenario())

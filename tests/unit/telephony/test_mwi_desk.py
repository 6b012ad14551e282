"""Message waiting as a whole, without a network: mailboxes in, NOTIFYs out."""

import asyncio
import random
from datetime import timedelta

import pytest
from twisted.internet.task import Clock

from tests.support.house import NUMBER, House, incoming
from tests.support.sip_bench import CORE, CountedMetrics, request
from um.core.account import NumberUse
from um.core.errors import InvalidError, UnavailableError
from um.core.message import FLAGGED, INBOX, SEEN, TRASH, FlagOperation, MessageKind
from um.service.message_waiting import MessageWaiting, Tallies
from um.telephony import mwi_reader
from um.telephony.mwi_desk import MessageWaitingDesk
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.layer import Hop
from um.telephony.sip.message import Response
from um.telephony.sip.parser import parse_message
from um.telephony.transport import parse_listen

TARGET = "sip:192.0.2.10:5060"
OTHER = "+15551230002"


class Port:
    """A SIP port without a socket, and the peer behind it that answers as `status` says."""

    def __init__(self, bench: "Bench") -> None:
        self.bench = bench
        self.endpoint = Endpoint(
            EndpointSettings("192.0.2.1", 5070), random.Random(7), CountedMetrics()
        )
        self.status: int | None = 200
        self.notices: list[tuple[str, str, str]] = []
        """Number, Voice-Message, Subscription-State."""
        self.responses: list[Response] = []
        self.working = False

    def work(self) -> None:
        if self.working:
            return
        self.working = True
        while True:
            for data, _ in self.endpoint.datagrams_to_send():
                self.take(data)
            event = self.endpoint.next_event()
            if event is None:
                break
            self.bench.desk.received(self, event)
        self.working = False

    def take(self, data: bytes) -> None:
        message = parse_message(data)
        if isinstance(message, Response):
            self.responses.append(message)
            return
        if message.method == "NOTIFY":
            lines = dict(line.split(": ") for line in message.body.decode().splitlines())
            number = lines["Message-Account"].removeprefix("sip:").partition("@")[0]
            state = message.headers.only("subscription-state").partition("=")[0]
            self.notices.append((number, lines["Voice-Message"], state))
        if self.status is not None:
            names = ("via", "from", "to", "call-id", "cseq")
            fields = tuple(each for each in message.headers.fields if each[0] in names)
            answer = Response(type(message.headers)(fields), b"", self.status, "x")
            self.endpoint.receive(answer.encode(), self.bench.hop, self.bench.now)


class Bench:
    """A desk over the memory store; time is moved by hand."""

    def __init__(self, house: House, *targets: str, store=None) -> None:
        self.house = house
        self.reactor = Clock()
        self.port = Port(self)
        waiting = MessageWaiting(store or house.store, house.settings, Tallies())
        self.desk = MessageWaitingDesk(
            waiting,
            house.bus,
            targets=targets,
            domain=house.settings.domain,
            clock=house.clock,
            metrics=CountedMetrics(),
            reactor=self.reactor,
            randomness=random.Random(3),
        )
        self.hop = Hop("UDP", CORE)

    @property
    def now(self) -> float:
        return self.house.clock.monotonic()

    async def start(self) -> "Bench":
        self.desk.start([(self.port, parse_listen("udp:192.0.2.1:5070"))])
        await self.settle()
        return self

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def later(self, seconds: float) -> list[tuple[str, str, str]]:
        """Let time pass in steps of 50 ms; the NOTIFYs since."""
        for _ in range(round(seconds / 0.05)):
            self.house.clock.advance(0.05)
            self.endpoint_timers()
            self.reactor.advance(0.05)
            await self.settle()
        notices, self.port.notices = self.port.notices, []
        return notices

    def endpoint_timers(self) -> None:
        timer = self.port.endpoint.get_timer()
        if timer is not None and timer <= self.now:
            self.port.endpoint.handle_timer(self.now)
            self.port.work()

    async def receive(self, data: bytes) -> Response:
        self.port.endpoint.receive(data, self.hop, self.now)
        self.port.work()
        await self.settle()
        return self.port.responses[-1]


async def flag(house, account, flags, *, operation=FlagOperation.ADD):
    def flag_txn(tx):
        inbox = tx.mailboxes.by_name(account.id, INBOX)
        uids = [entry.uid for entry in tx.messages.entries(inbox.id)]
        tx.messages.change_flags(inbox.id, uids, operation, flags)

    await house.store.run("flag", flag_txn)


def test_every_change_is_told_and_nothing_else():
    r"""Delivery, \Seen, \Flagged, Trash; not mail; each burst once."""

    async def story() -> None:
        house = House()
        account = await house.add()
        bench = await Bench(house, TARGET).start()
        assert await bench.later(0.5) == [(NUMBER, "0/0 (0/0)", "active")]
        for key in ("a", "b"):
            await house.delivery.deliver(incoming(account, key))
        assert await bench.later(0.15) == []
        assert await bench.later(0.2) == [(NUMBER, "2/0 (0/0)", "active")]
        await house.delivery.deliver(incoming(account, "c", kind=MessageKind.MAIL))
        assert await bench.later(1) == []
        await flag(house, account, {FLAGGED})
        assert await bench.later(0.5) == [(NUMBER, "2/0 (2/0)", "active")]
        await flag(house, account, {SEEN})
        assert await bench.later(0.5) == [(NUMBER, "0/2 (0/2)", "active")]

        def trash_txn(tx):
            inbox = tx.mailboxes.by_name(account.id, INBOX)
            trash = tx.mailboxes.by_name(account.id, TRASH)
            uids = [entry.uid for entry in tx.messages.entries(inbox.id)]
            tx.messages.move(inbox.id, uids, trash.id, house.clock.now())

        await house.store.run("trash", trash_txn)
        assert await bench.later(0.5) == [(NUMBER, "0/0 (0/0)", "active")]
        await bench.desk.stop()
        await house.delivery.deliver(incoming(account, "d"))
        assert await bench.later(1) == []

    asyncio.run(story())


def test_lamps_follow_the_numbers():
    """A new number gets one, a fax number none; at closure they go dark, at reopening right again."""

    async def story() -> None:
        house = House()
        account = await house.add()
        await house.delivery.deliver(incoming(account, "a"))
        bench = await Bench(house, TARGET).start()
        assert await bench.later(0.5) == [(NUMBER, "1/0 (0/0)", "active")]
        await house.numbers.add("alice", OTHER, use=NumberUse.FAX)
        assert await bench.later(0.5) == []
        await house.numbers.set_use("alice", OTHER, NumberUse.VOICE)
        assert await bench.later(0.5) == [(OTHER, "1/0 (0/0)", "active")]
        await house.accounts.suspend("alice")
        assert await bench.later(0.5) == []
        await house.accounts.close("alice")
        dark = [(number, "0/0 (0/0)", "active") for number in (NUMBER, OTHER)]
        assert await bench.later(0.5) == dark
        await house.accounts.reopen("alice")
        assert {each[:2] for each in await bench.later(0.5)} == {
            (NUMBER, "1/0 (0/0)"),
            (OTHER, "1/0 (0/0)"),
        }
        await house.numbers.remove("alice", OTHER)
        assert await bench.later(0.5) == [(OTHER, "0/0 (0/0)", "active")]

    asyncio.run(story())


def test_a_subscription_lives_through_a_restart_and_ends_with_its_account():
    """200, NOTIFY at once; a second desk goes on in the dialog; a purge leaves no trace."""

    async def story() -> None:
        house = House()
        account = await house.add()
        bench = await Bench(house).start()
        data = request("SUBSCRIBE", extra="Event: message-summary\r\nExpires: 600\r\n")
        assert (await bench.receive(data)).status == 200
        assert await bench.later(0.5) == [(NUMBER, "0/0 (0/0)", "active;expires")]
        await bench.desk.stop()
        await house.delivery.deliver(incoming(account, "a"))
        again = await Bench(house).start()
        assert await again.later(0.5) == [(NUMBER, "1/0 (0/0)", "active;expires")]
        await house.accounts.close("alice")
        assert await again.later(0.5) == [(NUMBER, "1/0 (0/0)", "terminated;reason")]
        kept = await house.store.read("kept", lambda tx: tx.accounts.preferences(account.id))
        assert not [key for key in kept if key.startswith("mwi")]

    asyncio.run(story())


def test_only_whom_it_concerns_is_read():
    """Without targets and subscriptions a change costs no reading."""

    async def story() -> None:
        house = House()
        account = await house.add()
        bench = await Bench(house).start()
        await house.delivery.deliver(incoming(account, "a"))
        assert bench.desk._bursts.get_timer() is None
        assert (await bench.receive(request("SUBSCRIBE", extra="Event: dialog\r\n"))).status == 489
        strange = request(
            "SUBSCRIBE",
            uri="sip:nobody@192.0.2.1",
            extra="Event: message-summary\r\n",
            branch="z9hG4bKtwo",
            call_id="two",
        )
        assert (await bench.receive(strange)).status == 404

    asyncio.run(story())


class Flaky:
    """A store that is away for a while."""

    def __init__(self, store, failures: int) -> None:
        self.store, self.failures = store, failures

    async def read(self, name, work):
        if self.failures:
            self.failures -= 1
            raise UnavailableError
        return await self.store.read(name, work)

    async def run(self, name, work):
        return await self.store.run(name, work)


def test_a_storage_that_comes_back_is_read_again(monkeypatch):
    """Nothing that changed meanwhile is forgotten."""
    monkeypatch.setattr(mwi_reader, "RETRY_SECONDS", 0)

    async def story() -> None:
        house = House()
        account = await house.add()
        store = Flaky(house.store, 3)
        bench = await Bench(house, TARGET, store=store).start()
        assert await bench.later(0.5) == [(NUMBER, "0/0 (0/0)", "active")]
        store.failures = 2
        await house.delivery.deliver(incoming(account, "a"))
        assert await bench.later(0.5) == [(NUMBER, "1/0 (0/0)", "active")]
        store.failures = 1
        data = request("SUBSCRIBE", extra="Event: message-summary\r\n")
        refused = await bench.receive(data)
        assert refused.status == 503
        assert refused.headers.get("retry-after") == "5"

    asyncio.run(story())


def test_a_core_that_is_away_learns_of_it_later():
    async def story() -> None:
        house = House()
        account = await house.add()
        bench = await Bench(house, TARGET).start()
        await bench.later(0.5)
        bench.port.status = None
        await house.delivery.deliver(incoming(account, "a"))
        assert {each[1] for each in await bench.later(40)} == {"1/0 (0/0)"}
        bench.port.status = 200
        assert (await bench.later(5))[-1] == (NUMBER, "1/0 (0/0)", "active")
        assert bench.house.clock.now() - account.created_at < timedelta(minutes=1)

    asyncio.run(story())


def test_a_target_that_is_none_stops_the_start():
    with pytest.raises(InvalidError):
        Bench(House(), "pbx")

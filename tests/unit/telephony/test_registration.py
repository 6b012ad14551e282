"""Bindings at a registrar (RFC 3261 §10.2): the table, the times, and transcripts over the endpoint."""

import asyncio
import itertools
import random

import pytest

from tests.support.memory_reactor import MemoryReactor
from tests.support.sip_bench import CountedMetrics, replied, summary
from um.telephony.registrations import Registrations
from um.telephony.sip.credentials import Credential
from um.telephony.sip.digest import Credentials, Verdict, Verifier
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.events import RequestAnswered
from um.telephony.sip.message import Headers, Response
from um.telephony.sip.parser import parse_message
from um.telephony.sip.registration import (
    REFUSED_SECONDS,
    RETRY_SECONDS,
    TRANSITIONS,
    Binding,
    Cue,
    Registration,
    State,
    granted_seconds,
    parse_registrar,
)
from um.telephony.transport import ListenAddress, parse_networks

BINDING = Binding(parse_registrar("sip:pbx.example.net"), "um", "+15551230001", 3600)
CONTACT = "sip:+15551230001@192.0.2.1:5070"
REGISTRAR = ("192.0.2.10", 5060)


def response(status, **fields):
    """A response with nothing but these fields."""
    return Response(
        Headers(tuple((k.replace("_", "-"), v) for k, v in fields.items())), b"", status, "x"
    )


class Engine:
    """One registration whose registrar is the test."""

    def __init__(self, binding=BINDING):
        self.registration = Registration(binding, random.Random(3))
        self.now = 100.0

    def due(self):
        return self.registration.due(self.now)

    def answer(self, status, **fields):
        self.registration.answered(
            response(status, **fields) if status else None,
            self.now,
            contact=CONTACT,
            number=self.registration.number,
        )

    def wait(self):
        """To the next timer; returns the seconds."""
        start, self.now = self.now, self.registration.get_timer()
        return self.now - start


def test_a_binding_is_refreshed_before_it_ends():
    """At nine tenths, or 40 s before the end; at half of a short one."""
    for granted, seconds in [(3600, 3240), (300, 260), (60, 30), (1, 0.5)]:
        engine = Engine()
        assert engine.due() == 3600
        assert engine.due() is None
        engine.answer(200, contact=f"<{CONTACT}>;expires={granted}")
        assert engine.registration.state is State.BOUND
        assert engine.wait() == pytest.approx(seconds)
        assert engine.due() == 3600


def test_a_registrar_that_wants_longer_bindings_gets_them():
    """§10.2.8: 423 with Min-Expires, followed at once, and kept."""
    engine = Engine()
    engine.due()
    engine.answer(423, min_expires="7200")
    assert engine.due() == 7200
    engine.answer(200)
    engine.wait()
    assert engine.due() == 7200


@pytest.mark.parametrize("wanted", ["", "60", "3600", "x", "99999999"])
def test_a_423_that_makes_no_sense_is_a_failure(wanted):
    """No loop: it waits, as after any trouble."""
    engine = Engine()
    engine.due()
    engine.answer(423, min_expires=wanted)
    assert engine.registration.state is State.WAITING
    assert engine.due() is None


@pytest.mark.parametrize(
    ("status", "table"), [(0, RETRY_SECONDS), (503, RETRY_SECONDS), (403, REFUSED_SECONDS)]
)
def test_failures_are_tried_again_at_growing_intervals(status, table):
    """By the table, a fifth more or less; the first success begins anew."""
    engine = Engine()
    for expected in (*table, table[-1]):
        assert engine.due() == 3600
        engine.answer(status)
        assert expected * 0.8 <= engine.wait() <= expected * 1.2
    engine.due()
    engine.answer(200)
    engine.wait()
    engine.due()
    engine.answer(status)
    assert engine.wait() <= table[0] * 1.2


def test_retry_after_is_heeded():
    """§20.33."""
    engine = Engine()
    engine.due()
    engine.registration.answered(response(503), engine.now, contact=CONTACT, number=1, wait=77.0)
    assert engine.wait() == 77.0


def test_a_broken_connection_makes_the_binding_anew():
    """After a pause, however often it breaks; one that is not bound loses nothing."""
    engine = Engine()
    engine.registration.lost(engine.now)
    assert engine.due() == 3600
    engine.registration.lost(engine.now)
    assert engine.registration.state is State.ASKING
    for _ in range(3):
        engine.answer(200)
        engine.registration.lost(engine.now)
        assert engine.due() is None
        assert 4 <= engine.wait() <= 6
        assert engine.due() == 3600


def test_the_end_removes_the_binding_once():
    """Expires 0, whatever is answered; nothing is sent where no binding can be."""
    for status in (200, 423, 403, 503, 0):
        engine = Engine()
        engine.due()
        engine.answer(200)
        engine.registration.stop()
        assert engine.due() == 0
        engine.answer(status)
        assert engine.registration.state is State.GONE
        assert (engine.due(), engine.registration.get_timer()) == (None, None)
    engine = Engine()
    engine.registration.stop()
    assert engine.due() is None
    assert engine.registration.state is State.GONE


@pytest.mark.parametrize("status", [200, 403, 0])
def test_the_end_waits_for_a_register_that_is_under_way(status):
    """Its binding, if any, is removed as well: the order of both is kept."""
    engine = Engine()
    engine.due()
    engine.registration.stop()
    assert engine.due() is None
    engine.answer(status)
    assert engine.due() == 0
    engine.answer(200)
    assert engine.registration.state is State.GONE


@pytest.mark.parametrize(("state", "cue"), list(itertools.product(State, Cue)))
def test_every_state_and_cue_is_defined(state, cue):
    """A pair that is not in the table changes nothing, and GONE is for ever."""
    after = TRANSITIONS.get((state, cue), state)
    assert state is not State.GONE or after is State.GONE
    assert state is not State.LEAVING or after in {State.LEAVING, State.GONE}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 3600),
        ({"expires": "900"}, 900),
        ({"contact": f"<{CONTACT}>;expires=120", "expires": "900"}, 120),
        ({"contact": f"<sip:other@192.0.2.9>;expires=5, <{CONTACT};x=y>;expires=120"}, 120),
        ({"contact": "<sip:other@192.0.2.9>;expires=5", "expires": "900"}, 900),
        ({"contact": "<<", "expires": "900"}, 3600),
        ({"expires": "soon"}, 3600),
        ({"expires": "0"}, 1),
    ],
)
def test_how_long_a_binding_lasts(fields, seconds):
    """§10.2.4: of our own Contact first; what does not parse counts as granted as asked."""
    assert granted_seconds(response(200, **fields), CONTACT, 3600) == seconds


class Network:
    """`Registrations` over an endpoint; the registrar is a digest verifier, and the test."""

    def __init__(self, password="secret", *, addresses=(REGISTRAR,)):
        self.reactor, self.metrics = MemoryReactor(), CountedMetrics()
        credential = Credential("um", password, host="pbx.example.net")
        self.endpoint = Endpoint(
            EndpointSettings("192.0.2.1", 5070),
            random.Random(7),
            self.metrics,
            credentials=(credential,),
        )
        self.verifier = Verifier("pbx", {"um": "secret"}, random.Random(9))
        self.heard = []
        self.addresses = addresses
        self.registrations = Registrations(
            [BINDING],
            trusted=parse_networks(["192.0.2.0/24"]),
            clock=self.reactor,
            metrics=self.metrics,
            reactor=self.reactor,
            randomness=random.Random(5),
            resolver=self.resolve,
        )

    async def resolve(self, host, port):
        assert (host, port) == ("pbx.example.net", 5060)
        if not self.addresses:
            raise OSError(-2, "Name or service not known")
        return list(self.addresses)

    def work(self):
        """`Port.work`."""
        for data, hop in self.endpoint.datagrams_to_send():
            assert hop.address == REGISTRAR
            self.heard.append(data.decode())
        while (event := self.endpoint.next_event()) is not None:
            assert isinstance(event, RequestAnswered)
            self.registrations.received(self, event)

    async def start(self):
        self.registrations.start([(self, ListenAddress("udp", "192.0.2.1", 5070))])
        await self.settle()

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    async def reply(self, status, extra=""):
        """The registrar's answer to what it heard last."""
        data = replied(self.heard[-1], status, "x", extra=extra)
        self.endpoint.receive_datagram(data, REGISTRAR, self.reactor.monotonic())
        self.work()
        await self.settle()

    async def challenge(self, *, stale=False):
        now = self.reactor.monotonic()
        values = self.verifier.challenges("192.0.2.1", now, stale=stale)
        await self.reply(401, "".join(f"WWW-Authenticate: {value}\r\n" for value in values))

    def verdict(self):
        """What the registrar thinks of the last REGISTER."""
        message = parse_message(self.heard[-1].encode())
        credentials = Credentials.parse(message.headers.only("authorization"))
        return self.verifier.weigh(
            credentials,
            "REGISTER",
            peer="192.0.2.1",
            branch=message.via.branch,
            now=self.reactor.monotonic(),
        )

    async def later(self, seconds):
        self.reactor.advance(seconds)
        await self.settle()

    def numbers(self):
        return [int(each.partition("CSeq: ")[2].split()[0]) for each in self.heard]


def test_a_binding_is_made_refreshed_and_removed():
    """REGISTER 401 REGISTER 200, the same again, REGISTER with Expires 0: one Call-ID, numbers grow."""

    async def story():
        network = Network()
        await network.start()
        assert [summary(each.encode()) for each in network.heard] == ["REGISTER"]
        first = network.heard[0]
        assert first.startswith("REGISTER sip:pbx.example.net SIP/2.0\r\n")
        assert "To: <sip:um@pbx.example.net>\r\n" in first
        assert "Contact: <sip:+15551230001@192.0.2.1:5070>;expires=3600\r\n" in first
        await network.challenge()
        assert network.verdict() is Verdict.GOOD
        await network.reply(200, "Expires: 3600\r\n")
        assert len(network.heard) == 2
        await network.later(3240)
        await network.challenge()
        assert network.verdict() is Verdict.GOOD
        await network.reply(200, "Expires: 3600\r\n")
        stopping = asyncio.ensure_future(network.registrations.stop())
        await network.settle()
        assert "Expires: 0\r\n" in network.heard[-1]
        await network.challenge()
        assert network.verdict() is Verdict.GOOD
        await network.reply(200)
        await stopping
        assert network.numbers() == [1, 2, 3, 4, 5, 6]
        assert len({each.partition("Call-ID: ")[2].split()[0] for each in network.heard}) == 1
        assert [call for call in network.reactor.getDelayedCalls() if call.active()] == []

    asyncio.run(story())


def test_a_stale_nonce_is_replaced_and_a_wrong_password_not_repeated():
    """RFC 7616 §3.3: `stale=true` asks once more; without it the password is wrong, and we wait."""

    async def story():
        network = Network()
        await network.start()
        await network.challenge()
        await network.challenge(stale=True)
        assert network.verdict() is Verdict.GOOD
        assert len(network.heard) == 3
        network = Network("wrong")
        await network.start()
        await network.challenge()
        assert network.verdict() is Verdict.BAD
        await network.challenge()
        assert len(network.heard) == 2
        await network.later(REFUSED_SECONDS[0] * 0.7)
        assert len(network.heard) == 2
        await network.later(REFUSED_SECONDS[0])
        assert len(network.heard) == 3
        assert network.metrics.counts["sip_registration_failures"] == 1

    asyncio.run(story())


@pytest.mark.parametrize("addresses", [(), (("198.51.100.1", 5060),), (("2001:db8::1", 5060),)])
def test_a_registrar_that_cannot_be_reached_or_heard_is_tried_again(addresses):
    """No such name, an address that is not trusted, one we have no port for: nothing is sent."""

    async def story():
        network = Network(addresses=addresses)
        await network.start()
        assert network.heard == []
        network.addresses = (REGISTRAR,)
        await network.later(RETRY_SECONDS[0] * 1.3)
        assert len(network.heard) == 1

    asyncio.run(story())

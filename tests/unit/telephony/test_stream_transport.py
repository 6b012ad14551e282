"""Connections of SIP over TCP, without a network: who may connect, where answers go, what ends one."""

import random

import pytest

from tests.support.memory_reactor import MemoryReactor
from tests.support.sip_bench import SDP, CountedMetrics, replied, request, summary, tag_of
from um.telephony.mwi_requests import Place, Sender, ping
from um.telephony.sip.digest import Verifier
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.events import CallOffered, PeerLost, RequestAnswered
from um.telephony.sip.guard import Guard
from um.telephony.sip.layer import Hop
from um.telephony.stream_transport import (
    IDLE_SECONDS,
    MAX_CONNECTIONS_OF_ADDRESS,
    MESSAGE_SECONDS,
    StreamPort,
)
from um.telephony.transport import parse_networks

PEER = ("192.0.2.10", 50_000)


def over_tcp(data):
    """The message as a neighbour on TCP writes it."""
    return data.replace(b"SIP/2.0/UDP", b"SIP/2.0/TCP")


OPTIONS = over_tcp(request("OPTIONS"))
INVITE = over_tcp(request("INVITE", body=SDP))


class Port:
    """A stream port with everything around it in memory; answers every call."""

    def __init__(self):
        self.reactor, self.metrics = MemoryReactor(), CountedMetrics()
        settings = EndpointSettings("192.0.2.1", 5070, transport="TCP")
        self.endpoint = Endpoint(settings, random.Random(5), self.metrics)
        self.events = []
        self.port = StreamPort(
            self.endpoint,
            self.take,
            trusted=parse_networks(["192.0.2.0/24"]),
            reactor=self.reactor,
            clock=self.reactor,
            metrics=self.metrics,
        )
        number = self.port.listen("192.0.2.1", 5070)
        self.listening = self.reactor.streams["192.0.2.1", number]

    def take(self, _, event):
        self.events.append(event)
        if isinstance(event, CallOffered):
            self.endpoint.answer(event.call, SDP.encode(), self.reactor.monotonic())

    def connect(self, peer=PEER):
        return self.listening.connect(peer)

    def count(self, name):
        return self.metrics.counts.get(name, 0)


@pytest.fixture
def port():
    return Port()


def test_an_answer_leaves_on_its_connection(port):
    """However the request was cut; other connections hear nothing."""
    connection, other = port.connect(), port.connect(("192.0.2.10", 50_001))
    for index in range(len(OPTIONS)):
        connection.write_to(OPTIONS[index : index + 1])
    assert summary(connection.said()) == "200 OPTIONS"
    assert other.said() == b""


def test_strangers_are_closed_at_once(port):
    """Nobody outside the trusted networks gets a word."""
    assert port.connect(("198.51.100.1", 5060)) is None
    assert port.count("sip_untrusted_connections") == 1


def test_strangers_who_may_prove_themselves_take_few_places(port):
    """With a guard four of an address may come; what they say unproved never reaches the endpoint."""
    verifier = Verifier("um.test", {"um": "x"}, random.Random(3))
    port.port.guard = Guard(verifier, random.Random(4), port.metrics)
    strangers = [port.connect(("198.51.100.1", number)) for number in range(1, 6)]
    assert strangers.pop() is None
    strangers[0].write_to(INVITE)
    assert summary(strangers[0].said()) == "401 INVITE"
    strangers[1].write_to(over_tcp(request("BYE")))
    assert strangers[1].said() == b""
    assert port.events == []
    assert port.connect() is not None


def test_strangers_of_one_network_take_few_places_together(port):
    """Over IPv6 another address of the same /64 is the same stranger."""
    port.port.guard = Guard(
        Verifier("um.test", {"um": "x"}, random.Random(3)), random.Random(4), port.metrics
    )
    came = [port.connect((f"2001:db8::{number:x}", 5060)) is not None for number in range(1, 6)]
    assert came == [True] * 4 + [False]
    assert port.connect(("2001:db8:0:1::1", 5060)) is not None


def test_connections_are_limited(port):
    """One address cannot take them all; a place becomes free when a connection ends."""
    first = port.connect(("192.0.2.9", 1))
    for number in range(2, MAX_CONNECTIONS_OF_ADDRESS + 1):
        assert port.connect(("192.0.2.9", number)) is not None
    assert port.connect(("192.0.2.9", 9999)) is None
    assert port.count("sip_connections_refused") == 1
    assert port.connect() is not None
    first.loseConnection()
    assert port.connect(("192.0.2.9", 9999)) is not None


def test_garbage_ends_its_connection_alone(port):
    """One error, counted once; a neighbour's call is not touched, nor are messages before it."""
    good, bad = port.connect(), port.connect(("192.0.2.10", 50_001))
    bad.write_to(
        over_tcp(request("OPTIONS", branch="z9hG4bKlast", call_id="other"))
        + b"\x16\x03\x01\r\n\r\n"
    )
    assert summary(bad.said()) == "200 OPTIONS"
    assert bad.gone
    assert port.count("sip_framing_errors") == 1
    good.write_to(OPTIONS)
    assert summary(good.said()) == "200 OPTIONS"


def test_a_ping_is_answered(port):
    """RFC 5626 §3.5.1: CRLF CRLF, even in two pieces, gets CRLF."""
    connection = port.connect()
    connection.write_to(b"\r\n\r")
    assert connection.said() == b""
    connection.write_to(b"\n")
    assert connection.said() == b"\r\n"


def test_who_says_nothing_or_half_of_it_is_closed(port):
    """30 s for the first message and for each one that has begun: single octets buy no time."""
    silent, slow = port.connect(), port.connect(("192.0.2.10", 50_001))
    for octet in range(round(MESSAGE_SECONDS)):
        slow.write_to(OPTIONS[octet : octet + 1])
        port.reactor.advance(1)
    assert silent.gone
    assert slow.gone
    assert port.count("sip_connections_idle") == 2


def test_a_quiet_call_keeps_its_connection(port):
    """A connection that has said something useful may be quiet for longer than a call lasts."""
    connection = port.connect()
    connection.write_to(OPTIONS)
    port.reactor.advance(IDLE_SECONDS - 1)
    assert not connection.gone
    connection.write_to(b"INV")
    port.reactor.advance(MESSAGE_SECONDS)
    assert connection.gone


def test_our_bye_takes_the_connection_of_the_call(port):
    """And over a stream nothing but the 2xx is ever repeated (RFC 3261 §17, §13.3.1.4)."""
    connection = port.connect()
    connection.write_to(INVITE)
    answer = connection.said()
    assert b"Contact: <sip:um@192.0.2.1:5070;transport=tcp>" in answer
    tag = tag_of(answer.decode().partition("SIP/2.0 200 OK")[2])
    connection.write_to(over_tcp(request("ACK", to_tag=tag, branch="z9hG4bKack")))
    connection.said()
    port.endpoint.hang_up(port.events[0].call, port.reactor.monotonic())
    port.port.work()
    bye = connection.said()
    assert bye.startswith(
        b"BYE sip:core@192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:5070"
    )
    port.reactor.advance(20)
    assert connection.said() == b""


def test_a_lost_connection_is_made_again(port):
    """RFC 3261 §18.2.2: to the address it came from, at the port of its Via; all waits for it."""
    connection = port.connect()
    connection.write_to(INVITE)
    connection.loseConnection()
    port.reactor.pass_time(1.6)  # the 2xx is repeated at 0.5 and 1.5 s
    (call,) = port.reactor.calls_out
    assert call.peer == ("192.0.2.10", 5060)
    again = call.accept()
    assert again.said().count(b"SIP/2.0 200 OK") == 2
    again.write_to(OPTIONS)
    assert summary(again.said()) == "200 OPTIONS"


def test_a_refused_connection_loses_what_waited(port):
    """It is counted, and the next message tries again."""
    connection = port.connect()
    connection.write_to(INVITE)
    connection.loseConnection()
    port.reactor.pass_time(0.6)
    port.reactor.calls_out[0].refuse()
    assert port.count("telephony_send_failures") == 1
    port.reactor.pass_time(1)
    assert len(port.reactor.calls_out) == 2


def asked(port, *, name="", owner="me"):
    """A request of ours to who listens at 5060; waits for its connection."""
    hop = Hop("TCP", ("192.0.2.10", 5060), name=name)
    target = Place("sip:192.0.2.10:5060;transport=tcp", hop)
    sender = Sender(port.endpoint.new_via(hop), port.endpoint.contact, "call", "tag")
    port.endpoint.send_request(owner, ping(target, "um.test", sender), hop, 0.0)
    port.port.work()
    return port.reactor.calls_out[-1]


def test_a_request_whose_connection_fails_has_failed(port):
    """Nobody waits 32 s for who is not there, or who left without an answer (§17.1.4)."""
    failed = [RequestAnswered("me", None), PeerLost(("192.0.2.10", 5060))]
    asked(port).refuse()
    assert port.events == failed
    port.events.clear()
    connection = asked(port).accept()
    assert connection.said().startswith(b"OPTIONS ")
    connection.loseConnection()
    assert port.events == failed


def test_an_answer_before_the_connection_breaks_is_one(port):
    """And the break is told apart: the peer may have restarted."""
    connection = asked(port).accept()
    connection.write_to(replied(connection.said().decode(), 200, "OK"))
    connection.loseConnection()
    answered, lost = port.events
    assert answered.response.status == 200
    assert lost == PeerLost(("192.0.2.10", 5060))


def test_another_name_is_another_connection(port):
    """Who was proved to be one is not thereby another, and the one's failure is not the other's."""
    good = asked(port, name="one.example.net").accept()
    bad = asked(port, name="other.example.net", owner="other")
    assert len(port.reactor.calls_out) == 2
    bad.refuse()
    lost = PeerLost(("192.0.2.10", 5060), "other.example.net")
    assert port.events == [RequestAnswered("other", None), lost]
    port.events.clear()
    good.write_to(replied(good.said().decode(), 200, "OK"))
    (answered,) = port.events
    assert (answered.owner, answered.response.status) == ("me", 200)


def test_the_end_closes_all(port):
    """After `close` nobody is connected, and no timer is left."""
    connection = port.connect()
    connection.write_to(OPTIONS)
    port.port.close()
    assert connection.gone
    assert not port.reactor.streams
    assert not port.reactor.getDelayedCalls()


def test_who_does_not_read_is_not_read_from(port):
    """Back pressure: no peer makes us keep answers without end."""
    connection = port.connect()
    connection.producer.pauseProducing()
    assert connection.producerState == "paused"
    connection.producer.resumeProducing()
    assert connection.producerState == "producing"

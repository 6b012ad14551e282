"""The telephone server without a network: routing, limits, faults of applications, the end."""

import asyncio
import random
from datetime import UTC, datetime

import pytest

from tests.support.memory_reactor import MemoryReactor, MemorySockets
from tests.support.sip_bench import CORE, SDP, CountedMetrics, replied, request, summary, tag_of
from tests.support.telephone_rtp import RtpSender, tone
from um.core.account import Account, Number
from um.core.errors import InvalidError, UnavailableError
from um.core.ids import E164, AccountId
from um.telephony.application import EndReason, HandOver, Refusal, Route
from um.telephony.rtp.packet import parse_packet
from um.telephony.server import TelephonyServer
from um.telephony.settings import TelephonySettings
from um.telephony.transport import is_inside, parse_listen, parse_networks, reachable_address

SIP = ("192.0.2.1", 5070)
ACCOUNT = Account(AccountId("a" * 32), "alice", "um.test", datetime(2026, 1, 1, tzinfo=UTC))
NUMBER = Number(E164("+15551230001"), ACCOUNT.id)
PHONE = ("192.0.2.10", 40_000)


class Application:
    """Writes down what it is told; fails where it is asked to."""

    def __init__(self, call, story, *, fails=None, answers=True):
        self.call, self.story, self.fails = call, story, fails
        self.heard = 0
        """Octets of audio."""
        story.append("made")
        if fails == "made":
            raise ZeroDivisionError
        if answers:
            call.answer()

    def _tell(self, what):
        self.story.append(what)
        if self.fails == what:
            raise ZeroDivisionError

    def answered(self):
        self._tell("answered")

    def audio(self, samples):
        self.heard += len(samples)
        self._tell("audio")

    def digit(self, digit):
        self._tell(f"digit {digit}")

    def playback_finished(self):
        self._tell("finished")

    def ended(self, reason):
        self._tell(f"ended {reason.value}")


class Router:
    def __init__(self, decision):
        self.decision = decision
        self.asked = []

    async def route(self, candidates, info):
        self.asked.append((candidates, info))
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision


class House:
    """A server with everything around it in memory."""

    def __init__(self, decision=None, *, fails=None, answers=True, applications=None, **settings):
        self.story = []
        self.reactor = MemoryReactor()
        self.metrics = CountedMetrics()
        self.router = Router(decision or Route("voice", ACCOUNT, NUMBER))
        self.applications = {"voice": self.make(fails=fails, answers=answers)}
        self.applications.update(applications or {})
        facts = {
            "listen": ("udp:192.0.2.1:5070",),
            "trusted_cores": ("192.0.2.0/24",),
            "rtp_ports": (20_000, 20_007),
        }
        self.server = TelephonyServer(
            TelephonySettings(**{**facts, **settings}),
            router=self.router,
            applications=self.applications,
            announcements=self.announce,
            clock=self.reactor,
            metrics=self.metrics,
            reactor=self.reactor,
            sockets=MemorySockets(self.reactor),
            randomness=random.Random(5),
        )
        self.server.start()

    def make(self, **facts):
        def factory(call):
            self.application = Application(call, self.story, **facts)
            return self.application

        return factory

    def announce(self, name, language):
        self.announced = (name, language)
        if name == "broken":
            raise ZeroDivisionError
        return tone(600, 0.1)

    @property
    def sip(self):
        return self.reactor.ports[SIP]

    def receive(self, data):
        self.sip.protocol.datagramReceived(data, CORE)

    def sent(self):
        taken, self.sip.sent[:] = list(self.sip.sent), []
        self.last = taken[-1][0].decode() if taken else ""
        return [summary(data) for data, _ in taken]

    @property
    def media(self):
        """The RTP ports that are open."""
        return [udp for (_, port), udp in self.reactor.ports.items() if 20_000 <= port < 21_000]

    async def invite(self, **parts):
        self.receive(request("INVITE", body=SDP, **parts))
        for _ in range(5):
            await asyncio.sleep(0)
        return self.sent()

    async def up(self):
        assert await self.invite() == ["100 INVITE", "200 INVITE"]
        self.tag = tag_of(self.last)
        self.receive(request("ACK", branch="z9hG4bKack", to_tag=self.tag))

    def bye(self):
        self.receive(request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=self.tag))


def test_a_call_from_invite_to_bye():
    """Routed, answered, heard, played to, ended once; no port or call is left."""

    async def story():
        house = House()
        await house.up()
        (candidates, info) = house.router.asked[0]
        assert candidates == ["+15551230001"]
        assert (info.caller_number, info.peer) == ("+15559870001", "192.0.2.10")
        house.application.call.play(tone(440, 0.1))
        rtp = next(udp for udp in house.media if udp.address[1] % 2 == 0)
        for data in RtpSender(0).frame(tone(440, 0.02)):
            rtp.protocol.datagramReceived(data, PHONE)
        house.reactor.pass_time(0.2)
        assert parse_packet(rtp.sent[0][0]).payload_type == 0
        assert {address for _, address in rtp.sent} == {PHONE}
        assert len(rtp.sent) == pytest.approx(10, abs=1)
        house.bye()
        assert house.sent() == ["200 BYE"]
        assert house.story == ["made", "answered", "audio", "finished", "ended caller"]
        assert house.media == []
        assert house.server.calls == 0
        house.reactor.pass_time(40)
        assert house.reactor.getDelayedCalls() == []

    asyncio.run(story())


@pytest.mark.parametrize("ours", [False, True], ids=["their BYE", "our own"])
def test_what_was_said_before_the_end_is_told_before_it(ours):
    """Packets that no beat has read when the BYE comes, or ours goes: a busy machine cuts no last word."""

    async def story():
        house = House()
        await house.up()
        rtp = next(udp for udp in house.media if udp.address[1] % 2 == 0)
        packets = [data for _ in range(25) for data in sender.frame(tone(440, 0.02))]
        rtp.protocol.waiting += [(data, PHONE, house.reactor.seconds()) for data in packets]
        if ours:
            house.application.call.hang_up()
            house.reactor.pass_time(0.1)
        else:
            house.bye()
        assert house.story[:2] == ["made", "answered"]
        assert house.story[-1] == ("ended application" if ours else "ended caller")
        assert house.application.heard == 25 * 320

    sender = RtpSender(0)
    asyncio.run(story())


def test_the_contact_names_the_port_that_was_bound():
    """Port 0 is any that is free: requests inside the call come to that one."""

    async def story():
        house = House(listen=("udp:192.0.2.1:0",))
        ((host, port),) = house.reactor.ports
        udp = house.reactor.ports[host, port]
        udp.protocol.datagramReceived(request("INVITE", body=SDP), CORE)
        for _ in range(5):
            await asyncio.sleep(0)
        answer = udp.sent[-1][0].decode()
        assert f"contact: <sip:um@192.0.2.1:{port}>" in answer.lower()

    asyncio.run(story())


@pytest.mark.parametrize("place", ["made", "answered", "audio", "finished"])
def test_an_application_that_fails_ends_its_call_only(place):
    """BYE or a refusal; `ended(failure)` once if it came to life; the server takes the next."""

    async def story():
        house = House(fails=place)
        sent = await house.invite()
        if place == "made":
            assert sent == ["100 INVITE", "480 INVITE"]
            house.reactor.pass_time(0.1)
            assert house.story == ["made"]
            return
        house.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(house.last)))
        if place != "answered":
            house.application.call.play(tone(440, 0.02))
            rtp = next(udp for udp in house.media if udp.address[1] % 2 == 0)
            if place == "audio":
                sender = RtpSender(0)
                for _ in range(20):
                    for data in sender.frame(tone(440, 0.02)):
                        rtp.protocol.datagramReceived(data, PHONE)
        house.reactor.pass_time(0.1)
        assert "BYE" in house.sent()
        assert house.story.count(place) == 1, "it is asked no more once it has failed"
        assert house.story.count("ended failure") == 1
        assert house.story[-1] == "ended failure"
        assert house.server.calls == 0

    asyncio.run(story())


def test_what_comes_while_an_application_fails_is_not_told():
    """A failure takes time to log; what arrives meanwhile must not make the next one."""

    async def story():
        house = House()
        await house.up()
        rtp = next(udp for udp in house.media if udp.address[1] % 2 == 0)
        sender = RtpSender(0)

        def speak():
            for _ in range(10):
                rtp.protocol.datagramReceived(*sender.frame(tone(440, 0.02)), PHONE)

        def audio(samples):
            house.story.append("audio")
            raise ZeroDivisionError

        def count(name, *_):
            if name == "telephony_application_failures" and house.story.count("audio") < 10:
                speak()

        house.application.audio = audio
        house.metrics.count = count
        speak()
        house.reactor.pass_time(0.1)
        assert house.story.count("audio") == 1
        assert house.story[-1] == "ended failure"
        assert "BYE" in house.sent()

    asyncio.run(story())


def test_a_failure_in_ended_is_contained():
    async def story():
        house = House(fails="ended caller")
        await house.up()
        house.bye()
        assert house.server.calls == 0
        assert house.media == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("decision", "status"),
    [
        (Refusal(404, "Not Found"), "404"),
        (Refusal(480, "Temporarily Unavailable", "broken"), "480"),
        (Route("unknown", ACCOUNT, NUMBER), "500"),
        (ZeroDivisionError(), "500"),
    ],
)
def test_calls_that_are_not_taken(decision, status):
    """Nothing is made, nothing is left."""

    async def story():
        house = House(decision)
        assert await house.invite() == ["100 INVITE", f"{status} INVITE"]
        house.reactor.pass_time(0.1)
        assert (house.story, house.server.calls, house.media) == ([], 0, [])

    asyncio.run(story())


@pytest.mark.parametrize(
    ("extra", "end"),
    [
        ("", "caller"),
        ('Reason: SIP;cause=200;text="Call completed elsewhere"\r\n', "elsewhere"),
        ("Reason: SIP;cause=486\r\n", "caller"),
    ],
)
def test_a_call_that_was_taken_elsewhere_ends_so(extra, end):
    """RFC 3326: the fork's CANCEL says it, and the application is told."""

    async def story():
        house = House(answers=False)
        assert await house.invite() == ["100 INVITE"]
        house.receive(request("CANCEL", extra=extra))
        assert house.sent() == ["200 CANCEL", "487 INVITE"]
        assert house.story == ["made", f"ended {end}"]

    asyncio.run(story())


def test_a_session_that_nobody_refreshes_ends_with_what_was_said():
    """RFC 4028 §10: BYE with Reason, and `ended(expired)` once: what was recorded is delivered."""

    async def story():
        house = House(no_media_seconds=10_000)
        extra = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n"
        assert await house.invite(extra=extra) == ["100 INVITE", "200 INVITE"]
        house.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(house.last)))
        house.reactor.pass_time(59)
        assert house.sent() == []
        house.reactor.pass_time(1.1)
        assert house.sent() == ["BYE"]
        assert 'Reason: Q.850;cause=102;text="Session timer expired"' in house.last
        told = [what for what in house.story if what != "audio"]  # silence fills the wait
        assert told == ["made", "answered", "ended expired"]
        assert (house.server.calls, house.media) == (0, [])

    asyncio.run(story())


def test_a_refresh_by_us_leaves_the_media_as_it_is():
    """A re-INVITE with the SDP of our 200, octet by octet; its answer may move the other side."""

    async def story():
        house = House(no_media_seconds=10_000, session_expires_seconds=90)
        assert await house.invite() == ["100 INVITE", "200 INVITE"]
        described = house.last.partition("\r\n\r\n")[2]
        house.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(house.last)))
        house.reactor.pass_time(45.1)
        assert house.sent() == ["INVITE"]
        assert house.last.partition("\r\n\r\n")[2] == described
        extra = "Content-Type: application/sdp\r\n"
        moved = SDP.replace("m=audio 40000", "m=audio 40010")
        house.receive(replied(house.last, 200, "OK", extra=extra, body=moved))
        assert house.sent() == ["ACK"]
        rtp = next(udp for udp in house.media if udp.address[1] % 2 == 0)
        rtp.sent.clear()
        house.application.call.play(tone(440, 0.1))
        house.reactor.pass_time(0.05)
        assert {address for _, address in rtp.sent} == {("192.0.2.10", 40_010)}
        assert set(house.story) == {"made", "answered", "audio"}

    asyncio.run(story())


def test_an_announcement_is_spoken_and_ends_the_call():
    async def story():
        house = House(Refusal(410, "Gone", "account-closed", "fr"))
        await house.up()
        assert house.announced == ("account-closed", "fr")
        house.reactor.pass_time(0.3)
        assert house.sent() == ["BYE"]
        assert house.server.calls == 0

    asyncio.run(story())


def test_the_caller_leaves_while_we_look_for_the_mailbox():
    """CANCEL before the router has decided: no application is made."""

    async def story():
        house = House()
        house.receive(request("INVITE", body=SDP))
        house.receive(request("CANCEL"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert house.sent() == ["100 INVITE", "200 CANCEL", "487 INVITE"]
        assert (house.story, house.server.calls) == ([], 0)

    asyncio.run(story())


def test_the_caller_leaves_before_the_answer():
    async def story():
        house = House(answers=False)
        assert await house.invite() == ["100 INVITE"]
        house.receive(request("CANCEL"))
        assert house.story == ["made", "ended caller"]
        house.application.call.answer()
        house.application.call.hang_up()
        assert house.sent() == ["200 CANCEL", "487 INVITE"]

    asyncio.run(story())


def test_an_application_may_refuse():
    """`reject`: its status goes out, `ended` does not follow."""

    async def story():
        house = House(answers=False)
        await house.invite()
        house.application.call.reject(486, "Busy Here")
        assert house.sent() == ["486 INVITE"]
        house.reactor.pass_time(0.1)
        assert (house.story, house.server.calls) == (["made"], 0)

    asyncio.run(story())


def test_what_cannot_be_heard_is_488():
    """T.38 alone, video alone: nothing that we speak."""

    async def story():
        house = House()
        body = SDP.replace("m=audio 40000 RTP/AVP 0 8 101", "m=image 40000 udptl t38")
        house.receive(request("INVITE", body=body))
        for _ in range(5):
            await asyncio.sleep(0)
        assert house.sent() == ["100 INVITE", "488 INVITE"]
        house.reactor.pass_time(0.1)
        assert (house.story, house.media) == (["made", "ended failure"], [])

    asyncio.run(story())


def test_the_last_call_that_fits_and_the_first_that_does_not():
    """`max_calls`: 503 with Retry-After."""

    async def story():
        house = House(max_calls=1)
        await house.up()
        other = await house.invite(branch="z9hG4bKtwo", call_id="two")
        assert other == ["100 INVITE", "503 INVITE"]
        assert "Retry-After: 10\r\n" in house.last

    asyncio.run(story())


def test_no_media_port_is_left():
    """Each pair is tried; with none free the call is 503 and its application told."""

    async def story():
        house = House()
        for port in (20_000, 20_003, 20_004, 20_006):
            house.reactor.listenUDP(port, None, interface="192.0.2.1")
        assert await house.invite() == ["100 INVITE", "503 INVITE"]
        house.reactor.pass_time(0.1)
        assert house.story == ["made", "ended failure"]
        assert len(house.media) == 4

    asyncio.run(story())


def test_a_beat_that_fails_costs_no_other_call_its_media():
    """It is counted and logged; the beats go on."""

    async def story():
        house = House()
        await house.up()
        (call,) = house.server._calls.values()
        beats = []

        def listen(now):
            beats.append(now)
            raise ZeroDivisionError

        call._media.listen = listen
        house.reactor.pass_time(0.2)
        assert len(beats) >= 9
        assert house.metrics.counts["telephony_event_failures"] == len(beats)

    asyncio.run(story())


def test_the_call_is_handed_over():
    """HandOver: the other application is told `answered`; the first hears no more."""

    async def story():
        house = House()
        fax = []
        house.applications["fax"] = lambda call: Application(call, fax)
        await house.up()

        def audio(samples):
            raise HandOver("fax")

        house.application.audio = audio
        rtp = next(udp for udp in house.media if udp.address[1] % 2 == 0)
        sender = RtpSender(0)
        for _ in range(10):
            rtp.protocol.datagramReceived(*sender.frame(tone(440, 0.02)), PHONE)
        house.bye()
        assert fax == ["made", "answered", "ended caller"]
        assert house.story == ["made", "answered"]
        assert house.metrics.counts["calls_handed_over_fax"] == 1

    asyncio.run(story())


@pytest.mark.parametrize("leaves_first", [False, True])
def test_a_timer_of_an_application_may_hand_over(leaves_first):
    """Unless it rings in the very turn in which the call has ended."""

    async def story():
        house = House()
        fax = []
        house.applications["fax"] = lambda call: Application(call, fax)

        def hand_over():
            raise HandOver("fax")

        await house.up()
        house.application.call.call_later(0, hand_over)
        if leaves_first:
            house.application.call.hang_up()
        house.reactor.pass_time(0.1)
        assert fax == ([] if leaves_first else ["made", "answered"])
        told = ["made", "answered", *(["ended application"] if leaves_first else [])]
        assert house.story == told

    asyncio.run(story())


def test_media_cannot_be_handed_over_before_the_answer():
    async def story():
        house = House(answers=False)
        await house.invite()
        assert not house.application.call.waveform
        with pytest.raises(UnavailableError):
            house.application.call.hand_over_media()
        house = House()
        await house.up()
        assert house.application.call.waveform

    asyncio.run(story())


@pytest.mark.parametrize(
    ("settings", "seconds", "reason"),
    [
        ({"no_media_seconds": 5}, 5.1, EndReason.NO_MEDIA),
        ({"max_call_seconds": 5}, 5.1, EndReason.TOO_LONG),
    ],
)
def test_limits_end_a_call(settings, seconds, reason):
    async def story():
        house = House(**settings)
        await house.up()
        house.reactor.pass_time(seconds - 0.2)
        assert not [line for line in house.story if line.startswith("ended")]
        house.reactor.pass_time(0.3)
        assert house.story[-1] == f"ended {reason.value}"
        assert house.sent()[:1] == ["BYE"]

    asyncio.run(story())


def test_timers_of_an_application_are_guarded_and_can_be_cancelled():
    async def story():
        house = House()
        await house.up()
        rung = []
        house.application.call.call_later(0.1, lambda: rung.append(1))
        cancel = house.application.call.call_later(0.1, lambda: rung.append(2))
        cancel()
        house.application.call.call_later(0.2, lambda: 1 / 0)
        house.reactor.pass_time(0.5)
        cancel()
        assert rung == [1]
        assert house.story[-1] == "ended failure"

    asyncio.run(story())


def test_stopping_ends_what_is_there_and_closes_everything():
    async def story():
        house = House()
        await house.up()
        house.server.stop()
        house.reactor.pass_time(0.1)
        assert house.story[-1] == "ended drain"
        assert house.reactor.ports == {}
        assert house.reactor.getDelayedCalls() == []

    asyncio.run(story())


@pytest.mark.parametrize("text", ["udp:5070", "5070", "sctp:127.0.0.1:5070", "udp:name:5070"])
def test_bad_listen_addresses_are_refused(text):
    with pytest.raises(InvalidError):
        parse_listen(text)


def test_networks():
    """Families are not mixed; host bits are tolerated; rubbish is refused."""
    networks = parse_networks(["192.0.2.5/24", "::1/128"])
    assert is_inside("192.0.2.200", networks)
    assert is_inside("::1", networks)
    assert not is_inside("192.0.3.1", networks)
    assert not is_inside("::ffff:192.0.2.1", networks)
    with pytest.raises(InvalidError):
        parse_networks(["everywhere"])


def test_a_wildcard_needs_somebody_to_face():
    with pytest.raises(InvalidError):
        reachable_address("::", parse_networks(["192.0.2.0/24"]))
    assert reachable_address("192.0.2.1", ()) == "192.0.2.1"


def test_a_port_range_without_a_pair_is_refused():
    for ports in ((20_001, 20_002), (0, 100), (65_534, 70_000)):
        with pytest.raises(InvalidError):
            House(rtp_ports=ports)

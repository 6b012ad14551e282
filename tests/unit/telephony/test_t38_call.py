"""A fax call and the media it goes by: T.38 from the start, by their re-INVITE, by ours, or not at all."""

import asyncio

import pytest

from tests.support.sip_bench import SDP, request, tag_of
from tests.unit.telephony.test_offer import AUDIO, HEAD, IMAGE, T38
from tests.unit.telephony.test_reinvite import response
from tests.unit.telephony.test_server import ACCOUNT, Application, House
from um.core.account import Number, NumberUse
from um.core.ids import E164
from um.telephony.application import FaxMedia, HandOver, Route
from um.telephony.t38 import T38Terms

FAX_NUMBER = Number(E164("+15551230001"), ACCOUNT.id, use=NumberUse.FAX)
BOTH_NUMBER = Number(E164("+15551230001"), ACCOUNT.id, use=NumberUse.BOTH)
T38_SDP = HEAD + IMAGE + T38
IMAGE_REFUSED = HEAD + "m=image 0 udptl t38\r\n"
TERMS = T38Terms(max_datagram=1400)
WHERE = ("192.0.2.10", 4000)


class Fax(Application):
    """Takes T.38 and gives its media away when the call is up."""

    def __init__(self, call, story, *, takes_t38=True):
        if takes_t38:
            call.take_t38(self.changed)
        self.media = None
        self.changes = []
        super().__init__(call, story)

    def answered(self):
        super().answered()
        self.media = self.call.hand_over_media()

    def changed(self, media):
        self.changes.append(media)


class FaxHouse(House):
    """A server whose number is a fax."""

    def __init__(self, *, number=FAX_NUMBER, application="fax", takes_t38=True):
        super().__init__(Route(application, ACCOUNT, number), applications={"fax": self.fax})
        self.takes_t38 = takes_t38

    def fax(self, call):
        self.application = Fax(call, self.story, takes_t38=self.takes_t38)
        return self.application

    async def call(self, body):
        """An INVITE with this offer; returns what is answered."""
        self.receive(request("INVITE", body=body))
        for _ in range(5):
            await asyncio.sleep(0)
        sent = self.sent()
        if "200 INVITE" in sent:
            self.tag = tag_of(self.last)
            self.receive(request("ACK", branch="z9hG4bKack", to_tag=self.tag))
        return sent

    def offers_t38(self):
        """Our re-INVITE."""
        self.application.call.offer_t38()
        assert self.sent() == ["INVITE"]
        assert "m=image 200" in self.last
        return self.last

    def invite_again(self, body, cseq=2):
        self.receive(
            request("INVITE", branch=f"z9hG4bK{cseq}", cseq=cseq, to_tag=self.tag, body=body)
        )
        return self.sent()

    def acknowledge(self, cseq):
        self.receive(request("ACK", branch=f"z9hG4bKa{cseq}", cseq=cseq, to_tag=self.tag))


def told(story):
    """Run a story that needs a loop."""
    asyncio.run(story())


def test_t38_from_the_start():
    """An offer of T.38 alone: the socket is handed over for UDPTL, no RTP was ever sent."""

    async def story():
        house = FaxHouse()
        assert await house.call(T38_SDP) == ["100 INVITE", "200 INVITE"]
        media = house.application.media
        assert (media.remote, media.t38) == (WHERE, TERMS)
        # There is nothing to offer any more.
        house.application.call.offer_t38()
        assert house.sent() == []

    told(story)


def test_t38_alone_makes_a_call_to_a_number_for_both_a_fax():
    """Nobody speaks over T.38."""

    async def story():
        house = FaxHouse(number=BOTH_NUMBER, application="voice")
        assert await house.call(T38_SDP) == ["100 INVITE", "200 INVITE"]
        assert isinstance(house.application, Fax)
        house = FaxHouse(number=BOTH_NUMBER, application="voice")
        await house.call(HEAD + AUDIO + IMAGE)
        assert not isinstance(house.application, Fax)

    told(story)


@pytest.mark.parametrize("body", [T38_SDP, HEAD + "m=image 4000 tcp t38\r\n"])
def test_t38_that_is_not_taken_is_488(body):
    """With T.38 switched off, and over TCP always."""

    async def story():
        house = FaxHouse(takes_t38=body != T38_SDP)
        assert await house.call(body) == ["100 INVITE", "488 INVITE"]

    told(story)


def test_the_core_goes_over_to_t38():
    """Its re-INVITE is taken on the same port; whoever has the socket is told."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        port = house.last.partition("m=audio ")[2].partition(" ")[0]
        assert house.application.media.t38 is None
        assert house.invite_again(T38_SDP) == ["100 INVITE", "200 INVITE"]
        assert f"m=image {port} udptl t38" in house.last
        assert house.application.changes == [FaxMedia(WHERE, 0, TERMS)]
        # And back to audio, as some cores do when the fax is over.
        house.acknowledge(2)
        assert house.invite_again(SDP, cseq=3) == ["100 INVITE", "200 INVITE"]
        assert f"m=audio {port} " in house.last
        assert house.application.changes[1:] == [FaxMedia(("192.0.2.10", 40_000), 0, None)]

    told(story)


def test_a_reinvite_without_an_offer_is_answered_with_what_is():
    """Our offer is the T.38 that holds; the answer in their ACK may move it."""

    async def story():
        house = FaxHouse()
        await house.call(T38_SDP)
        assert house.invite_again("") == ["100 INVITE", "200 INVITE"]
        assert "m=image 200" in house.last
        ack = request("ACK", branch="z9hG4bKa2", cseq=2, to_tag=house.tag, body=T38_SDP)
        house.receive(ack.replace(b"m=image 4000", b"m=image 4002"))
        assert house.application.changes == [FaxMedia(("192.0.2.10", 4002), 0, TERMS)]

    told(story)


def test_a_spoken_call_becomes_a_fax_by_the_cores_reinvite():
    """A gateway that heard the calling tone itself: the voice makes way, the socket goes as T.38."""

    async def story():
        house = FaxHouse(number=BOTH_NUMBER, application="voice")
        await house.call(SDP)
        voice = house.application.call
        voice.yield_to_t38(lambda: False)
        assert house.invite_again(T38_SDP) == ["100 INVITE", "488 INVITE"]
        house.receive(request("ACK", branch="z9hG4bK2", cseq=2, to_tag=house.tag))
        voice.yield_to_t38(lambda: True)
        assert house.invite_again(T38_SDP, cseq=3) == ["100 INVITE", "200 INVITE"]
        house.acknowledge(3)

        def hand_over():
            raise HandOver("fax")

        voice.call_later(0, hand_over)
        house.reactor.pass_time(0.01)
        media = house.application.media
        assert (media.remote, media.t38) == (WHERE, TERMS)

    told(story)


def test_t38_over_tcp_is_refused_and_the_fax_goes_on():
    """A re-INVITE to TCP gets 488; the session stays as it was (RFC 3261 §14.2)."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        body = HEAD + "m=image 4000 TCP t38\r\n"
        assert house.invite_again(body) == ["100 INVITE", "488 INVITE"]
        assert house.application.changes == []
        assert house.story == ["made", "answered"]

    told(story)


def test_we_go_over_to_t38():
    """Our offer names the port we have; the answer says where UDPTL goes."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        port = house.last.partition("m=audio ")[2].partition(" ")[0]
        invite = house.offers_t38()
        assert f"m=image {port} udptl t38" in invite
        house.receive(response(invite, 200, body=T38_SDP))
        assert house.sent() == ["ACK"]
        assert house.application.changes == [FaxMedia(WHERE, 0, TERMS)]
        house.reactor.pass_time(10)
        assert house.sent() == []

    told(story)


@pytest.mark.parametrize("status", [415, 488, 606])
def test_a_core_that_refuses_t38_keeps_its_audio(status):
    """Nothing changes, and we do not ask again."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        house.receive(response(house.offers_t38(), status))
        assert house.sent() == ["ACK"]
        house.reactor.pass_time(10)
        assert house.sent() == []
        assert house.application.changes == []
        assert house.story == ["made", "answered"]

    told(story)


def test_an_offer_nobody_answers_is_taken_back_after_five_seconds():
    """CANCEL; the fax has been going on in G.711 all the while."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        invite = house.offers_t38()
        house.receive(response(invite, 100))
        house.reactor.pass_time(4.9)
        assert house.sent() == []
        house.reactor.pass_time(0.2)
        assert house.sent() == ["CANCEL"]
        house.receive(response(invite, 487))
        assert house.sent() == ["ACK"]
        assert house.application.changes == []
        assert house.story == ["made", "answered"]

    told(story)


def test_after_a_glare_we_offer_again():
    """491: within 2 s, since the Call-ID is not ours (RFC 3261 §14.1); three times at the most."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        invite = house.offers_t38()
        for _ in range(3):
            house.receive(response(invite, 491))
            assert house.sent() == ["ACK"]
            house.reactor.pass_time(2.01)
            assert set(house.sent()) == {"INVITE"}  # and its repetitions
            invite = house.last
        house.receive(response(invite, 491))
        house.sent()
        house.reactor.pass_time(2.01)
        assert house.sent() == []
        assert house.story == ["made", "answered"]

    told(story)


def test_after_a_glare_the_core_may_be_first():
    """Its offer comes while we wait: it is taken, and ours is not made again."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        invite = house.offers_t38()
        assert house.invite_again(T38_SDP) == ["491 INVITE"]
        house.receive(request("ACK", branch="z9hG4bK2", cseq=2, to_tag=house.tag))
        house.receive(response(invite, 491))
        house.sent()
        assert house.invite_again(T38_SDP, cseq=3) == ["100 INVITE", "200 INVITE"]
        house.acknowledge(3)
        assert house.application.changes == [FaxMedia(WHERE, 0, TERMS)]
        house.reactor.pass_time(2.01)
        assert house.sent() == []

    told(story)


def test_an_answer_that_refuses_the_media_is_followed_by_audio():
    """200 with port 0: there is no media any more, so we offer what there was."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        house.receive(response(house.offers_t38(), 200, body=IMAGE_REFUSED))
        assert house.sent() == ["ACK", "INVITE"]
        assert "m=audio " in house.last
        house.receive(response(house.last, 200, body=SDP))
        assert house.sent() == ["ACK"]
        assert house.application.changes == [FaxMedia(("192.0.2.10", 40_000), 0, None)]

    told(story)


def test_a_core_that_knows_no_such_call_ends_it():
    """481 to our offer (RFC 3261 §12.2.1.2)."""

    async def story():
        house = FaxHouse()
        await house.call(SDP)
        house.receive(response(house.offers_t38(), 481))
        house.reactor.pass_time(0.1)
        assert house.story[-1] == "ended failure"

    told(story)


def test_media_that_changed_before_the_socket_was_given_away_goes_with_it():
    """The spool was slow: the hand-over says T.38."""

    async def story():
        house = FaxHouse()
        Fax.answered, kept = Application.answered, Fax.answered
        try:
            await house.call(SDP)
            house.invite_again(T38_SDP)
        finally:
            Fax.answered = kept
        assert house.application.changes == []
        assert house.application.call.hand_over_media().t38 == TERMS

    told(story)

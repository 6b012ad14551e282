"""A call at ease on a server without a network: later by a tenth of a second at most, and the same."""

import asyncio

import pytest

from tests.support.sip_bench import SDP, request
from tests.support.telephone_rtp import RtpSender, tone
from tests.unit.telephony.test_server import PHONE, House
from um.telephony.rtp.packet import parse_packet

LOUD = tone(440, 0.02)


class Bed:
    """One call at ease that is spoken into, a packet in 20 ms."""

    def __init__(self):
        self.house = House(no_media_seconds=10_000)
        self.sender = RtpSender(0)
        self.said = 0

    async def up(self):
        await self.house.up()
        self.call = self.house.application.call
        self.call.be_at_ease(at_ease=True)
        self.rtp = next(udp for udp in self.house.media if udp.address[1] % 2 == 0)
        self.speak(1.0)
        assert self.resting
        return self

    @property
    def resting(self):
        return self.rtp.protocol.resting

    @property
    def heard(self):
        return self.house.application.heard

    def put(self, packets):
        for data in packets:
            self.rtp.protocol.datagramReceived(data, PHONE)

    def speak(self, seconds):
        for _ in range(round(seconds / 0.02)):
            self.put(self.sender.frame(LOUD))
            self.said += 320
            self.house.reactor.pass_time(0.02)

    def press(self, digit):
        """Returns after how many of its packets the key was told."""
        told = None
        for number, packets in enumerate(self.sender.press(digit)):
            self.put(packets)
            self.house.reactor.pass_time(0.02)
            if told is None and f"digit {digit}" in self.house.story:
                told = number + 1
        return told


def story(test):
    """Run a test with a call that is up."""

    async def run():
        test(await Bed().up())

    asyncio.run(run())


def test_what_is_said_is_told_in_order_and_whole():
    """In halves of a second, a tenth later; the last word with the end."""

    def test(bed):
        for _ in range(100):
            bed.speak(0.02)
            assert bed.said - bed.heard <= 0.6 * 16_000 + 320
        assert bed.resting
        bed.house.bye()
        assert bed.heard == bed.said
        assert (bed.house.server.beats.begin(), bed.house.server.beats.listeners()) == ([], [])

    story(test)


def test_a_key_is_told_within_a_tenth_of_a_second():
    """What was said before it first; the next one at once, because ease is over for a while."""

    def test(bed):
        assert bed.press("5") <= 5
        assert bed.heard == bed.said
        assert not bed.resting
        assert bed.press("6") == 1
        bed.speak(1.0)
        assert bed.resting

    story(test)


def test_a_key_by_info_comes_after_what_was_said_before_it():
    """Also what nobody has read yet."""

    def test(bed):
        while not bed.rtp.protocol.waiting:
            bed.speak(0.02)
        bed.house.receive(
            request(
                "INFO",
                branch="z9hG4bKinfo",
                cseq=2,
                to_tag=bed.house.tag,
                extra="Content-Type: application/dtmf-relay\r\n",
                body="Signal=5\r\nDuration=100\r\n",
            )
        )
        assert bed.house.story[-1] == "digit 5"
        assert bed.heard == bed.said

    story(test)


def test_a_prompt_leaves_packet_by_packet():
    """Not in a burst of what was rested through; the time of our stream has gone on."""

    def test(bed):
        bed.house.reactor.pass_time(0.06)
        before = len(bed.rtp.sent)
        bed.call.play(tone(600, 0.2))
        sent = []
        for _ in range(10):
            bed.house.reactor.pass_time(0.02)
            sent.append(len(bed.rtp.sent) - before)
        assert sent == list(range(1, 11))
        stream = [parse_packet(data) for data, _ in bed.rtp.sent]
        first, last = stream[before], stream[-1]
        assert first.marker
        assert last.timestamp - first.timestamp == 9 * 160
        assert (first.timestamp - stream[0].timestamp) / 8000 == pytest.approx(1.06, abs=0.05)

    story(test)


def test_what_is_heard_during_a_prompt_is_told_before_its_end():
    """The end of the greeting is where the recording begins: nothing from before it comes after it."""

    def test(bed):
        bed.call.play(tone(600, 0.3))
        while "finished" not in bed.house.story:
            bed.speak(0.02)
        heard = bed.heard
        assert bed.said - heard <= 320
        bed.speak(0.02)

    story(test)


def test_what_is_answered_to_the_last_packet_comes_after_the_end():
    """However late it is read: a caller who speaks as soon as the beep is over is recorded whole."""

    def test(bed):
        protocol = bed.rtp.protocol
        send, answered = protocol.send, []

        def answer(data, address):
            send(data, address)
            if answered or len(bed.rtp.sent) - before >= 15:
                answered.append(bed.house.story[-1])
                protocol.waiting += [
                    (each, PHONE, bed.house.reactor.seconds()) for each in bed.sender.frame(LOUD)
                ]

        bed.house.reactor.pass_time(0.5)
        before = len(bed.rtp.sent)
        protocol.send = answer
        bed.call.play(tone(600, 0.3))
        while "finished" not in bed.house.story:
            bed.house.reactor.pass_time(0.01)
        heard = bed.heard
        assert answered
        protocol.send = send
        bed.house.bye()
        assert bed.heard - heard == 320 * len(answered)

    story(test)


def test_a_loss_a_flood_and_a_new_agreement_end_the_ease():
    """Whatever is not plain going on is looked at in each beat."""

    def lost(bed):
        bed.sender.frame(LOUD)

    def flood(bed):
        for _ in range(40):
            bed.put(bed.sender.frame(LOUD))

    def moved(bed):
        moved = SDP.replace("m=audio 40000", "m=audio 40010")
        bed.house.receive(
            request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=bed.house.tag, body=moved)
        )

    def unwanted(bed):
        bed.call.be_at_ease(at_ease=False)

    for unsettle in (lost, flood, moved, unwanted):

        def test(bed, unsettle=unsettle):
            unsettle(bed)
            bed.speak(0.1)
            assert not bed.resting
            bed.house.bye()

        story(test)

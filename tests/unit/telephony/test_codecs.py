"""G.729, comfort noise and packet lengths: octets to sound and back, time kept."""

import random
import subprocess
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_bench import CountedMetrics
from tests.support.speech import correlates, say
from um.telephony import g729
from um.telephony.codec import Codec, Codecs
from um.telephony.g729 import G729, G729Coder, installed
from um.telephony.offer import Agreed, MediaNegotiation, NotAcceptableError
from um.telephony.rtp.g711 import G711, G711Coder
from um.telephony.rtp.noise import ComfortNoise
from um.telephony.rtp.packet import RtpPacket, parse_packet
from um.telephony.rtp.session import Audio, PlaybackFinished, RtpSession
from um.telephony.rtp.speaker import StreamState

PHONE = ("192.0.2.10", 40_000)
ALL = Codecs((*G711, G729))


def level(samples):
    values = array("h", samples)
    return sum(map(abs, values)) / max(1, len(values))


class Bed:
    """A session with its clock."""

    def __init__(self, codec, *, ptime_ms=20, noise_type=None, unbroken=False):
        number = codec.payload_type
        agreed = Agreed(
            PHONE, codec, number, None, ptime_ms, sends=True, receives=True, noise_type=noise_type
        )
        self.now, self.events, self.sent = 0.0, [], []
        self.session = RtpSession(
            agreed,
            core=PHONE[0],
            stream=StreamState(1, 0, 3),
            now=0.0,
            metrics=CountedMetrics(),
            codecs=ALL,
            unbroken=unbroken,
        )

    def put(self, packet):
        self.session.receive_datagram(packet.encode(), PHONE, self.now)

    def tick(self, count=1):
        for _ in range(count):
            self.now += 0.02
            self.session.tick(self.now)
            self.sent += [parse_packet(data) for data, _ in self.session.datagrams_to_send()]

    def heard(self):
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
        return b"".join(each.samples for each in self.events if isinstance(each, Audio))


# ---- the registry


def test_a_codec_is_found_by_name_and_by_static_number():
    """G.722 can follow as one more entry: its clock is 8000 in RTP (RFC 3551 §4.5.2)."""
    later = Codec("G722", 9, lambda: G711Coder(0))
    codecs = Codecs((*G711, later))
    assert codecs.named("pcma/8000/1").payload_type == 8
    assert codecs.numbered(9) is later
    assert codecs.numbered(18) is None
    assert codecs.named("g729/8000") is None
    assert Codecs((Codec("X", 96, later.make),)).numbered(96) is None


# ---- packets of 10, 20 and 30 ms


@pytest.mark.parametrize("codec", [*ALL])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30])
def test_as_much_is_sent_as_time_passes(codec, ptime_ms):
    """0.3 s of speech in packets of the agreed length, and the silence after it: no gap."""
    bed = Bed(codec, ptime_ms=ptime_ms)
    bed.session.play(say(seconds=0.3))
    bed.tick(24)
    assert len(bed.sent) == 480 // ptime_ms
    samples = 8 * ptime_ms
    assert [each.timestamp for each in bed.sent] == [samples * n for n in range(len(bed.sent))]
    assert {codec.make().length(each.payload) for each in bed.sent} == {samples}
    bed.heard()
    assert [each for each in bed.events if not isinstance(each, Audio)] == [PlaybackFinished()]


@pytest.mark.parametrize("codec", [*ALL])
@pytest.mark.parametrize("ptime_ms", [10, 20, 30])
def test_a_pause_is_a_packet_a_second(codec, ptime_ms):
    """Timestamps go on as time passes, the sequence has no gap, what is said next has the marker."""
    bed = Bed(codec, ptime_ms=ptime_ms)
    bed.session.play(say(seconds=0.3))
    bed.tick(15 + 150)
    in_pause = [each for each in bed.sent if each.timestamp >= 4000 + 240]
    assert len(in_pause) == 2
    assert abs(in_pause[1].timestamp - in_pause[0].timestamp - 8000) < 240
    spoken = len(bed.sent)
    bed.session.play(say(seconds=0.3))
    bed.tick(15)
    begins = bed.sent[spoken]
    assert abs(begins.timestamp - 165 * 160) <= 240
    assert [each.marker for each in bed.sent] == [
        number in {0, spoken} for number in range(len(bed.sent))
    ]
    assert [each.sequence for each in bed.sent] == [*range(1, len(bed.sent) + 1)]


def test_silence_is_sent_to_a_core_that_wants_it():
    """`send_silence`: a packet for each 20 ms, whatever is played."""
    bed = Bed(G711.numbered(0), unbroken=True)
    bed.session.play(say(seconds=0.3))
    bed.tick(500)
    assert [each.timestamp for each in bed.sent] == [160 * number for number in range(500)]
    assert [each.marker for each in bed.sent] == [True] + [False] * 499


@pytest.mark.parametrize("length", [80, 160, 240, 320, 480])
def test_packets_of_any_length_are_heard(length):
    """Whatever was agreed."""
    bed = Bed(G711.numbered(0))
    for number in range(20):
        bed.now = number * length / 8000
        bed.put(RtpPacket(0, False, number, number * length, 9, bytes([0x80]) * length))
    assert len(bed.heard()) == 2 * 20 * length


# ---- G.729


def test_the_library_is_here():
    """The tests need it; a server without it speaks G.711."""
    assert installed() == (G729,)


def test_a_server_without_the_library_answers_with_what_it_has(monkeypatch):
    """An offer of G.729 and PCMA gets PCMA, one of G.729 alone gets 488."""
    monkeypatch.setattr(g729, "LIBRARY", "libbcg729.so.none")
    g729._binding.cache_clear()
    have = Codecs((*G711, *installed()))
    g729._binding.cache_clear()
    head = b"v=0\r\no=c 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    session = MediaNegotiation("192.0.2.1", 20_000, 1, have)
    answer, agreed = session.answer(head + b"m=audio 40000 RTP/AVP 18 8\r\n")
    assert agreed.codec.name == "PCMA"
    assert b"m=audio 20000 RTP/AVP 8\r\n" in answer
    with pytest.raises(NotAcceptableError):
        session.answer(head + b"m=audio 40000 RTP/AVP 18\r\n")


def test_speech_survives_g729():
    """Encoded, decoded: the same words, 10 octets for 80 samples."""
    words = say(seconds=4.0)
    coder = G729Coder()
    octets = coder.encode(words)
    assert len(octets) == 4 * 1000
    assert coder.length(octets) == len(words) // 2
    decoded = G729Coder().decode(octets)
    assert len(decoded) == len(words)
    assert correlates(words, decoded) > 0.8


def test_what_we_say_in_g729_is_understood_by_others():
    """FFmpeg's decoder, written apart from libbcg729, hears the same words."""
    words = say(seconds=4.0)
    command = ["ffmpeg", "-v", "error", "-f", "g729", "-i", "pipe:0", "-f", "s16le", "pipe:1"]
    octets = G729Coder().encode(words)
    done = subprocess.run(command, input=octets, capture_output=True, check=True, timeout=60)
    assert correlates(words, done.stdout) > 0.8


def test_each_call_has_a_state_of_its_own():
    """Two coders fed alternately decode as each would alone."""
    words = say(seconds=1.0)
    octets = G729Coder().encode(words)
    one, other = G729Coder(), G729Coder()
    alone = G729Coder().decode(octets)
    mixed = b""
    for at in range(0, len(octets), 10):
        mixed += one.decode(octets[at : at + 10])
        other.decode(random.Random(at).randbytes(10))
    assert mixed == alone


def test_a_loss_in_g729_is_covered_and_fades():
    """The decoder's own concealment: 40 ms at most, then silence; length kept."""
    words = say(seconds=2.0)
    octets = G729Coder().encode(words)
    bed = Bed(G729)
    for number in range(100):
        if not 40 <= number < 45:
            bed.put(RtpPacket(18, False, number, 160 * number, 9, octets[20 * number :][:20]))
        bed.tick()
    bed.session.finish(bed.now)
    heard = bed.heard()
    assert len(heard) == len(words)
    assert correlates(words, heard) > 0.7
    assert set(heard[2 * (160 * 40 + 320) : 2 * 160 * 45]) == {0}


def test_a_described_silence_in_g729_is_noise_of_true_length():
    """RFC 3551 §4.5.6: a SID frame ends a packet; then nothing comes; then speech again."""
    bed = Bed(G729)
    octets = G729Coder().encode(say(seconds=1.0))
    bed.put(RtpPacket(18, False, 0, 0, 9, octets[:20] + b"\x12\x34"))
    bed.tick(50)
    bed.put(RtpPacket(18, True, 1, 160 * 50, 9, octets[20:40]))
    heard = bed.heard()
    assert len(heard) == 2 * 160 * 51
    assert any(heard[2 * 160 * 20 : 2 * 160 * 40])


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_octets_are_survived_by_g729(payloads):
    """Noise or nothing, never an error, and no more samples than the packet can hold."""
    coder = G729Coder()
    for payload in payloads:
        assert len(coder.decode(payload)) == 2 * coder.length(payload)
        assert coder.length(payload) <= 8 * len(payload) + 80
        assert len(coder.conceal(400)) <= 800


# ---- comfort noise


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x28", b"\x40", b"\x7f", b"\xff\x01\x02"])
def test_noise_stays_silence_to_a_recorder(payload):
    """Whatever level a packet names: below 100 of 32768 on average."""
    noise = ComfortNoise(payload)
    samples = b"".join(noise.samples(count) for count in (160, 1, 80, 4001, 9000))
    assert len(samples) == 2 * (160 + 1 + 80 + 4001 + 9000)
    assert level(samples) < 100


def test_noise_has_the_level_that_was_asked_for():
    """-60 dBov: a root mean square of 33 (RFC 3389 §3.1)."""
    values = array("h", ComfortNoise(b"\x3c").samples(8000))
    assert (sum(each * each for each in values) / 8000) ** 0.5 == pytest.approx(32.8, rel=0.05)


@pytest.mark.parametrize("number", [13, 98])
def test_a_pause_with_comfort_noise_keeps_its_length(number):
    """Two packets of noise in a pause of three seconds: noise all through, then speech."""
    bed = Bed(G711.numbered(0), noise_type=98)
    loud = bytes([0x80]) * 160
    for tick in range(250):
        if not 50 <= tick < 200:
            bed.put(RtpPacket(0, tick == 200, tick, 160 * tick, 9, loud))
        elif tick in {50, 120}:
            sequence = 50 if tick == 50 else 199
            bed.put(RtpPacket(number, False, sequence, 160 * tick, 9, b"\x3c"))
        bed.tick()
    bed.session.finish(bed.now)
    heard = bed.heard()
    assert len(heard) == pytest.approx(2 * 160 * 250, abs=640)
    pause = heard[2 * 160 * 55 : 2 * 160 * 195]
    assert 10 < level(pause) < 40

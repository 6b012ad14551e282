"""RTP: companding, packets, order, time, key presses, and the session that joins them."""

import random
import struct
from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_bench import CountedMetrics
from tests.support.telephone_rtp import Impairments, RtpSender, tone
from um.telephony.offer import Agreed
from um.telephony.rtp.dtmf import DIGITS, EventReceiver
from um.telephony.rtp.g711 import G711, LAWS, PCMA, PCMU
from um.telephony.rtp.jitter import ReorderBuffer, sequence_distance, timestamp_distance
from um.telephony.rtp.packet import RtpError, RtpPacket, is_rtcp, parse_packet
from um.telephony.rtp.session import (
    Audio,
    Digit,
    MediaLost,
    PlaybackFinished,
    RtpSession,
)
from um.telephony.rtp.speaker import StreamState
from um.telephony.rtp.timeline import STALL_SECONDS, Timeline

ALL_SAMPLES = array("h", range(-32768, 32768)).tobytes()
PHONE = ("192.0.2.10", 40_000)
CORE = "192.0.2.10"
FRAME = bytes([0xFF]) * 160


def packet(sequence, timestamp=None, *, payload=FRAME, ssrc=1, payload_type=0, marker=False):
    timestamp = 160 * sequence if timestamp is None else timestamp
    return RtpPacket(payload_type, marker, sequence % 65536, timestamp % 2**32, ssrc, payload)


# ---- G.711


def segment(value, first):
    """How many times `first` doubles before it covers `value`."""
    return max(0, (value >> first).bit_length())


def mu_encoded(sample):
    """ITU-T G.711 table 2: 14 bits of the sample."""
    mask = 0x7F if sample < 0 else 0xFF
    magnitude = min(abs(sample >> 2), 8158) + 0x21
    number = segment(magnitude, 6)
    return (number << 4 | (magnitude >> (number + 1)) & 0x0F) ^ mask


def a_encoded(sample):
    """ITU-T G.711 table 1: 13 bits of the sample, even bits inverted."""
    mask, sample = 0x55 if sample < 0 else 0xD5, sample >> 3
    magnitude = -sample - 1 if sample < 0 else sample
    number = segment(magnitude, 5)
    return (number << 4 | (magnitude >> (number or 1)) & 0x0F) ^ mask


def mu_decoded(octet):
    octet = ~octet & 0xFF
    magnitude = (((octet & 0x0F) << 3) + 0x84 << ((octet & 0x70) >> 4)) - 0x84
    return -magnitude if octet & 0x80 else magnitude


def a_decoded(octet):
    octet ^= 0x55
    number = (octet & 0x70) >> 4
    magnitude = ((octet & 0x0F) << 4) + 8
    if number:
        magnitude = (magnitude + 0x100) << (number - 1)
    return magnitude if octet & 0x80 else -magnitude


@pytest.mark.parametrize(
    ("law", "encoded", "decoded"),
    [(PCMU, mu_encoded, mu_decoded), (PCMA, a_encoded, a_decoded)],
)
def test_companding_is_that_of_the_standard(law, encoded, decoded):
    """All 65,536 samples and all 256 octets are as the tables of ITU-T G.711 have them."""
    samples = array("h", LAWS[law].decode(bytes(range(256))))
    assert list(samples) == [decoded(octet) for octet in range(256)]
    octets = LAWS[law].encode(ALL_SAMPLES)
    assert [n - 32768 for n in range(65536) if octets[n] != encoded(n - 32768)] == []


def test_silence_is_silent():
    for law in LAWS.values():
        (value,) = array("h", law.decode(bytes([law.silence])))
        assert abs(value) <= 8


# ---- packets


@given(st.binary(max_size=80))
def test_any_octets_give_a_packet_or_the_one_error(data):
    try:
        parse_packet(data)
    except RtpError:
        return


@given(
    st.builds(
        RtpPacket,
        st.integers(0, 127),
        st.booleans(),
        st.integers(0, 65535),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=40),
    )
)
def test_encoding_is_read_again(packet):
    assert parse_packet(packet.encode()) == packet


def test_contributors_extension_and_padding_are_skipped():
    """RFC 3550 §5.1, §5.3.1."""
    head = struct.pack(">BBHII", 0x80 | 0x20 | 0x10 | 2, 0, 1, 2, 3)
    data = head + bytes(8) + struct.pack(">HH", 0xBEDE, 1) + bytes(4) + b"speech" + b"\0\0\x03"
    assert parse_packet(data).payload == b"speech"
    for broken in (data[:14], data[:22], data[:-1] + b"\0", data[:-1] + b"\xff"):
        with pytest.raises(RtpError):
            parse_packet(broken)


def test_rtcp_is_told_apart():
    """RFC 5761 §4: sender report 200 … application 204."""
    assert is_rtcp(bytes([0x81, 200]) + bytes(26))
    assert not is_rtcp(packet(1, marker=True).encode())


# ---- order


def test_distances_wrap():
    assert sequence_distance(2, 65534) == 4
    assert sequence_distance(65534, 2) == -4
    assert timestamp_distance(100, 2**32 - 60) == 160


@given(st.randoms(use_true_random=False), st.integers(0, 65535))
def test_any_order_within_the_bound_comes_out_in_sequence(shuffler, first):
    """Each packet once, in order, whatever the network does to neighbours."""
    packets = [packet(first + n, 160 * n) for n in range(60)]
    arrivals = sorted(packets[1:], key=lambda each: each.timestamp / 160 + shuffler.random() * 5)
    buffer, out = ReorderBuffer(), []
    for each in [packets[0], *arrivals, *arrivals[-3:]]:
        out += buffer.put(each, 0.0)
    assert out == packets
    assert buffer.dropped == 3


def test_a_gap_is_given_up_after_a_while():
    """100 ms, or 32 packets, whichever comes first; what comes later still is dropped."""
    buffer = ReorderBuffer()
    assert buffer.put(packet(1), 0.0) == [packet(1)]
    assert buffer.put(packet(3), 0.02) == []
    assert buffer.take(0.1) == []
    assert buffer.take(0.121) == [packet(3)]
    assert buffer.put(packet(2), 0.13) == []
    assert (buffer.dropped, buffer.lost) == (1, 1)


def test_a_new_source_starts_anew():
    """A change of SSRC, or a jump of the sequence that goes on, flushes and loses nothing."""
    buffer = ReorderBuffer()
    buffer.put(packet(1), 0.0)
    buffer.put(packet(3), 0.0)
    assert buffer.put(packet(500, ssrc=2), 0.0) == [packet(3), packet(500, ssrc=2)]
    jumped = [packet(30_000, ssrc=2), packet(30_001, ssrc=2)]
    assert buffer.put(jumped[0], 0.0) == []
    assert buffer.put(jumped[1], 0.0) == jumped


def test_a_stray_packet_disturbs_nothing():
    """RFC 3550 A.1: one wild sequence number is no restart."""
    buffer = ReorderBuffer()
    buffer.put(packet(1), 0.0)
    assert buffer.put(packet(40_000), 0.0) == []
    assert buffer.put(packet(2), 0.0) == [packet(2)]
    assert buffer.dropped == 1


# ---- time


def test_a_loss_is_filled_and_a_lie_is_not():
    """Silence by timestamps, but never more than time has passed (and one second)."""
    timeline = Timeline(0.0)
    assert timeline.gap_before(packet(0), 160, 0.02) == 0
    assert timeline.gap_before(packet(3), 160, 0.08) == 320
    assert timeline.gap_before(packet(3, 2**31), 160, 0.10) <= 0.10 * 8000 + 8000


def test_a_pause_in_transmission_keeps_its_length():
    """DTX: silence made up in a stall is deducted from the gap that ends the pause."""
    timeline, filled = Timeline(0.0), 0
    timeline.gap_before(packet(0), 160, 0.0)
    for tick in range(1, 150):
        filled += timeline.stalled(tick * 0.02)
    assert filled == pytest.approx(8000 * (149 * 0.02 - STALL_SECONDS), abs=2)
    filled += timeline.gap_before(packet(150), 160, 3.0)
    assert filled == 149 * 160


def test_overlapping_timestamps_make_no_silence():
    timeline = Timeline(0.0)
    timeline.gap_before(packet(5), 160, 0.0)
    assert timeline.gap_before(packet(6, 100), 160, 0.02) == 0


# ---- key presses


def press(digit, timestamp, *, frames=5, code=None, marker=True):
    code = DIGITS.index(digit) if code is None else code
    for number in range(frames):
        payload = struct.pack(">BBH", code, 10, 160 * (number + 1))
        yield RtpPacket(101, marker and number == 0, 0, timestamp, 1, payload)
    for _ in range(3):
        payload = struct.pack(">BBH", code, 0x80 | 10, 160 * frames)
        yield RtpPacket(101, False, 0, timestamp, 1, payload)


@given(st.text(DIGITS, max_size=8), st.floats(0, 0.6), st.integers())
def test_each_press_is_told_once_under_loss_and_duplicates(digits, loss, seed):
    """As long as one packet of a press arrives, it is told, and told once."""
    dice, receiver, heard, sent = random.Random(seed), EventReceiver(), "", ""
    for number, digit in enumerate(digits):
        packets = [p for p in press(digit, 1000 * number) if dice.random() >= loss]
        packets += dice.sample(packets, k=len(packets) // 2)
        sent += digit if packets else ""
        for each in packets:
            heard += receiver.receive(each) or ""
    assert heard == sent


def test_a_long_press_in_segments_is_one_press():
    """RFC 4733 §2.5.1.3."""
    receiver = EventReceiver()
    heard = [receiver.receive(each) for each in press("5", 1000)]
    heard += [receiver.receive(each) for each in press("5", 1000 + 0xFFFF, marker=False)]
    assert [digit for digit in heard if digit] == ["5"]


def test_what_is_no_digit_is_ignored():
    """Flash (16), tones, and payloads that are too short."""
    receiver = EventReceiver()
    assert not any(receiver.receive(each) for each in press("", 0, code=16))
    assert receiver.receive(RtpPacket(101, True, 0, 0, 1, b"\x05\x0a")) is None


# ---- the session


class Bed:
    """A session with its clock; what is heard is collected."""

    def __init__(self, **changes):
        facts = {
            "remote": PHONE,
            "codec": G711.numbered(changes.get("payload_type", 0)),
            "payload_type": 0,
            "event_type": 101,
            "ptime_ms": 20,
            "sends": True,
            "receives": True,
        }
        self.agreed = Agreed(**{**facts, **changes})
        self.now = 100.0
        self.metrics = CountedMetrics()
        self.session = RtpSession(
            self.agreed,
            core=CORE,
            stream=StreamState(65_534, 2**32 - 160, 77),
            now=self.now,
            metrics=self.metrics,
        )
        self.heard = b""
        self.events = []
        self.sent = []

    def put(self, data, address=PHONE):
        self.session.receive_datagram(data, address, self.now)
        self.collect()

    def tick(self, count=1):
        for _ in range(count):
            self.now += 0.02
            self.session.tick(self.now)
            self.sent += self.session.datagrams_to_send()
            self.collect()

    def finish(self):
        self.session.finish(self.now)
        self.collect()

    def collect(self):
        while (event := self.session.next_event()) is not None:
            if isinstance(event, Audio):
                self.heard += event.samples
            else:
                self.events.append(event)


@pytest.mark.parametrize(
    "impairments",
    [
        Impairments(),
        Impairments(loss=0.05, seed=3),
        Impairments(duplicate=0.1, reorder=0.2, seed=4),
        Impairments(loss=0.1, duplicate=0.05, reorder=0.1, seed=5),
    ],
)
@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_what_is_heard_has_true_length_and_content(impairments, law):
    """Ten seconds through loss, duplicates and disorder: within 100 ms, at most the lost missing."""
    bed, sender = Bed(payload_type=law), RtpSender(law, impairments)
    speech = tone(440, 10.0)
    for start in range(0, len(speech), 320):
        for data in sender.frame(speech[start : start + 320]):
            bed.put(data)
        bed.tick()
    bed.finish()
    assert abs(len(bed.heard) - len(speech)) <= 0.1 * 16_000
    agreeing = 0
    for start in range(0, len(speech) - 320, 320):
        mine = array("h", bed.heard[start : start + 320])
        true = array("h", speech[start : start + 320])
        agreeing += all(abs(a - b) < 600 for a, b in zip(mine, true, strict=False))
    assert agreeing >= 500 * (1 - 2 * impairments.loss) - 10


def test_a_loss_fades_instead_of_clicking():
    """The first 20 ms of a gap repeat what was heard, falling to nothing."""
    bed, sender = Bed(), RtpSender(0)
    for number in range(10):
        packets = sender.frame(tone(500, 0.02))
        if number not in {4, 5}:
            bed.put(packets[0])
        bed.tick()
    bed.tick(10)
    gap = array("h", bed.heard[4 * 320 : 6 * 320])
    assert max(gap[:80]) > 1000
    assert max(map(abs, gap[150:160])) < 600
    assert set(gap[160:]) == {0}


def test_a_caller_who_sends_nothing_is_heard_as_silence():
    """So that the silence that ends a recording is noticed; 30 s later the call is lost."""
    bed = Bed()
    bed.tick(500)
    assert set(bed.heard) == {0}
    assert len(bed.heard) == pytest.approx(16_000 * (10 - STALL_SECONDS), abs=640)
    bed.tick(999)
    assert bed.events == []
    bed.tick(2)
    assert bed.events == [MediaLost()]
    bed.tick(2000)
    assert bed.events == [MediaLost()]


@pytest.mark.parametrize("silent_before", [0.1, 0.3, 0.5, 0.9, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("pause", [0.0, 0.3, 1.0, 1.3, 4.0])
def test_what_begins_after_a_beep_holds_no_silence_from_before_it(silent_before, pause):
    """A sender stops before the beep is over and speaks `pause` later: that pause is heard, no more.

    Within the quarter of a second that a loss may take to be given up.
    """
    bed, sender = Bed(), RtpSender(0)
    loud = tone(440, 0.02)
    before = round(silent_before / 0.02)

    def tick():
        sender.timestamp += 160
        bed.tick()

    for number in range(200):
        if number < 200 - before:
            bed.put(sender.frame(loud)[0])
            bed.tick()
        else:
            tick()
        if number == 174:
            bed.session.play(tone(1000, 0.5))
    while PlaybackFinished() not in bed.events:
        tick()
    begins = len(bed.heard)
    for _ in range(round(pause / 0.02)):
        tick()
    for _ in range(50):
        bed.put(sender.frame(loud)[0])
        bed.tick()
    bed.finish()
    recorded = (len(bed.heard) - begins) / 16_000
    assert pause + 1.0 - 0.03 <= recorded <= pause + 1.0 + 0.28


def test_a_caller_on_hold_is_not_lost():
    """a=recvonly or inactive: nothing is owed to us."""
    bed = Bed(receives=False)
    bed.tick(2000)
    assert bed.events == []


def test_key_presses_keep_their_time_and_are_told_once():
    """Events take the place of audio; the recording keeps its length."""
    bed, sender = Bed(), RtpSender(0, Impairments(duplicate=0.3, seed=9))
    for digit in "12#":
        for packets in sender.press(digit):
            for data in packets:
                bed.put(data)
            bed.tick()
        for _ in range(5):
            for data in sender.frame(b""):
                bed.put(data)
            bed.tick()
    assert bed.events == [Digit("1"), Digit("2"), Digit("#")]
    assert len(bed.heard) == pytest.approx(16_000 * 0.6, abs=640)


def test_what_is_played_leaves_in_20_ms_packets_and_the_end_is_told():
    """Sequence and timestamp run on over their wrap; silence follows."""
    bed = Bed()
    bed.session.play(tone(440, 0.05))
    bed.tick(2)
    assert bed.events == []
    bed.tick(2)
    assert bed.events == [PlaybackFinished()]
    packets = [parse_packet(data) for data, _ in bed.sent]
    assert [each.sequence for each in packets] == [65_534, 65_535, 0, 1]
    assert [each.timestamp for each in packets] == [2**32 - 160, 0, 160, 320]
    assert [each.marker for each in packets] == [True, False, False, False]
    assert {len(each.payload) for each in packets} == {160}
    assert {address for _, address in bed.sent} == {PHONE}
    spoken = b"".join(LAWS[0].decode(each.payload) for each in packets)
    assert len(spoken.rstrip(b"\0")) <= len(tone(440, 0.05)) + 2
    assert bed.session.stream == StreamState(2, 480, 77)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=12), st.booleans())
def test_beats_may_be_passed_together(script, longer):
    """The same packets leave, whether beats pass one by one or several at once; sounds between them."""
    together, singly = (Bed(ptime_ms=30 if longer else 20) for _ in range(2))
    for beats, frames in script:
        together.session.speak(beats)
        for _ in range(beats):
            singly.session.speak()
        for bed in (together, singly):
            bed.session.play(tone(440, 0.01 * frames))
    assert together.session.datagrams_to_send() == singly.session.datagrams_to_send()
    assert together.session.stream == singly.session.stream


def test_stopping_playback_is_at_once_and_untold():
    bed = Bed()
    bed.session.play(tone(440, 1.0))
    bed.tick(3)
    bed.session.stop_playing()
    bed.tick(3)
    assert bed.events == []
    assert parse_packet(bed.sent[-1][0]).payload == FRAME


def test_short_packets_when_agreed():
    """Ptime 10: two packets each tick."""
    bed = Bed(ptime_ms=10)
    bed.tick(2)
    assert [len(parse_packet(data).payload) for data, _ in bed.sent] == [80] * 4


def test_nothing_is_sent_to_who_holds_us():
    bed = Bed(sends=False)
    bed.session.play(tone(440, 0.1))
    bed.tick(10)
    assert bed.sent == []


def test_only_the_latched_source_is_heard():
    """RTP bleed: strangers are dropped and counted, and get nothing."""
    bed, sender = Bed(), RtpSender(0)
    stranger = ("203.0.113.66", 40_000)
    bed.put(sender.frame(tone(440, 0.02))[0], stranger)
    assert bed.heard == b""
    bed.put(sender.frame(tone(440, 0.02))[0])
    bed.put(sender.frame(tone(440, 0.02))[0], ("192.0.2.10", 50_000))
    assert len(bed.heard) == 320
    assert bed.metrics.counts == {"rtp_foreign_packets": 2}
    assert bed.session.remote == PHONE


def test_answers_go_to_where_the_audio_comes_from():
    """Symmetric RTP: another port of the core's host, then the described address takes over."""
    bed, sender = Bed(remote=("10.9.9.9", 4000)), RtpSender(0)
    assert bed.session.remote == ("10.9.9.9", 4000)
    bed.put(sender.frame(b"")[0], (CORE, 50_000))
    assert bed.session.remote == (CORE, 50_000)
    bed.put(sender.frame(b"")[0], ("10.9.9.9", 4000))
    assert bed.session.remote == ("10.9.9.9", 4000)


def test_a_new_agreement_may_move_the_other_side():
    bed, sender = Bed(), RtpSender(0)
    bed.put(sender.frame(b"")[0])
    moved = Agreed(("198.51.100.1", 6000), G711.numbered(0), 0, 101, 20, sends=True, receives=True)
    bed.session.renegotiate(moved)
    bed.tick()
    assert bed.sent[-1][1] == ("198.51.100.1", 6000)
    bed.put(sender.frame(b"")[0], ("198.51.100.1", 6000))
    assert bed.metrics.counts == {}


def test_an_injected_stream_is_not_heard():
    """From the right address with a foreign SSRC: as long as the true stream flows, never."""
    bed, true, forged = Bed(), RtpSender(0), RtpSender(0)
    for number in range(100):
        bed.put(true.frame(tone(440, 0.02))[0])
        if number > 10:
            bed.put(forged.frame(tone(900, 0.02))[0])
            bed.put(forged.frame(tone(900, 0.02))[0])
        bed.tick()
    assert len(bed.heard) == 100 * 320
    assert bed.session.statistics.source_changes == 0


def test_stragglers_of_a_former_stream_are_not_heard():
    """Packets of the first SSRC that arrive after the second took over."""
    bed, first, second = Bed(), RtpSender(0), RtpSender(0)
    for _ in range(20):
        bed.put(first.frame(tone(440, 0.02))[0])
        bed.tick()
    late = [first.frame(tone(440, 0.02))[0] for _ in range(2)]
    for number in range(20):
        bed.put(second.frame(tone(440, 0.02))[0])
        if number in {5, 7}:
            bed.put(late.pop())
        bed.tick()
    assert len(bed.heard) == 40 * 320
    assert bed.session.statistics.source_changes == 1


def test_a_reinvite_may_move_a_source_that_no_description_names():
    """Behind a translator the description never changes; the port of the media may."""
    bed, sender = Bed(remote=("10.9.9.9", 4000)), RtpSender(0)
    bed.put(sender.frame(b"")[0], (CORE, 50_000))
    bed.put(sender.frame(b"")[0], (CORE, 50_002))
    assert bed.session.remote == (CORE, 50_000)
    bed.session.renegotiate(bed.agreed)
    assert bed.session.remote == (CORE, 50_000)
    bed.put(sender.frame(b"")[0], (CORE, 50_002))
    assert bed.session.remote == (CORE, 50_002)


def test_hold_stops_us_and_resume_goes_on_where_we_were():
    """What is played waits; nothing is sent while held; the call is not lost meanwhile."""
    bed, sender = Bed(), RtpSender(0)
    bed.session.play(tone(440, 1.0))
    for _ in range(10):
        bed.put(sender.frame(b"")[0])
        bed.tick()
    bed.session.renegotiate(replace(bed.agreed, remote=None, sends=False, receives=False))
    sent = len(bed.sent)
    bed.tick(2000)
    assert len(bed.sent) == sent
    assert MediaLost() not in bed.events
    bed.session.renegotiate(bed.agreed)
    bed.tick(40)
    assert bed.events == [PlaybackFinished()]
    sequences = [parse_packet(data).sequence for data, _ in bed.sent]
    assert sequences == [(65_534 + n) % 65_536 for n in range(50)]


def test_a_new_ssrc_in_the_middle_is_tolerated():
    """A core that swaps its source: the audio goes on."""
    bed = Bed()
    for _ in range(2):
        sender = RtpSender(0)
        for _ in range(50):
            bed.put(sender.frame(tone(440, 0.02))[0])
            bed.tick()
    assert len(bed.heard) == 2 * 16_000


@given(
    st.lists(
        st.binary(max_size=40)
        | st.binary(min_size=12, max_size=40).map(
            lambda data: bytes([0x80, data[1] & 0x7F]) + data[2:]
        ),
        max_size=30,
    )
)
def test_any_datagrams_are_survived_and_cannot_stretch_time(datagrams):
    """Nothing raises; what is heard never exceeds what was sent, the time passed and a second."""
    bed = Bed()
    for data in datagrams:
        bed.put(data)
        bed.tick()
    bed.finish()
    most = 8000 * (bed.now - 100.0 + 1) + sum(map(len, datagrams))
    assert len(bed.heard) / 2 <= most + 1

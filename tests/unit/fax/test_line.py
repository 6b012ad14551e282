"""RTP to samples and gaps, for a modem."""

from hypothesis import given
from hypothesis import strategies as st

from fax.gap import GapFilling
from fax.line import Audio, Gap, RtpLine
from tests.support.fax_machine import compress, expand
from um.telephony.rtp.packet import RtpPacket, parse_packet

FRAMES = [bytes([number, 0]) * 160 for number in range(1, 40)]


def packet(number, *, kind=0, ssrc=7, payload=None):
    data = compress(FRAMES[number % 39]) if payload is None else payload
    return RtpPacket(kind, False, number & 0xFFFF, number * 160, ssrc, data).encode()


def line():
    return RtpLine(0, sequence=65535, timestamp=2**32 - 160, ssrc=5)


def fed(numbers, *, first=1000):
    """All pieces, ticks at the end included so that nothing waits any more."""
    rtp, pieces = line(), []
    for turn, number in enumerate(numbers):
        pieces += rtp.receive(packet(first + number), turn * 0.02)
    *pieces, quiet = pieces + rtp.tick(99.0)
    assert quiet == Gap(160)  # for nothing has come for so long
    return pieces


def sound(number):
    return Audio(expand(compress(FRAMES[(1000 + number) % 39])))


def test_samples_come_in_order():
    """Packets that overtake each other are put right; doubles are heard once."""
    assert fed([0, 2, 1, 1, 3, 2]) == [sound(0), sound(1), sound(2), sound(3)]


def test_a_lost_packet_is_a_gap_of_its_length():
    """The modem coasts over exactly what is missing."""
    assert fed([0, 1, 4, 5]) == [sound(0), sound(1), Gap(320), sound(4), sound(5)]


def test_time_goes_on_when_nothing_comes():
    """After 120 ms of nothing each tick is a gap, and what was told is not told again."""
    rtp = line()
    rtp.receive(packet(10), 0.0)
    gaps = [gap for number in range(1, 17) for gap in rtp.tick(0.02 * number)]
    assert gaps == [Gap(160)] * 10
    assert rtp.receive(packet(27), 0.34) == []  # 16 packets may still come
    late, sound, _quiet = rtp.tick(0.6)
    assert (late, sound) == (Gap(16 * 160 - 10 * 160), Audio(expand(compress(FRAMES[27]))))


def test_a_receiver_that_was_held_up_makes_no_gap():
    """Half a second without the processor: its packets are there, and count before its ticks."""
    rtp = line()
    rtp.receive(packet(10), 0.0)
    rtp.tick(0.02)
    for number in range(11, 36):
        assert rtp.receive(packet(number), 0.52)
    assert [piece for _ in range(25) for piece in rtp.tick(0.52)] == []


def test_other_payloads_take_their_place_and_make_no_sound():
    """Comfort noise and telephone events."""
    rtp = line()
    assert rtp.receive(packet(1), 0)
    assert rtp.receive(packet(2, kind=13, payload=b"\x40"), 0) == []
    assert rtp.receive(packet(3), 0) == [Audio(expand(compress(FRAMES[3])))]


def test_a_new_source_is_followed():
    """A change of SSRC begins a new count (RFC 3550 section 8.2)."""
    rtp = line()
    rtp.receive(packet(1), 0)
    assert rtp.receive(packet(30_000, ssrc=8), 0) == [Audio(expand(compress(FRAMES[30_000 % 39])))]


def test_what_is_sent_goes_on_where_the_call_stopped():
    """Sequence and timestamp count on, around their ends."""
    rtp = line()
    first, second = parse_packet(rtp.packet(FRAMES[0])), parse_packet(rtp.packet(FRAMES[1]))
    assert (first.sequence, first.timestamp, first.ssrc) == (65535, 2**32 - 160, 5)
    assert (second.sequence, second.timestamp) == (0, 0)
    assert first.payload == compress(FRAMES[0])


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_datagrams_are_taken_or_counted(datagrams):
    """Hostile packets raise nothing."""
    rtp = line()
    for datagram in datagrams:
        rtp.receive(datagram, 0.0)
    assert rtp.bad_packets <= len(datagrams)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_no_sample_is_lost_or_made_up(arrives, random):
    """Sound and gaps together are as long as what was sent between the first and last arrival."""
    numbers = [number for number, there in enumerate(arrives) if there]
    if not numbers:
        return
    shuffled = [numbers[0], *sorted(numbers[1:], key=lambda n: n + random.choice([0, 0, 1.5]))]
    pieces = fed(shuffled)
    total = sum(len(p.samples) // 2 if isinstance(p, Audio) else p.count for p in pieces)
    assert total == (numbers[-1] - numbers[0] + 1) * 160


@given(st.binary(min_size=2, max_size=320), st.lists(st.integers(1, 400), max_size=12))
def test_a_gap_is_filled_with_the_last_frame_and_then_with_silence(before, counts):
    """However the gap is cut up: 160 ms of the last 20 ms again, then nothing."""
    before = before[: len(before) // 2 * 2]
    gap = GapFilling(before)
    filled = b"".join(gap.fill(count) for count in counts)
    whole = before.rjust(320, b"\0") * 8
    assert len(filled) == 2 * sum(counts)
    assert filled == whole[: len(filled)].ljust(len(filled), b"\0")

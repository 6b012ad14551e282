"""UDPTL: octets to datagrams and back, order, and what makes lost packets good."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from um.telephony.udptl import (
    DEPTH,
    GAP_SECONDS,
    WINDOW,
    ErrorCorrection,
    NumberedIfp,
    Parity,
    UdptlDatagram,
    UdptlError,
    UdptlReceiver,
    UdptlSender,
    decode,
    encode,
    exclusive_or,
)

IFPS = [bytes([n & 0xFF, n >> 8, *range(n % 40)]) for n in range(400)]
RECOVERING = [ErrorCorrection.REDUNDANCY, ErrorCorrection.FEC]

octets = st.binary(max_size=200)
entries = st.lists(octets, max_size=8).map(tuple)
datagrams = st.one_of(
    st.builds(UdptlDatagram, st.integers(0, 65535), octets, entries),
    st.builds(
        UdptlDatagram,
        st.integers(0, 65535),
        octets,
        st.just(()),
        st.builds(Parity, st.integers(0, 255), entries),
    ),
)


def sent(correction, ifps=IFPS, *, max_datagram=400):
    sender = UdptlSender(correction, max_datagram=max_datagram)
    return [sender.datagram(ifp) for ifp in ifps]


def heard(arrivals, *, step=0.03):
    """A receiver after these datagrams, one every 30 ms, and what it told."""
    receiver = UdptlReceiver()
    told = []
    for tick, data in enumerate(arrivals):
        told += receiver.receive(data, tick * step)
    told += receiver.take((len(arrivals) + 1) * step + GAP_SECONDS)
    return receiver, told


def trimmed(ifp):
    """Parity makes an IFP as long as the longest it covers."""
    return ifp.rstrip(b"\0")


# ---- octets


@given(datagrams)
def test_decode_undoes_encode(datagram):
    """Whatever is sent is read as it was meant."""
    assert decode(encode(datagram)) == datagram


@given(st.binary(max_size=300))
def test_any_octets_give_a_datagram_or_the_one_error(data):
    """No octets do anything else; what is read is written again with the same meaning."""
    try:
        datagram = decode(data)
    except UdptlError:
        return
    assert decode(encode(datagram)) == datagram


@pytest.mark.parametrize(
    ("size", "length_octets"),
    [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 2), (16_512, 3), (50_000, 3), (65_000, 3)],
)
def test_lengths_have_short_long_and_fragmented_forms(size, length_octets):
    """X.691: one octet, two octets, fragments of up to 64 K and a rest."""
    datagram = UdptlDatagram(7, bytes(size))
    data = encode(datagram)
    assert decode(data) == datagram
    assert len(data) == 2 + length_octets + size + 2


def test_a_datagram_as_it_stands_on_the_wire():
    """Sequence, primary IFP, redundancy: the IFPs before it, the latest first."""
    data = bytes.fromhex("0002 01 06 00 02 01 00 02 c001".replace(" ", ""))
    assert decode(data) == UdptlDatagram(2, b"\x06", (b"\x00", b"\xc0\x01"))


def test_a_datagram_without_any_recovery_is_taken():
    """Some senders end after the primary IFP."""
    assert decode(b"\0\5\1\6") == UdptlDatagram(5, b"\6")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\0\2\6",  # less than it says
        b"\0\0\1\6\0\1",  # a missing redundant IFP
        b"\0\0\1\6\0\0\0",  # more than it says
        b"\0\0\1\6\x80\2\3\0",  # a span of two octets
        b"\0\0\xc5\0",  # five fragments in one
        b"\0\0\xc0\0",  # no fragment in one
        b"\0\0\1\6\0\x7f",  # 127 redundant IFPs
    ],
)
def test_what_is_cut_or_padded_is_refused(data):
    """Every length must hold to the last octet: so stray RTP is hardly ever taken for fax."""
    with pytest.raises(UdptlError):
        decode(data)


# ---- a clean line


@pytest.mark.parametrize("correction", list(ErrorCorrection))
def test_all_arrives_in_order_on_a_clean_line(correction):
    """Each IFP once, with its number."""
    receiver, told = heard(sent(correction))
    assert told == [NumberedIfp(n, ifp) for n, ifp in enumerate(IFPS)]
    assert (receiver.recovered, receiver.lost, receiver.repeated) == (0, 0, 0)


def test_the_count_wraps():
    """After 65,535 comes 0, also when it is the one that is lost."""
    numbers = range(65_530, 65_542)
    datagrams = [
        encode(UdptlDatagram(n & 0xFFFF, IFPS[n - 65_530], tuple(IFPS[: n - 65_530][::-1][:3])))
        for n in numbers
        if n != 65_536
    ]
    receiver, told = heard(datagrams)
    assert [each.sequence for each in told] == [n & 0xFFFF for n in numbers]
    assert receiver.recovered == 1


@pytest.mark.parametrize("correction", list(ErrorCorrection))
@pytest.mark.parametrize("limit", [20, 48, 72, 100, 200])
def test_the_datagram_limit_of_the_peer_is_honoured(correction, limit):
    """Recovery is left out, the oldest first, before a datagram grows beyond the limit."""
    for ifp, data in zip(IFPS, sent(correction, max_datagram=limit), strict=True):
        assert len(data) <= limit or len(data) == len(ifp) + 5
        assert decode(data).primary == ifp


# ---- a bad line


@pytest.mark.parametrize("correction", RECOVERING)
@pytest.mark.parametrize("first", [0, 1, 5, 200, 390])
def test_three_lost_in_a_row_are_made_good(correction, first):
    """A burst of three is what three redundant IFPs and parity of 3 x 3 are for."""
    datagrams = sent(correction)
    if correction is ErrorCorrection.FEC and first < 2 * DEPTH:
        first = 3 * DEPTH  # parity covers nothing yet
    if first > len(IFPS) - 3 * DEPTH - 3:
        first = len(IFPS) - 4 * DEPTH
    del datagrams[first : first + DEPTH]
    receiver, told = heard(datagrams)
    assert [trimmed(each.octets) for each in told] == [trimmed(ifp) for ifp in IFPS]
    assert (receiver.recovered, receiver.lost) == (DEPTH, 0)


@pytest.mark.parametrize("correction", list(ErrorCorrection))
@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_line_makes_it_tell_twice_or_out_of_order(correction, seed):
    """Loss, duplicates and reordering: what is told is in order, once, and as it was sent."""
    dice = random.Random(seed)
    loss = dice.choice([0, 0.05, 0.15, 0.5])
    arrivals = []
    for n, data in enumerate(sent(correction, IFPS[:150])):
        if dice.random() >= loss:
            arrivals.append((n + dice.choice([0, 0, 0, 2.5, 5.5]), data))
        if dice.random() < 0.1:
            arrivals.append((n + dice.uniform(0, 8), data))
    receiver, told = heard([data for _, data in sorted(arrivals)])
    numbers = [each.sequence for each in told]
    assert numbers == sorted(set(numbers))
    for each in told:
        assert trimmed(each.octets) == trimmed(IFPS[each.sequence])
    # What was lost before the first that came cannot be known of.
    assert len(told) + receiver.lost == (numbers[-1] - min(numbers) + 1 if numbers else 0)


@pytest.mark.parametrize(("loss", "most_lost"), [(0.05, 0), (0.10, 1), (0.15, 3)])
def test_redundancy_makes_nearly_all_loss_good(loss, most_lost):
    """15 % of datagrams lost: of 400 IFPs at most a few are missing (all four copies lost)."""
    dice = random.Random(7)
    receiver, told = heard(
        [data for data in sent(ErrorCorrection.REDUNDANCY) if dice.random() >= loss]
    )
    assert receiver.lost <= most_lost
    assert receiver.recovered > 0.8 * loss * len(IFPS)
    assert len(told) >= len(IFPS) - most_lost - DEPTH


def test_reordering_costs_nothing():
    """Each pair swapped, without any recovery: all told, in order."""
    first, *others = sent(ErrorCorrection.NONE, IFPS[:399])
    pairs = zip(others[1::2], others[::2], strict=True)
    receiver, told = heard([first, *(data for pair in pairs for data in pair)])
    assert [each.octets for each in told] == IFPS[:399]
    assert (receiver.recovered, receiver.lost, receiver.repeated) == (0, 0, 0)


def test_a_gap_is_waited_for_and_then_given_up():
    """A missing IFP holds up those behind it for a quarter of a second, not for ever."""
    datagrams = sent(ErrorCorrection.NONE)
    receiver = UdptlReceiver()
    assert len(receiver.receive(datagrams[0], 0)) == 1
    assert receiver.receive(datagrams[3], 1) == []
    assert receiver.receive(datagrams[2], 1 + GAP_SECONDS / 2) == []
    assert [each.sequence for each in receiver.take(1 + GAP_SECONDS)] == [2, 3]
    assert receiver.receive(datagrams[1], 2) == []
    assert (receiver.lost, receiver.repeated) == (1, 1)


def test_a_leap_of_the_count_is_followed():
    """A long silence on the line, or a sender that starts anew: the fax goes on."""
    datagrams = sent(ErrorCorrection.REDUNDANCY)
    _, told = heard([*datagrams[:5], *datagrams[5 + 2 * WINDOW :]])
    assert [each.sequence for each in told[:6]] == [0, 1, 2, 3, 4, 5 + 2 * WINDOW]
    _, told = heard([*datagrams[300:], *datagrams[:100]])
    assert told[-1].sequence == 99


def test_parity_is_exclusive_or_padded_to_the_longest():
    """T.38 §9.1.4.2."""
    assert exclusive_or([b"\x01\x02", b"\x03", b""]) == b"\x02\x02"
    assert exclusive_or([]) == b""

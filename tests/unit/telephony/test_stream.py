"""Framing of SIP over a stream: any split gives the same messages and the same one error."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_bench import SDP, request
from um.telephony.sip.stream import MAX_MESSAGE_OCTETS, PING, FramingError, StreamFramer

INVITE = request("INVITE", body=SDP)
OPTIONS = request("OPTIONS", branch="z9hG4bKtwo", extra="X: 1\r\n")
COMPACT = OPTIONS.replace(b"Content-Length: 0", b"l :\r\n\t0")


def frames(pieces):
    """All frames, and the error's text if one came."""
    framer, found = StreamFramer(), []
    for piece in pieces:
        framer.feed(piece)
        try:
            while (frame := framer.next_frame()) is not None:
                found.append(frame)
        except FramingError as error:
            return [*found, error.public]
    return found


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


PARTS = st.lists(
    st.sampled_from(
        [
            *(INVITE, OPTIONS, COMPACT, b"\r\n", PING, PING * 2, PING + b"\r\n", b"\r", b"\n"),
            *(b"junk\r\n\r\n", OPTIONS[:40], OPTIONS.replace(b"Length: 0", b"Length: x")),
        ]
    ),
    max_size=6,
)


@given(PARTS, st.lists(st.integers(0, 5000), max_size=12))
def test_any_split_gives_the_same(parts, places):
    """One piece, some pieces or single octets: the same frames, then the same error."""
    data = b"".join(parts)
    whole = frames([data])
    assert frames(cut(data, places)) == whole
    assert frames(data[index : index + 1] for index in range(len(data))) == whole


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_octets_give_frames_or_the_one_error(data, places):
    """Nothing else is ever raised, and the split does not matter."""
    assert frames(cut(data, places)) == frames([data])


def test_messages_follow_each_other():
    """Content-Length ends one message and begins the next; its short form, folded, as well."""
    assert frames([INVITE + OPTIONS + COMPACT]) == [INVITE, OPTIONS, COMPACT]


def test_every_second_line_end_between_messages_is_a_ping():
    """RFC 5626 §3.5.1, and RFC 3261 §7.5: a single CRLF before a message means nothing."""
    assert frames([PING]) == [PING]
    assert frames([b"\r\n" + OPTIONS + b"\r\n" + OPTIONS]) == [OPTIONS, OPTIONS]
    assert frames([PING + OPTIONS + PING + PING]) == [PING, OPTIONS, PING, PING]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (OPTIONS.replace(b"Content-Length: 0\r\n", b""), "Missing Content-Length"),
        (OPTIONS.replace(b"X: 1", b"l: 0"), "Repeated Content-Length"),
        (OPTIONS.replace(b"Length: 0", b"Length: -1"), "Malformed Content-Length"),
        (OPTIONS.replace(b"Length: 0", b"Length: 70000"), "Message too large"),
        (OPTIONS.replace(b"Length: 0", b"Length: 99999999999"), "Malformed Content-Length"),
        (b"x" * MAX_MESSAGE_OCTETS, "Header too large"),
        (b"\n" + OPTIONS, "Stray line end"),
    ],
)
def test_bad_framing_is_one_error_for_good(data, error):
    """What cannot be cut ends the stream, whatever follows."""
    framer = StreamFramer()
    framer.feed(data)
    for _ in range(2):
        with pytest.raises(FramingError, match=error):
            framer.next_frame()
        framer.feed(OPTIONS)
    assert not framer.pending


def test_a_message_that_is_not_whole_is_waited_for():
    """`pending` tells that one has begun."""
    framer = StreamFramer()
    assert not framer.pending
    framer.feed(INVITE[:-1])
    assert framer.next_frame() is None
    assert framer.pending
    framer.feed(INVITE[-1:])
    assert framer.next_frame() == INVITE
    assert not framer.pending

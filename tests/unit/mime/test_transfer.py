"""Transfer encodings undone piece by piece, and NUL put where it can be stored."""

import base64
import binascii
import itertools
import quopri

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from um.mime.scan import scan
from um.mime.transcode import without_nul
from um.mime.transfer import decoder

ENCODINGS = st.sampled_from([b"7bit", b"8BIT", b"binary", b"", b"base64", b"Quoted-Printable"])
OCTETS = st.binary(max_size=200) | st.lists(
    st.sampled_from(
        [b"=", b"=4", b"=4A", b" ", b"\t", b"\r", b"\n", b"\r\n", b"A", b"QUJD", b"\0"]
    ),
    max_size=40,
).map(b"".join)


def undone(encoding, *pieces):
    undo = decoder(encoding)
    fed = [undo.feed(piece) for piece in pieces]
    return b"".join(fed) + undo.finish()


@given(ENCODINGS, OCTETS, st.lists(st.integers(0, 200), max_size=8))
@example(b"quoted-printable", b"==\0", [2])
def test_any_split_gives_the_same_octets(encoding, octets, cuts):
    ends = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    pieces = [octets[start:end] for start, end in itertools.pairwise(ends)]
    assert undone(encoding, *pieces) == undone(encoding, octets)


@given(st.binary(max_size=500), st.integers(1, 80))
def test_what_was_encoded_comes_back(octets, size):
    """Base64 in lines of any length, quoted-printable by Python's own encoder."""
    digits = base64.b64encode(octets)
    lines = b"\r\n".join(digits[at : at + size] for at in range(0, len(digits), size))
    assert undone(b"base64", lines) == octets
    lf = octets.replace(b"\r", b"")
    assert undone(b"quoted-printable", quopri.encodestring(lf)) == lf


@pytest.mark.parametrize(
    ("encoding", "octets", "told"),
    [
        (b"base64", b"QUJD\r\nRA==\r\n-- \r\nfooter", b"ABCD"),
        (b"base64", b"Q!U J*D", b"ABC"),
        (b"base64", b"QUJDR", b"ABC"),
        (b"quoted-printable", b"a =\r\nb=3D=e9 \t\r\nc=", b"a b=\xe9\r\nc"),
        (b"quoted-printable", b"=ZZ =4", b"=ZZ =4"),
    ],
)
def test_what_is_broken_is_decoded_as_far_as_it_goes(encoding, octets, told):
    assert undone(encoding, octets) == told


def test_white_space_without_end_is_not_held_back():
    undo = decoder(b"quoted-printable")
    told = sum(len(undo.feed(b" " * 500)) for _ in range(100))
    assert told >= 49_000


def test_an_encoding_that_nobody_knows():
    assert decoder(b"x-uuencode") is None


def message(body, *, encoding=b"binary"):
    return (
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
        b"--b\r\nContent-Type: audio/mpeg\r\nContent-transfer-encoding : " + encoding + b"\r\n\r\n"
        + body + b"\r\n--b--\r\n"
    )  # fmt: skip


@given(st.binary(max_size=300).filter(lambda body: b"\n--b" not in b"\n" + body))
def test_a_binary_part_loses_nothing_on_its_way_into_base64(body):
    """What a client finds in the part afterwards is what was sent."""
    raw = message(body + b"\0")
    stored = without_nul(raw)
    assert b"\0" not in stored
    assert b'"audio" "mpeg" NIL NIL NIL "base64"' in scan(stored).bodystructure
    part = stored.split(b"\r\n\r\n")[3]
    assert binascii.a2b_base64(part) == body + b"\0"
    assert stored.count(b"Content-Transfer-Encoding: 8bit\r\n") == 1


def test_what_has_no_nul_or_may_not_have_it():
    assert without_nul(message(b"x")) == message(b"x")
    assert without_nul(message(b"\0", encoding=b"8bit")) is None
    assert without_nul(b"Subject: \0\r\n\r\n") is None
    assert without_nul(b"Content-Transfer-Encoding: binary\r\n\r\n\0") == (
        b"Content-Transfer-Encoding: base64\r\n\r\nAA==\r\n"
    )

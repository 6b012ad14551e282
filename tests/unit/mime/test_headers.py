"""Fields by name, as text, selected, stripped; and the words of strangers made safe."""

from datetime import UTC, datetime
from email.header import Header, decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.mime.clean import clean_filename, clean_lines, clean_text
from um.mime.fingerprint import fingerprint
from um.mime.headers import decode_text, get, select_fields
from um.mime.index import PartIndex
from um.mime.scan import scan
from um.mime.text import searchable_text
from um.mime.trace import OURS, count_fields, received, return_path, strip_headers

HEADER = b"A: 1\r\nB: 2\r\n more\r\na : 3\r\nC: 4\r\n\r\n"


def test_selecting_fields() -> None:
    """HEADER.FIELDS and its NOT: octets as they are, any case, the empty line at the end."""
    assert select_fields(HEADER, ["a", "C"]) == b"A: 1\r\na : 3\r\nC: 4\r\n\r\n"
    assert select_fields(HEADER, ["A", "c"], negate=True) == b"B: 2\r\n more\r\n\r\n"
    assert select_fields(HEADER, ["none", "", "A*", "(.*)"]) == b"\r\n"
    assert select_fields(HEADER, [], negate=True) == HEADER
    assert select_fields(b"A: 1", ["A"]) == b"A: 1\r\n\r\n"
    assert select_fields(b"", ["A"], negate=True) == b"\r\n"


@given(st.binary(max_size=100), st.lists(st.text(max_size=5), max_size=3), st.booleans())
def test_any_header_can_be_selected_from(header: bytes, names: list[str], negate: bool) -> None:
    """Never fails; always ends in an empty line."""
    assert select_fields(header, names, negate=negate).endswith(b"\r\n")


def test_get_takes_the_first_and_unfolds() -> None:
    """One value, trimmed, on one line."""
    assert get(HEADER, "b") == b"2 more"
    assert get(HEADER, "A") == b"1"
    assert get(HEADER, "missing") is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?caf=C3=A9_x?=", "café x"),
        (b"=?UTF-8?B?w6k=?= =?utf-8?b?w6k=?=", "éé"),
        (b"=?utf-8?b?ww==?= =?utf-8?b?qQ?=", "é"),
        (b"=?utf-8?b?w4M=?=\r\n =?iso-8859-1?q?=E9?= tail", "Ãé tail"),
        (b"a =?utf-8*en?q?b?= c", "a b c"),
        (b"=?nonsense?q?=E9?=", "é"),
        (b"=?rot13?q?abc?=", "abc"),
        (b"=?utf-8?x?abc?= =?=", "=?utf-8?x?abc?= =?="),
        (b"na\xc3\xafve =?utf-8?q?=C3=A9?=", "naïve é"),
        (b"na\xefve", "naïve"),
    ],
)
def test_decoding_text(raw: bytes, text: str) -> None:
    """RFC 2047 as it should be and as it comes."""
    assert decode_text(raw) == text


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60))
def test_what_others_encode_we_decode(text: str) -> None:
    """Python's own encoder is read back."""
    assert decode_text(Header(text, "utf-8").encode().encode()) == text


@given(st.binary(max_size=80))
def test_any_octets_decode(raw: bytes) -> None:
    """Never fails, never gives a line end."""
    assert "\n" not in decode_text(raw)
    assert "\n" not in decode_text(b"=?utf-8?q?" + raw + b"?=").replace("\x0a", "") or b"=0A" in raw


def test_searchable_text() -> None:
    """Text parts decoded from base64 and quoted-printable in their charsets; inner headers too."""
    data = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9 so=\r\nft\r\n"
        b"--x\r\nContent-Type: text/html; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nw6l0w6k\r\n"
        b'--x\r\nContent-Type: application/pdf; name="=?utf-8?q?gr=C3=BCn=2Epdf?="\r\n\r\nhidden\r\n'
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?inn=C3=A8r?=\r\n\r\ndeep\r\n--x--"
    )
    index = PartIndex.decode(scan(data).structure)
    found = searchable_text(data, index)
    for expected in ("café soft", "été", "innèr", "deep", "Action: failed"):
        assert expected in found.body
    assert "hidden" not in found.body
    assert "grün.pdf" in found.fields
    assert "grün.pdf" not in found.body
    little = searchable_text(data, index, limit_octets=5)
    assert len(little.body) + len(little.fields) <= 5


def test_stripping() -> None:
    """Names and prefixes, any case, folded, with space before the colon; the body is not touched."""
    data = b"X-UM-Kind: a\r\n b\r\nx-um-z :\r\nmessage-context: c\r\nKeep: X-UM-Kind: d\r\n\r\nX-UM-Kind: body"
    assert strip_headers(data, OURS) == b"Keep: X-UM-Kind: d\r\n\r\nX-UM-Kind: body"
    clean = b"Keep: 1\r\n\r\nx"
    assert strip_headers(clean, OURS) is clean
    assert count_fields(b"Received: a\r\n b\r\nRECEIVED: c\r\n\r\nReceived: d", "received") == 2


@given(st.text(max_size=40), st.text(max_size=40))
def test_trace_fields_are_single_fields(sender: str, helo: str) -> None:
    """Whatever the client says, Return-Path is one line and Received three."""
    assert return_path(sender).count(b"\r\n") == 1
    at = datetime(2026, 1, 1, tzinfo=UTC)
    field = received(helo=helo, peer=helo, domain="d", protocol="SMTP", identifier="1", at=at)
    assert [line[:1] for line in field.split(b"\r\n")] == [b"R", b"\t", b"\t", b""]
    assert field.count(b"\n") == 3


def test_the_fingerprint() -> None:
    """The same mail by another way is the same; another sender, text or boundary of fields is not."""
    data = b"Message-ID: <1>\r\n\r\nbody"
    mark = fingerprint(data, sender="a@b")
    way = b"Return-Path: <x>\r\nReceived: from x\r\n\tby y; now\r\nDelivered-To: z\r\nX-UM-Kind: q\r\n"
    assert fingerprint(way + data, sender="a@b") == mark
    assert fingerprint(data, sender="c@b") != mark
    assert fingerprint(data + b".", sender="a@b") != mark
    assert fingerprint(data[1:], sender="a@bM") != mark
    assert len(mark) == 64


@given(st.text(max_size=300))
def test_clean_text(text: str) -> None:
    """One bounded line without controls or marks that reorder text; cleaning twice changes nothing."""
    cleaned = clean_text(text)
    assert len(cleaned) <= 80
    assert not {char for char in cleaned if ord(char) < 32 or 0x7F <= ord(char) < 0xA0}
    assert not set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200e\u2028\ufeff") & set(cleaned)
    assert clean_text(cleaned) == cleaned


def test_clean_text_examples() -> None:
    """Line ends are spaces, overrides go, spaces collapse."""
    assert clean_text("Anna\r\nBcc: x\x00\u202egpj.exe  \t é") == "Anna Bcc: xgpj.exe é"
    assert clean_lines("a\r\nb\x07 \n\n\u202ec") == "a\nb\n\nc"


@given(st.text(max_size=200))
def test_clean_filename(name: str) -> None:
    """Never empty, no path, no dot at the start, bounded."""
    cleaned = clean_filename(name)
    assert cleaned
    assert len(cleaned) <= 100
    assert set(cleaned) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert cleaned[0] not in ".-"


def test_clean_filename_keeps_the_extension() -> None:
    """A long name is cut before its extension; accents become letters."""
    assert clean_filename("../../etc/p\u00e4sswd.pdf") == "etc-passwd.pdf"
    assert clean_filename("x" * 300 + ".pdf").endswith("x.pdf")
    assert str(make_header(decode_header(clean_filename("")))) == "file"

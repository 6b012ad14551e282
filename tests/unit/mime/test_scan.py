"""Laws of the scan: it never fails, never takes long, and its offsets fit together."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from um.core.errors import InvalidError
from um.mime.index import IndexedPart, PartIndex, Shape
from um.mime.scan import scan
from um.mime.structure import MAX_DEPTH, MAX_PARTS
from um.mime.text import searchable_text

PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"--a",
            b"--ab",
            b"--",
            b"--a--\r\n",
            b"\r\n--a\r\n",
            b"\r\n--ab\r\n",
        ),
        *(
            b"Content-Type: multipart/mixed; boundary=a\r\n\r\n",
            b"Content-Type: message/rfc822\r\n",
        ),
        *(
            b'Content-Type: multipart/digest; boundary="ab"\r\n\r\n',
            b"Content-Type: text/html\r\n\r\n",
        ),
        *(b"Subject: =?utf-8?b?w6k=?=\r\n", b"From: x <a@b>, g: c;\r\n", b" folded\r\n", b"\0\xff"),
        *(
            b'Content-Disposition: attachment; filename*0*="a\r\n',
            b"(",
            b'"',
            b"\\",
            b"<",
            b";",
            b"=",
        ),
    ]
)
MESSAGES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=25).map(b"".join))
STRING = re.compile(rb'\{(\d+)\}\r\n|"(?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*"')


def balanced(rendered: bytes) -> bool:
    """Whether it is one parenthesised list of strings, numbers, NIL and lists."""
    depth, position = 0, 0
    while position < len(rendered):
        if match := STRING.match(rendered, position):
            position = match.end() + int(match[1] or 0)
            continue
        char = rendered[position : position + 1]
        depth += (char == b"(") - (char == b")")
        if char not in b"() NIL0123456789" or (depth == 0 and position + 1 < len(rendered)):
            return False
        position += 1
    return depth == 0


def walk(part: IndexedPart) -> list[IndexedPart]:
    return [part, *(below for child in part.children for below in walk(child))]


@settings(max_examples=300)
@given(MESSAGES)
def test_any_octets_scan(data: bytes) -> None:
    """Well-formed IMAP values, offsets inside their parents, a stored index that reads back."""
    scanned = scan(data)
    assert balanced(scanned.envelope)
    assert balanced(scanned.body)
    assert balanced(scanned.bodystructure)
    assert b"\0" not in scanned.envelope + scanned.bodystructure
    assert data.startswith(scanned.header)
    assert scanned.size_octets == len(data)
    index = PartIndex.decode(scanned.structure)
    assert index.encode() == scanned.structure
    assert (index.root.start, index.root.end) == (0, len(data))
    for part in walk(index.root):
        assert part.start <= part.body <= part.end
        position = part.body
        for child in part.children:
            assert position <= child.start
            assert child.end <= part.end
            position = child.end
    assert isinstance(searchable_text(data, index).body, str)


@given(
    st.lists(st.integers(1, 5), max_size=4),
    st.sampled_from(["", "HEADER", "TEXT", "MIME", "X"]),
    MESSAGES,
)
def test_any_section_is_within_the_message(path: list[int], what: str, data: bytes) -> None:
    """A section that exists lies in the message; one that does not is None."""
    span = PartIndex.decode(scan(data).structure).span(tuple(path), what)
    if span is not None:
        assert 0 <= span[0] <= span[1] <= len(data)


@given(st.binary(max_size=60))
def test_a_damaged_index_is_refused(structure: bytes) -> None:
    """Stored octets that are no index raise InvalidError and nothing else."""
    try:
        index = PartIndex.decode(structure)
    except InvalidError:
        return
    assert index.encode() == structure


NESTED = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n"
    b"--o\r\n\r\none\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    b"--i\r\n\r\ninner one\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>two</b>\r\n--i--\r\n\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\nplain body\r\n"
    b"--o--\r\nepilogue\r\n"
)


@pytest.mark.parametrize(
    ("path", "what", "octets"),
    [
        ((), "", NESTED),
        ((), "HEADER", NESTED[: NESTED.index(b"preamble")]),
        ((), "TEXT", NESTED[NESTED.index(b"preamble") :]),
        ((), "MIME", None),
        ((1,), "", b"one"),
        ((1,), "MIME", b"\r\n"),
        ((1,), "HEADER", None),
        ((1, 1), "", None),
        ((2,), "MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        (
            (2,),
            "HEADER",
            b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n",
        ),
        ((2, 1), "", b"inner one"),
        ((2, 2), "", b"<b>two</b>"),
        ((2, 2), "MIME", b"Content-Type: text/html\r\n\r\n"),
        ((2, 3), "", None),
        ((3,), "", b"Subject: plain\r\n\r\nplain body"),
        ((3,), "HEADER", b"Subject: plain\r\n\r\n"),
        ((3,), "TEXT", b"plain body"),
        ((3, 1), "", b"plain body"),
        ((3, 1), "MIME", b"Subject: plain\r\n\r\n"),
        ((3, 2), "", None),
        ((4,), "", None),
        ((0,), "", None),
    ],
)
def test_sections(path: tuple[int, ...], what: str, octets: bytes | None) -> None:
    """RFC 3501 §6.4.5, part for part."""
    span = PartIndex.decode(scan(NESTED).structure).span(path, what)
    assert (None if span is None else NESTED[slice(*span)]) == octets


def test_a_message_of_one_part() -> None:
    """Part 1 of a message that is no multipart is its body; there is no part 2."""
    data = b"Subject: x\r\n\r\nbody\r\n"
    index = PartIndex.decode(scan(data).structure)
    assert data[slice(*index.span((1,), ""))] == b"body\r\n"
    assert data[slice(*index.span((1,), "MIME"))] == b"Subject: x\r\n\r\n"
    assert index.span((2,), "") is None


def test_a_multipart_without_parts_has_an_empty_one() -> None:
    """BODYSTRUCTURE invents an empty part, so FETCH of it gives nothing and does not fail."""
    index = PartIndex.decode(scan(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n").structure)
    start, end = index.span((1,), "")
    assert start == end


def test_depth_and_parts_are_bounded() -> None:
    """Beyond 20 levels and 200 parts a part is an opaque leaf; nothing is lost of the octets."""
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%02d\r\n\r\n--b%02d\r\n" % (n, n)
        for n in range(50)
    )
    index = PartIndex.decode(scan(deep).structure)
    assert len(walk(index.root)) == MAX_DEPTH + 1
    assert walk(index.root)[-1].end == len(deep)
    assert b'"application" "octet-stream"' in scan(deep).bodystructure
    forwards = b"Content-Type: message/rfc822\r\n\r\n" * 50
    assert len(walk(PartIndex.decode(scan(forwards).structure).root)) == MAX_DEPTH + 1
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 1000
    parts = walk(PartIndex.decode(scan(many).structure).root)
    assert len(parts) == MAX_PARTS
    assert parts[-1].shape is Shape.LEAF
    assert parts[-1].end == len(many)


def test_a_flood_of_fields_is_not_read_to_its_end() -> None:
    """The first 1000 fields count; the header block that is stored is whole."""
    data = b"X: y\r\n" * 2000 + b"Subject: late\r\n\r\n"
    assert scan(data).subject == ""
    assert scan(data).header == data


N = 1 << 20
HOSTILE = {
    "boundaries": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * (N // 5),
    "dashes": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--" * (N // 4),
    "prefixes": b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"b" * n, b"b" * n)
        for n in range(1, 20)
    )
    + (b"b" * 30 + b"\r\n--") * (N // 34),
    "unclosed": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"".join(b"--b\r\nContent-Type: multipart/x; boundary=c%d\r\n\r\n" % n for n in range(199))
    + b"x\r\n" * (N // 3),
    "fields": b"a:b\r\n" * (N // 5),
    "folds": b"a:" + b"\r\n b" * (N // 4),
    "quotes": b"From: " + b'"\\' * (N // 2),
    "quotes in a type": b"Content-Type: a/b;x=(" + b'"\\"' * (N // 3),
    "parentheses": b"From: " + b"(" * N,
    "angles": b"To: " + b"<" * N,
    "parameters": b"Content-Type: a/b" + b';a*0="' * (N // 6),
    "words": b"Subject: " + b"=?a?b?" * (N // 6),
    "newlines": b"\n" * N,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_linear_time(name: str) -> None:
    """A mebibyte of each trick takes well under a second (quadratic would take minutes)."""
    before = time.process_time()
    scan(HOSTILE[name])
    assert time.process_time() - before < 3

"""What we render, beside what Dovecot 2.3.19 answered for the same messages.

`dovecot-2.3.19.json` was recorded by putting each message into a Maildir and asking Dovecot's imap
process for ENVELOPE, BODY and BODYSTRUCTURE. An item is left out of a row where we differ on
purpose; those differences are the tests at the end.
"""

import json
import re
from pathlib import Path

import pytest

from um.mime.scan import scan

ROWS = json.loads((Path(__file__).parent / "dovecot-2.3.19.json").read_text())
H = b"From: a@b\r\n"
TOKEN = re.compile(rb'\{(?P<n>\d+)\}\r\n|"(?P<q>(?:[^"\\]|\\.)*)"|(?P<o>.)', re.DOTALL)


def tokens(rendered: bytes) -> list[tuple[str, bytes]]:
    """Strings by value, whether quoted or literal; everything else octet by octet."""
    found: list[tuple[str, bytes]] = []
    position = 0
    while match := TOKEN.match(rendered, position):
        position = match.end()
        if match["n"]:
            position += int(match["n"])
            found.append(("string", rendered[match.end() : position]))
        elif match["q"] is not None:
            found.append(("string", re.sub(rb"\\(.)", rb"\1", match["q"])))
        else:
            found.append(("octet", match["o"]))
    return found


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_as_dovecot_renders_it(row: dict[str, str]) -> None:
    """The same strings, numbers and parentheses in the same order."""
    scanned = scan(row["message"].encode("latin-1"))
    for item in ("envelope", "body", "bodystructure"):
        if item in row:
            assert tokens(getattr(scanned, item)) == tokens(row[item].encode("latin-1")), item


def test_enough_was_compared() -> None:
    """The recording holds all three items for most of the messages."""
    assert sum(len(row) == 4 for row in ROWS) >= 50


@pytest.mark.parametrize(
    "value", [b"foo", b"text", b"text/", b"/plain", b"", b"\xff\xfe", b'"a"/b']
)
def test_a_type_that_is_none_is_plain_text(value: bytes) -> None:
    """RFC 2045 §5.2: text/plain; charset=us-ascii (Dovecot shows the broken word as a type)."""
    scanned = scan(H + b"Content-Type: " + value + b"\r\n\r\nx\r\n")
    assert scanned.body == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1)'


def test_a_multipart_without_boundary_is_plain_text() -> None:
    """Its octets are shown to the reader (Dovecot shows an empty part)."""
    scanned = scan(H + b"Content-Type: multipart/mixed\r\n\r\nhello\r\n")
    assert scanned.body == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)'


def test_an_unquoted_file_name_is_whole() -> None:
    """Spaces and slashes in an unquoted value are kept up to the semicolon (Dovecot cuts)."""
    field = b"Content-Disposition: attachment; filename=my file (1).pdf; size=3\r\n"
    assert b'("attachment" ("filename" "my file' in scan(H + field + b"\r\n").bodystructure
    field = b"Content-Disposition: attachment; filename=copy(1).pdf\r\n"
    assert b'("filename" "copy(1).pdf")' in scan(H + field + b"\r\n").bodystructure


def test_a_boundary_with_unquoted_specials_works() -> None:
    """`boundary=a/b=c` splits as its writer meant it (Dovecot cuts it at the slash)."""
    message = (
        H + b"Content-Type: multipart/mixed; boundary=a/b=c\r\n\r\n--a/b=c\r\n\r\nq\r\n--a/b=c--"
    )
    assert scan(message).body.endswith(b'"7bit" 1 0) "mixed")')
    assert scan(message).body.count(b'"text"') == 1


def test_values_are_trimmed() -> None:
    """Date and Message-ID have no white space around them (Dovecot keeps what folding left)."""
    envelope = scan(b"Date: Mon \r\nMessage-ID:\r\n <a@b> \r\n\r\n").envelope
    assert envelope == b'("Mon" NIL NIL NIL NIL NIL NIL NIL NIL "<a@b>")'


def test_bare_lf_is_understood() -> None:
    """Lines that end in LF alone: sizes are the octets that BODY[] will give."""
    message = b"From: a@b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\n\n--x--\n"
    assert scan(message).body == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1) "mixed")'
    )


@pytest.mark.parametrize(
    ("field", "rendered"),
    [
        (b"From: foo bar@baz", b'(("foo" NIL "bar" "baz"))'),
        (b'From: "unclosed <a@b>', b'(("unclosed" NIL "a" "b"))'),
        (b"From: a b <c@d> junk, e@f", b'(("a b" NIL "c" "d")(NIL NIL "e" "f"))'),
        (b"From: ,,a@b,,", b'((NIL NIL "a" "b"))'),
        (b"From: ;", b"NIL"),
    ],
)
def test_junk_in_addresses(field: bytes, rendered: bytes) -> None:
    """What can be saved of a broken address list is."""
    wanted = b"(NIL NIL " + b" ".join([rendered] * 3) + b" NIL NIL NIL NIL NIL)"
    assert scan(field + b"\r\n\r\n").envelope == wanted

"""What a reader sees first, of plain text and of HTML."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.mime.index import PartIndex
from um.mime.markup import words_of
from um.mime.scan import scan
from um.mime.text import first_words

PAGE = (
    "<!DOCTYPE html><html><HEAD><title>No</title><style>p{color:red}</style></HEAD>"
    "<body class='a>b'><!-- <p>no</p> --><script>if (1 < 2) no()</script >"
    "<p>Your <b>bill</b> of M&auml;rz:</p>12&nbsp;&lt; 13<br/>Thanks"
)
PIECES = st.sampled_from(
    ["<", ">", "<!--", "-->", "<style>", "</style>", "<p ", "&amp;", "&#0;", "word", "<b>", "</"]
)


def words(text: str) -> str:
    return " ".join(words_of(text, most=2000).split())


def test_markup_is_left_out():
    assert words(PAGE) == "b'> Your bill of März: 12 < 13 Thanks"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a < b and c<3", "a < b and c<3"),
        ("one<p>two", "one two"),
        ("o<b>n</b>e", "one"),
        ("a<!-- never closed", "a"),
        ("a<style>b", "a"),
        ("a<p", "a"),
        ("<head><title>No</title><body>yes", "yes"),
        ("&lt;b&gt;", "<b>"),
        ("", ""),
    ],
)
def test_small_things(text, seen):
    assert words(text) == seen


@given(st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join), st.integers(1, 50))
def test_whatever_comes_there_are_words(text, most):
    """Nothing raises; no more than asked for and one piece; what was no markup stays."""
    assert len(words_of(text, most=most).replace(" ", "")) <= 3 * most
    plain = re.sub(r"[<&]", "", text)
    assert words_of(plain, most=len(plain) + 1) == plain


def test_a_long_hostile_text_takes_one_pass():
    for piece in ("<", "<!", "<!--", "<p", "<style>", "</", "&", "<p>"):
        words_of(piece * 200_000, most=2000)


def mail(*parts: tuple[str, str]) -> bytes:
    lines = ["MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=x", ""]
    for kind, text in parts:
        lines += ["--x", f"Content-Type: {kind}; charset=utf-8", "", text]
    return "\r\n".join([*lines, "--x--", ""]).encode()


@pytest.mark.parametrize(
    ("parts", "seen"),
    [
        ([("text/plain", "Hello")], "Hello"),
        ([("text/plain", "Hello"), ("text/html", "<p>Hi")], "Hello"),
        ([("text/html", "<p>Hi"), ("text/html", "<p>Ho")], "Hi"),
        ([("text/plain", " "), ("text/html", "<p>Hi")], "Hi"),
        ([("text/html", "<p> "), ("text/html", "<p>Ho")], "Ho"),
        ([("text/html", "<p>Hi"), ("text/csv", "1;2")], "Hi"),
        ([("image/png", "PNG")], ""),
        ([("message/rfc822", "Subject: inner\r\n\r\nWithin")], "Within"),
    ],
)
def test_the_first_part_with_words_counts(parts, seen):
    data = mail(*parts)
    assert first_words(data, PartIndex.decode(scan(data).structure)).strip() == seen

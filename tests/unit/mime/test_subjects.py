"""The base subject: what is left of a subject is what the message is about."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.mime.subjects import base_subject


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("Hello", "Hello", False),
        ("Re: Hello", "Hello", True),
        ("RE : fwd: fw: Hello", "Hello", True),
        ("[list] Re[2]: [list]  Hello\t world", "Hello world", True),
        ("[list] Hello", "Hello", False),
        ("[list]", "[list]", False),
        ("Hello (fwd) (FWD) ", "Hello", True),
        ("[Fwd: Re: Hello]", "Hello", True),
        ("[fwd: [fwd: Hello]]", "Hello", True),
        ("[fwd: Hello", "[fwd: Hello", False),
        ("Re:", "", True),
        ("Regarding: x", "Regarding: x", False),
        ("", "", False),
    ],
)
def test_what_is_added_in_passing_does_not_count(subject, base, is_reply):
    """RFC 5256 §2.1, step by step."""
    assert base_subject(subject) == (base, is_reply)


PIECES = st.lists(st.sampled_from(["re:", "fwd ", "[", "]", "(fwd)", " ", "\t", "x", "[fwd:", ":"]))


@given(PIECES.map("".join) | st.text())
def test_nothing_is_left_to_take_away(subject):
    """The base of a base subject is itself, and any text has one."""
    base, _ = base_subject(subject)
    assert base_subject(base) == (base, False)


def test_a_subject_made_to_be_slow_is_not():
    """A stranger's 10,000 `Re:` and brackets are cut before they are looked at."""
    for piece in ("re: ", "[a]", "(fwd)", "[fwd:", "[", "re [a]"):
        base_subject(piece * 10_000)


LEADER = re.compile(
    r"(?:\[[^\[\]]*\] *)*(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:|\[[^\[\]]*\] *", re.IGNORECASE
)


def without_leaders(text: str) -> str:
    """Steps 3 to 5 as they are written, one `subj-leader` or `subj-blob` after another."""
    while True:
        text = text.lstrip(" ")
        match = LEADER.match(text)
        if match is None or (match.end() == len(text) and not match[0].endswith(":")):
            return text
        text = text[match.end() :]


@given(
    st.lists(st.sampled_from(["re:", "fw [x]:", "[a]", "[b] ", " ", "x", "[", "]"])).map("".join)
)
def test_blobs_are_taken_away_as_the_rules_say(subject):
    """Runs of blobs are looked at once; the outcome is that of one step after another."""
    assert base_subject(subject)[0] == without_leaders(re.sub(" +", " ", subject).rstrip(" "))

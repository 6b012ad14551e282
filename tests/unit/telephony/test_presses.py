"""Key presses by INFO and by tones, and one press that comes on several ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.telephony.info import DTMF, DTMF_RELAY, read_digit
from um.telephony.presses import PAIRED_SECONDS, Presses, Way


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        (DTMF_RELAY, b"Signal=5\r\nDuration=160\r\n", "5"),
        (DTMF_RELAY, b"Signal= *\nDuration= 250", "*"),
        (DTMF_RELAY, b"Duration=100\r\nsignal=#", "#"),
        (DTMF_RELAY, b"Signal=10", "*"),
        (DTMF_RELAY, b"Signal=11", "#"),
        (DTMF_RELAY, b"Signal=a", "A"),
        (f"{DTMF_RELAY}; charset=utf-8", b"Signal=0", "0"),
        (DTMF.upper(), b" 7\r\n", "7"),
        (DTMF, b"Signal=3", "3"),
        (DTMF, b"12", None),
        (DTMF, b"", None),
        (DTMF_RELAY, b"5", None),
        (DTMF_RELAY, b"Signal=16", None),
        (DTMF_RELAY, b"Signal=!", None),
        (DTMF_RELAY, b"Signal=5" + b" " * 600, None),
        (DTMF_RELAY, "Signal=\u0665".encode(), None),
        ("text/plain", b"5", None),
    ],
)
def test_the_bodies_that_are_seen(kind, body, digit):
    """As Cisco, Asterisk and others write them; all else is no key."""
    assert read_digit(kind, body) == digit


@given(st.sampled_from([DTMF, DTMF_RELAY]), st.binary(max_size=80))
def test_any_body_gives_a_digit_or_none(kind, body):
    digit = read_digit(kind, body)
    assert digit is None or digit in "0123456789*#ABCD"


ways = st.permutations(list(Way)).flatmap(
    lambda order: st.integers(1, 3).map(lambda count: order[:count])
)


@given(st.lists(st.tuples(st.sampled_from("12#"), ways), max_size=12), st.randoms())
def test_each_press_counts_once_whichever_ways_it_comes(presses, dice):
    """Every press on one to three ways within a second, presses apart: told once each."""
    book, told = Presses(), []
    for number, (digit, order) in enumerate(presses):
        at = 4.0 * number
        told += [digit for way in order if book.is_new(digit, way, at + dice.random())]
    assert told == [digit for digit, _ in presses]


@given(st.text("12", max_size=20), st.integers(0, 5))
def test_a_way_that_lags_behind_doubles_nothing(keys, lag):
    """The same key over and over by events, INFO `lag` presses behind: exact."""
    book, told = Presses(), ""
    for number in range(len(keys) + lag):
        now = 0.2 * number
        if number < len(keys):
            told += keys[number] if book.is_new(keys[number], Way.EVENT, now) else ""
        if number >= lag and book.is_new(keys[number - lag], Way.INFO, now):
            told += "!"
    assert told == keys


@given(st.text("1#", max_size=30), st.sampled_from(Way))
def test_one_way_alone_is_told_as_it_comes(keys, way):
    book = Presses()
    assert "".join(key for key in keys if book.is_new(key, way, 1.0)) == keys


def test_a_press_much_later_is_another_one():
    book = Presses()
    assert book.is_new("5", Way.EVENT, 0.0)
    assert book.is_new("5", Way.INFO, PAIRED_SECONDS + 0.1)

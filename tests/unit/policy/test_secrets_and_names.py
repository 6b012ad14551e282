"""PINs, account names and how many failures are too many."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.core.errors import InvalidError
from um.core.ids import E164, AccountId
from um.policy import lockout
from um.policy.names import account_name
from um.policy.pin import check_pin, has_run
from um.policy.retention import trash_cutoff

NUMBER = E164("+15552809146")
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize("pin", ["280519", "2805190", "1199228833", "909090"])
def test_a_good_pin_passes(pin):
    check_pin(pin, [NUMBER])


@pytest.mark.parametrize(
    ("pin", "reason"),
    [
        ("", "digits only"),
        ("28051x", "digits only"),
        ("२८०५१९", "digits only"),
        ("28051", "6 to 10"),
        ("28051928051", "6 to 10"),
        ("777777", "single digit"),
        ("280123", "run"),
        ("432805", "run"),
        ("5552809146", "own telephone number"),
        ("809146", "own telephone number"),
    ],
)
def test_a_bad_pin_is_refused_with_its_reason(pin, reason):
    with pytest.raises(InvalidError, match=reason):
        check_pin(pin, [NUMBER])


@given(st.text("0123456789", min_size=0, max_size=12))
def test_a_run_is_three_neighbours_that_count(digits):
    """The rule, said in another way: one of the eight rising or eight falling triples is inside."""
    runs = [f"{n}{n + 1}{n + 2}" for n in range(8)]
    runs += [run[::-1] for run in runs]
    assert has_run(digits) == any(run in digits for run in runs)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Alice", "alice"), (" bob ", "bob"), ("a.b-c_d9", "a.b-c_d9"), ("7eleven", "7eleven")],
)
def test_a_name_has_one_spelling(text, name):
    assert account_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", "5551230001", "555-123-0001", "a b", "a@b", "a..b", ".a", "a-", "a+b", "é", 'a"b'),
        *("a" * 65, "a(b", "a{b", "a%b", "a*b", "a\\b", "a]b", "a/b", "\uff41lice"),
    ],
)
def test_what_is_no_atom_or_local_part_or_could_be_a_number_is_refused(text):
    with pytest.raises(InvalidError):
        account_name(text)


@given(st.text(max_size=70))
def test_any_text_gives_an_atom_or_the_one_error(text):
    try:
        name = account_name(text)
    except InvalidError:
        return
    assert name.isascii()
    assert not set(name) & set('(){ %*"\\]@+')
    assert account_name(name) == name


@given(st.integers(0, 1000))
def test_more_failures_never_shorten_the_pause(failures):
    for rules in (lockout.PIN_RULES, lockout.LOGIN_RULES, lockout.LOGIN_FROM_PEER_RULES):
        assert lockout.pause_after(failures, rules) <= lockout.pause_after(failures + 1, rules)


def test_ten_wrong_pins_lock_for_a_day():
    assert not lockout.pause_after(9, lockout.PIN_RULES)
    assert lockout.pause_after(10, lockout.PIN_RULES) == timedelta(hours=24)


def test_counters_tell_nothing_of_whom_they_count():
    subject = lockout.login_from_peer_subject("alice", "hash", "192.0.2.1")
    assert "alice" not in subject
    assert "192" not in subject
    assert subject != lockout.login_from_peer_subject("alice", "new hash", "192.0.2.1")
    assert "me" not in lockout.pin_subject(AccountId("me")).partition(":")[2]


def test_trash_goes_after_its_days_unless_switched_off():
    assert trash_cutoff(NOW, 7) == NOW - timedelta(days=7)
    assert trash_cutoff(NOW, 0) is None

"""Rules by which messages go: how they read, whose word counts, and when they begin."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.core.account import Account, AccountState
from um.core.errors import InvalidError
from um.core.ids import AccountId
from um.core.message import MessageKind
from um.core.retention import KINDS, Action, RetentionRule, parse_rule
from um.policy.calendar import latest_hour
from um.policy.retention import (
    KEEP,
    SECOND_THOUGHTS,
    StandingRule,
    may_expire,
    note_shown,
    preference_key,
    shown_at,
    shown_key,
    standing_rules,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
RULES = st.builds(
    RetentionRule,
    st.sampled_from(KINDS),
    st.integers(1, 36_525),
    st.booleans(),
    st.sampled_from(Action),
)
VOICE = RetentionRule(MessageKind.VOICE, 60, heard_only=True)


@given(RULES)
def test_a_rule_reads_back_as_it_is_written(rule):
    assert parse_rule(str(rule)) == rule
    assert parse_rule(f"  {str(rule).upper()} ") == rule


def test_the_sentence_of_the_handbook_is_a_rule():
    assert parse_rule("voice older than 60 days and heard -> Trash") == VOICE
    assert parse_rule("fax older than 1 day -> delete").action is Action.DELETE
    assert parse_rule("invoice older than 9 days and read->trash").heard_only


@given(st.text())
def test_any_text_is_a_rule_or_one_error(text):
    with contextlib.suppress(InvalidError):
        assert isinstance(parse_rule(text), RetentionRule)


@pytest.mark.parametrize(
    "text",
    [
        "notice older than 5 days -> Trash",
        "voice older than 0 days -> Trash",
        "voice older than 36526 days -> Trash",
        "voice older than -1 days -> Trash",
        "voice older than 60 days",
        "voice older than ٦٠ days -> Trash",
        "voice",
        "",
    ],
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(InvalidError):
        parse_rule(text)


def test_without_a_rule_nothing_goes():
    assert standing_rules({}, {}) == []


def test_the_accounts_own_word_goes_before_the_operators():
    """A rule of its own, or none at all; a word that cannot be read keeps everything."""
    operators = {VOICE.kind: StandingRule(VOICE, False, NOW)}
    key = preference_key(VOICE.kind)
    assert standing_rules(operators, {}) == [StandingRule(VOICE, False, NOW)]
    assert standing_rules(operators, {key: KEEP}) == []
    assert standing_rules(operators, {key: "voice older than \x00"}) == []
    assert standing_rules(operators, {key: "fax older than 1 days -> delete"}) == []
    own = RetentionRule(MessageKind.VOICE, 3)
    assert standing_rules(operators, {key: str(own)}) == [StandingRule(own, True, None)]


def test_a_rule_rests_for_a_day_after_its_own_dry_run():
    """A note of another rule, or none, is no note."""
    note = note_shown(VOICE, NOW)
    assert shown_at(VOICE, note) == NOW
    assert shown_at(RetentionRule(MessageKind.VOICE, 61, heard_only=True), note) is None
    assert shown_at(VOICE, None) is None
    assert shown_at(VOICE, "") is None
    key, shown = preference_key(VOICE.kind), shown_key(VOICE.kind)
    (standing,) = standing_rules({}, {key: str(VOICE), shown: note})
    assert not standing.in_force(NOW + SECOND_THOUGHTS - timedelta(seconds=1))
    assert standing.in_force(NOW + SECOND_THOUGHTS)
    assert not StandingRule(VOICE, True, None).in_force(NOW + timedelta(days=999))


@given(st.text())
def test_a_note_that_is_damaged_is_none(instant):
    """Whatever stands before the rule's own words: an aware instant, or it was never shown."""
    found = shown_at(VOICE, f"{instant} {VOICE}")
    assert found is None or found.tzinfo is not None
    assert shown_at(VOICE, f"2026-03-04T12:00:00 {VOICE}") is None


@pytest.mark.parametrize("state", AccountState)
def test_rules_touch_active_accounts_only(state):
    account = Account(AccountId("a"), "a", "d", NOW, state=state)
    assert may_expire(account) == (state is AccountState.ACTIVE)
    held = Account(AccountId("a"), "a", "d", NOW, state=state, legal_hold_at=NOW)
    assert not may_expire(held)


@pytest.mark.parametrize(
    ("now", "hour", "found"),
    [
        ("2026-03-04T12:00-05:00", 3, "2026-03-04T03:00-05:00"),
        ("2026-03-04T02:59-05:00", 3, "2026-03-03T03:00-05:00"),
        ("2026-03-04T03:00-05:00", 3, "2026-03-04T03:00-05:00"),
        # 8 March 2026 skips 02:00 to 03:00, 1 November 2026 has 01:00 to 02:00 twice.
        ("2026-03-08T12:00-04:00", 2, "2026-03-08T03:00-04:00"),
        ("2026-11-01T12:00-05:00", 1, "2026-11-01T01:00-04:00"),
    ],
)
def test_the_night_comes_once_a_day(now, hour, found):
    at = datetime.fromisoformat(now).astimezone(UTC)
    assert latest_hour(at, hour, "America/Toronto") == datetime.fromisoformat(found)


@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    hour=st.integers(0, 23),
    zone=st.sampled_from(["America/Toronto", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]),
)
def test_there_is_a_night_in_every_26_hours(now, hour, zone):
    found = latest_hour(now, hour, zone)
    assert timedelta(0) <= now - found <= timedelta(hours=26)
    local = found.astimezone(ZoneInfo(zone))
    assert local.hour in {hour, (hour + 1) % 24}

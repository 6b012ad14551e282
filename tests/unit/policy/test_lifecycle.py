"""The life of an account, as a table."""

from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.core.account import Account, AccountState
from um.core.errors import InvalidError, LifeCycleError
from um.core.ids import AccountId
from um.core.message import MessageKind
from um.policy.lifecycle import (
    ANSWERS,
    DOOR_OF_KIND,
    MOVES,
    Answer,
    Door,
    LifeEvent,
    answer,
    clock_trusted,
    closed_notice,
    move,
    purge_due_at,
    refusal,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
ZONES = ["America/Toronto", "Europe/Berlin", "Australia/Lord_Howe"]
TWELVE_CLOSURES = [
    ("2025-12-31T10:00", "2026-02-28T10:00"),
    ("2027-12-31T10:00", "2028-02-29T10:00"),
    ("2026-01-01T00:00", "2026-03-01T00:00"),
    ("2026-02-28T23:59", "2026-04-28T23:59"),
    ("2028-02-29T12:00", "2028-04-29T12:00"),
    ("2026-03-31T08:30", "2026-05-31T08:30"),
    ("2026-04-30T08:30", "2026-06-30T08:30"),
    ("2026-06-30T18:00", "2026-08-30T18:00"),
    ("2026-07-31T18:00", "2026-09-30T18:00"),
    ("2026-09-15T06:00", "2026-11-15T06:00"),
    ("2026-11-30T10:00", "2027-01-30T10:00"),
    ("2026-12-30T10:00", "2027-02-28T10:00"),
]


@pytest.mark.parametrize(("state", "event"), list(product(AccountState, LifeEvent)))
def test_every_pair_is_a_move_or_an_error(state, event):
    """Nothing is undefined: any state and event give a state or a LifeCycleError."""
    if (state, event) in MOVES:
        assert move(state, event) in AccountState
        return
    with pytest.raises(LifeCycleError, match=f"{state} cannot {event}"):
        move(state, event)


@pytest.mark.parametrize(("state", "door"), list(product(AccountState, Door)))
def test_every_door_answers_in_every_state(state, door):
    assert answer(state, door) in Answer
    account = Account(AccountId("a"), "a", "d", NOW, state=state)
    assert (refusal(account, door) is None) == (answer(state, door) is Answer.ALLOWED)


def test_doors_of_a_suspended_account_are_those_of_the_product():
    """A debtor can see the bill and gets new ones; voice and fax are refused, mail waits."""
    suspended = ANSWERS[AccountState.SUSPENDED]
    assert {door for door, said in suspended.items() if said is Answer.READ_ONLY} == {
        Door.IMAP,
        Door.PORTAL,
        Door.PHONE,
    }
    assert suspended[Door.INVOICE] is Answer.ALLOWED
    assert suspended[Door.MAIL] is Answer.REFUSED_FOR_NOW
    assert suspended[Door.VOICE] is suspended[Door.FAX] is Answer.REFUSED_FOR_NOW


def test_every_kind_has_a_door():
    assert set(DOOR_OF_KIND) == set(MessageKind)


def test_a_purge_can_begin_only_from_closed_and_can_always_go_on():
    begun = {state for state in AccountState if (state, LifeEvent.PURGE) in MOVES}
    assert begun == {AccountState.CLOSED, AccountState.PURGING}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("closed", "due"), TWELVE_CLOSURES)
def test_the_purge_is_two_calendar_months_after_closure_on_the_customers_clock(zone, closed, due):
    """12 dates in 3 zones: 31 December 10:00 is purged no earlier than 28 (29) February 10:00."""
    tz = ZoneInfo(zone)
    closed_at = datetime.fromisoformat(closed).replace(tzinfo=tz)
    assert purge_due_at(closed_at.astimezone(UTC), 2, zone) == datetime.fromisoformat(due).replace(
        tzinfo=tz
    )


@pytest.mark.parametrize(
    ("closed", "due"),
    [
        # Toronto skips 02:00-03:00 on 8 March 2026: 02:30 does not exist, 03:30 EDT is meant.
        ("2026-01-08T02:30-05:00", "2026-03-08T03:30-04:00"),
        # and has 01:00-02:00 twice on 1 November 2026: the second one is meant.
        ("2026-09-01T01:30-04:00", "2026-11-01T01:30-05:00"),
    ],
)
def test_a_clock_change_never_brings_the_purge_forward(closed, due):
    closed_at = datetime.fromisoformat(closed).astimezone(UTC)
    assert purge_due_at(closed_at, 2, "America/Toronto") == datetime.fromisoformat(due)


@given(
    closed_at=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
    months=st.integers(1, 12),
    zone=st.sampled_from([*ZONES, "UTC", "Asia/Kolkata", "America/Sao_Paulo"]),
)
def test_a_purge_is_never_early(closed_at, months, zone):
    """Each month gives at least 28 days, and the local time of day is kept or a gap skipped."""
    due = purge_due_at(closed_at, months, zone)
    assert due - closed_at >= timedelta(days=28 * months, hours=-2)
    tz = ZoneInfo(zone)
    local, start = due.astimezone(tz), closed_at.astimezone(tz)
    assert (local.year * 12 + local.month) - (start.year * 12 + start.month) == months
    wall = start.replace(year=local.year, month=local.month, day=local.day, tzinfo=None, fold=0)
    assert local.replace(tzinfo=None, fold=0) >= wall


def test_an_unknown_zone_is_refused():
    for name in ("Nowhere/Land", "", "../etc/passwd", "America"):
        with pytest.raises(InvalidError):
            purge_due_at(NOW, 2, name)


def test_the_clock_needs_two_readings_that_agree():
    """A first reading and a jump of more than a day, either way, hold the purge."""
    assert not clock_trusted(None, NOW)
    assert clock_trusted(NOW - timedelta(hours=1), NOW)
    assert clock_trusted(NOW - timedelta(hours=24), NOW)
    assert not clock_trusted(NOW - timedelta(hours=24, seconds=1), NOW)
    assert not clock_trusted(NOW + timedelta(hours=25), NOW)


def test_the_owner_of_a_closed_account_hears_why_and_until_when():
    account = Account(
        AccountId("a"),
        "a",
        "d",
        NOW,
        timezone="America/Toronto",
        state=AccountState.CLOSED,
        state_reason="moved away",
        purge_at=datetime(2026, 5, 4, 16, tzinfo=UTC),
    )
    assert closed_notice(account) == (
        "Account is closed (moved away); it will be deleted after 2026-05-04 12:00 EDT"
    )

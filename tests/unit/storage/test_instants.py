"""Instants as microseconds."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.instants import from_micros, to_micros


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])))
def test_an_instant_survives_storage(at):
    """To the microsecond, in UTC, in any year."""
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        return  # within a day of the end of time
    assert from_micros(to_micros(at)) == expected
    assert from_micros(to_micros(at)).tzinfo is UTC


@given(st.integers(-(2**53), 2**53))
def test_the_quick_way_is_exact(micros):
    """Conversion through a double loses nothing where it is used."""
    assert to_micros(from_micros(micros)) == micros


def test_an_instant_without_a_zone_is_refused():
    """A naive datetime is a fault of the program."""
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))

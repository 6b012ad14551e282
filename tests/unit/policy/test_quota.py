"""What fits into a mailbox."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.core.account import Usage
from um.policy.quota import (
    NOTICE_ROOM_OCTETS,
    Room,
    base64_octets,
    copy_fits,
    crossed_percent,
    fits,
    worst_case_voice_octets,
)

LIMIT = 100 * 1024 * 1024
octets = st.integers(0, 2 * LIMIT)


def test_the_last_octet_fits_and_the_next_does_not():
    """Refused at 100 %: what fills the mailbox exactly still comes in."""
    assert fits(10, Usage(LIMIT - 10, 0, LIMIT))
    assert not fits(11, Usage(LIMIT - 10, 0, LIMIT))


def test_reserved_room_is_not_given_to_others():
    assert not fits(11, Usage(0, LIMIT - 10, LIMIT))


@given(used=octets, others=octets, own=octets, size=octets)
def test_a_promised_size_always_fits(used, others, own, size):
    """A message no larger than its own reservation is never refused."""
    usage = Usage(used, others + own, LIMIT)
    assert fits(min(size, own), usage, own_octets=own)


@given(used=octets, reserved=octets, size=octets)
def test_normal_deliveries_never_pass_the_limit(used, reserved, size):
    fitting = fits(size, Usage(used, reserved, LIMIT), own_octets=0)
    assert not fitting or size == 0 or used + reserved + size <= LIMIT


def test_a_notice_has_64_kib_of_its_own():
    full = Usage(LIMIT, 0, LIMIT)
    assert fits(NOTICE_ROOM_OCTETS, full, room=Room.NOTICE)
    assert not fits(NOTICE_ROOM_OCTETS + 1, full, room=Room.NOTICE)


def test_what_was_recorded_is_never_thrown_away():
    """A replay whose reservation expired meanwhile finds room beyond the limit."""
    assert fits(500_000, Usage(LIMIT, 0, LIMIT), room=Room.PROMISED)


def test_copy_is_refused_at_the_limit_but_into_trash_at_110_percent():
    """A client that deletes by COPY and EXPUNGE can empty a full mailbox."""
    full = Usage(LIMIT, 0, LIMIT)
    assert not copy_fits(1, full, into_trash=False)
    assert copy_fits(LIMIT // 10, full, into_trash=True)
    assert not copy_fits(LIMIT // 10 + 1, full, into_trash=True)


@pytest.mark.parametrize(
    ("before", "after", "crossed"),
    [
        (0, 79, None),
        (79, 80, 80),
        (80, 94, None),
        (80, 95, 95),
        (10, 100, 95),
        (96, 99, None),
        (96, 50, None),
    ],
)
def test_thresholds_are_crossed_once_and_upwards_only(before, after, crossed):
    assert crossed_percent(before, after, 100) == crossed


@given(st.integers(0, 5000))
def test_base64_length_is_exact(size):
    encoded = base64.encodebytes(bytes(size)).replace(b"\n", b"\r\n")
    assert base64_octets(size) == len(encoded)


def test_the_reservation_of_two_minutes_covers_what_lame_makes_of_them():
    """Measured: 360,504 octets for 120 s at 24 kbit/s."""
    assert worst_case_voice_octets(120) > base64_octets(360_504) + 4096
    assert worst_case_voice_octets(120) < 600_000

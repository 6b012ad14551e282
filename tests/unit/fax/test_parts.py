"""Hold, layout, room, facts, messages between the processes, tones."""

import math
import random
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fax import protocol
from fax.disconnect import disconnect_samples
from fax.facts import KIND, ReceptionFacts
from fax.hold import LONGEST_HOLD_TICKS, ConfirmationHold
from fax.layout import page_points
from fax.message import resolution_name
from fax.spandsp import SpanDSPToneDetector
from tests.support.tiffs import A4_FINE_ROWS
from um.core.ids import E164, AccountId, ReservationId
from um.service.call_facts import CallFacts

LOUD, SILENT = 2000.0, 3.0


def hold_after(ticks, levels=()):
    hold = ConfirmationHold()
    for _ in range(ticks):
        hold.tick()
    for level in levels:
        hold.hear(level)
    return hold


def test_the_answer_goes_at_once_in_the_first_two_seconds():
    """T4 has not run out: the sender listens, whatever is on the line."""
    assert hold_after(0).may_answer
    assert hold_after(109, [LOUD]).may_answer


def test_later_the_answer_waits_for_a_pause():
    """Not into a repetition, not just before the next one."""
    assert not hold_after(150, [LOUD] * 50).may_answer
    assert not hold_after(150, [LOUD] * 50 + [SILENT] * 4).may_answer
    assert hold_after(150, [LOUD] * 50 + [SILENT] * 5).may_answer
    assert not hold_after(150, [LOUD] * 50 + [SILENT] * 75).may_answer


def test_a_hold_expires():
    """The sender's last pause is over."""
    assert not hold_after(LONGEST_HOLD_TICKS - 1).expired
    assert hold_after(LONGEST_HOLD_TICKS).expired


@pytest.mark.parametrize(
    ("rows", "y_dpi"), [(A4_FINE_ROWS // 2, 98), (A4_FINE_ROWS, 196), (2 * A4_FINE_ROWS, 391)]
)
def test_a_page_is_as_wide_as_the_paper_and_as_long_as_it_was(rows, y_dpi):
    """The same sheet at three resolutions is the same sheet: 298 mm of 215 mm, on A4's width."""
    width, height = page_points(1728, rows, x_dpi=204, y_dpi=y_dpi, paper="a4")
    assert width == pytest.approx(595.28, abs=0.01)
    assert height / width == pytest.approx((A4_FINE_ROWS / 7.7) / (1728 / 8.031496), rel=0.002)


def test_letter_and_odd_resolutions():
    """300 dpi is 300 dpi; letter is 8.5 inches wide."""
    assert page_points(2550, 3300, x_dpi=300, y_dpi=300, paper="letter") == (612, 792)


def test_resolution_names():
    """As fax users know them."""
    assert resolution_name(98).startswith("standard")
    assert resolution_name(196).startswith("fine")
    assert resolution_name(391).startswith("superfine")
    assert resolution_name(None) == ""


def test_the_disconnect_signal_has_a_second_of_flags_and_a_frame():
    """T.30 5.3.1: one second of preamble, within 15 %."""
    assert len(disconnect_samples()) / 16000 == pytest.approx(1.18, abs=0.1)


text = st.text(max_size=30)
call_facts = st.builds(
    CallFacts,
    account_id=text.map(AccountId),
    number=text.map(E164),
    caller_number=text,
    caller_name=text,
    started_at=st.datetimes(timezones=st.just(UTC)),
    call_id=text,
    cause=text,
    reservation_id=st.none() | st.just(ReservationId("r1")),
)
reception_facts = st.builds(
    ReceptionFacts,
    complete=st.booleans(),
    detail=text,
    station_id=text,
    bit_rate=st.none() | st.integers(2400, 14400),
    ecm=st.none() | st.booleans(),
    y_resolution_dpi=st.none() | st.integers(98, 400),
    seconds=st.integers(0, 7200).map(float),
)


@given(call_facts, reception_facts)
def test_facts_survive_the_spool(call, reception):
    """Write then read is the identity, for both kinds in one entry."""
    written = call.write(KIND) | reception.write()
    assert CallFacts.read(written) == call
    assert ReceptionFacts.read(written) == reception


def test_a_call_that_broke_off_has_default_facts():
    """An entry that was never sealed is a partial fax."""
    call = CallFacts(
        AccountId("a"), E164("+1"), "", "", datetime(2026, 1, 1, tzinfo=UTC), "c", "", None
    )
    assert ReceptionFacts.read(call.write(KIND)) == ReceptionFacts()
    assert not ReceptionFacts().complete


@given(st.builds(protocol.Ended, text, complete=st.booleans(), detail=text, station_id=text))
def test_messages_survive_the_socket(message):
    """Encode then decode is the identity, and fits a datagram."""
    data = protocol.encode(message)
    assert protocol.decode(data) == message
    assert len(data) <= protocol.MAX_MESSAGE_OCTETS


def wave(frequencies, seconds, amplitude=6000):
    count = int(8000 * seconds)
    values = (
        round(sum(amplitude * math.sin(2 * math.pi * hz * n / 8000) for hz in frequencies))
        for n in range(count)
    )
    return struct.pack(f"={count}h", *values)


def heard(samples):
    detector, tones = SpanDSPToneDetector(), []
    for start in range(0, len(samples), 320):
        tones += detector.feed(samples[start : start + 320])
    return tones


KEYS = {
    "1": (697, 1209),
    "5": (770, 1336),
    "9": (852, 1477),
    "*": (941, 1209),
    "0": (941, 1336),
    "#": (941, 1477),
    "D": (941, 1633),
}


def test_keys_are_heard_once_each():
    """Q.24: 80 ms on, 80 ms off."""
    pause = bytes(1280)
    samples = b"".join(wave(pair, 0.08) + pause for pair in KEYS.values())
    assert heard(samples) == list(KEYS)


def test_cng_and_ced_are_heard():
    """T.30: CNG is 0.5 s of 1100 Hz every 3.5 s, CED some 3 s of 2100 Hz."""
    cng = (wave([1100], 0.5) + bytes(48000)) * 2
    assert heard(cng) == ["CNG", "CNG"]
    assert heard(wave([2100], 3) + bytes(16000)) == ["CED"]


def test_silence_and_noise_are_no_tones():
    """Nothing is heard in nothing."""
    dice = random.Random(1)
    noise = struct.pack("=80000h", *(dice.randint(-8000, 8000) for _ in range(80000)))
    assert heard(bytes(160000)) == []
    assert heard(noise) == []

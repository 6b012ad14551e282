"""Numbers and instants as prompts."""

from datetime import date, datetime

import pytest

from voicemail import spoken


@pytest.mark.parametrize(
    ("value", "language", "words"),
    [
        (0, "en", "0"),
        (21, "en", "20 1"),
        (342, "en", "3 hundred 40 2"),
        (2005, "en", "2 thousand 5"),
        (75, "fr", "60 15"),
        (99, "fr", "80 19"),
        (100, "fr", "hundred"),
        (24, "es", "24"),
        (1000, "es", "thousand"),
    ],
)
def test_numbers(value, language, words):
    assert spoken.number(value, language) == tuple(f"digits/{word}" for word in words.split())


def test_spanish_joins_tens_and_units():
    assert spoken.number(45, "es") == ("digits/40", "vm-and", "digits/5")


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 3, 4, 9, 5), "today at 9 oh 5 a-m"),
        (datetime(2026, 3, 3, 12, 0), "yesterday at 12 oclock p-m"),
        (datetime(2026, 2, 21, 23, 30), "day-6 mon-1 20 h-1 at 11 30 p-m"),
    ],
)
def test_instants_in_english(at, words):
    """Today, yesterday, or the date; a twelve-hour clock."""
    said = spoken.instant(at, date(2026, 3, 4), "en")
    assert said == tuple(f"digits/{word}" for word in words.split())


def test_lengths():
    assert spoken.length(61, "en") == ("vm-duration", "digits/1", "minute", "digits/1", "second")
    assert spoken.length(0, "en") == ("vm-duration", "digits/0", "seconds")

"""Where sound lies in a recording, and what is cut off."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.speech import say, silence
from voicemail.audio import prepare
from voicemail.level import TAIL_SECONDS, LevelMeter, is_sound, sound_of, trim_tail

SAMPLES = st.lists(st.integers(-32768, 32767), max_size=2000).map(lambda each: array("h", each))


def linear(octets):
    return array("h", octets)


def test_the_tail_of_speech_is_trimmed_and_no_word_is_cut():
    """Six seconds of silence after speech go, but for 0.2 s; the speech is as it was."""
    spoken = say()
    end = sound_of(linear(spoken)).end
    trimmed = trim_tail(linear(spoken + silence(6)))
    assert len(trimmed) == end + round(TAIL_SECONDS * 8000)
    assert trimmed.tobytes()[: 2 * end] == spoken[: 2 * end]


def test_the_beginning_is_kept():
    """A pause before the first word is part of the message's length."""
    spoken = linear(silence(1.5) + say(seconds=3))
    assert trim_tail(spoken)[: 12000 + 8000] == spoken[: 12000 + 8000]


def test_silence_alone_leaves_nothing():
    """No sound: nothing to keep."""
    assert not trim_tail(linear(silence(3)))
    assert prepare(silence(10)) is None


def test_a_click_is_no_message():
    """A receiver that is put down makes noise, not sound of 1 s."""
    click = array("h", [20000, -20000] * 400).tobytes()
    assert prepare(silence(4) + click + silence(3)) is None


@given(SAMPLES, st.lists(st.integers(1, 400), min_size=1))
def test_the_meter_agrees_with_the_whole(samples, sizes):
    """Measured as it grows or at once, the sound of a recording lies in the same place."""
    meter = LevelMeter(silence_seconds=60)
    octets, turn, taken = samples.tobytes(), 0, 0
    while octets:
        size = 2 * sizes[turn % len(sizes)]
        taken += meter.feed(octets[:size])
        octets, turn = octets[size:], turn + 1
    assert taken == len(samples)
    assert meter.sound == sound_of(samples)


@pytest.mark.parametrize("extra", [b"", b"\x01"])
def test_a_torn_last_sample_is_dropped(extra):
    """What a crash left half written does not spoil the rest."""
    spoken = say(seconds=3)
    assert prepare(spoken + extra) == prepare(spoken)


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=200), st.integers(0, 3), st.data())
def test_a_frame_is_sound_by_its_mean_absolute_value(values, shift, data):
    """The bounds that spare adding up decide as the sum does, at and around the threshold."""
    values = [value >> (4 * shift) for value in values]
    mean = sum(map(abs, values)) // len(values)
    threshold = max(0, mean + data.draw(st.integers(-2, 2)))
    wanted = sum(map(abs, values)) >= threshold * len(values)
    assert is_sound(array("h", values).tobytes(), threshold) is wanted

"""Loudness: where sound lies, trimming and normalisation."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.speech import correlates, level, say, silence
from voicemail.audio import prepare
from voicemail.level import (
    CEILING,
    LARGEST_GAIN,
    TAIL_SECONDS,
    TARGET_LEVEL,
    LevelMeter,
    amplify,
    gain_for,
    normalise,
    sound_of,
    trim_tail,
)

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


def test_quiet_speech_is_lifted_to_an_even_level():
    """A caller 20 dB too quiet is brought near the level of the prompts, undistorted."""
    spoken = say()
    quiet = array("h", [sample // 5 for sample in linear(spoken)])
    lifted = normalise(quiet).tobytes()
    assert level(lifted) > 2.5 * level(quiet.tobytes())
    assert correlates(lifted, spoken) > 0.99


def test_loud_speech_is_left_alone():
    """What is loud enough keeps every sample."""
    loud = amplify(linear(say()), 3.0)
    assert normalise(loud) == loud


@given(SAMPLES)
def test_normalising_never_clips_and_never_lowers(samples):
    """Whatever the samples, the gain is 1 to 8 and the peak stays below the ceiling."""
    gain = gain_for(samples)
    assert 1.0 <= gain <= LARGEST_GAIN
    peak = max(map(abs, samples), default=0)
    assert max(map(abs, amplify(samples, gain)), default=0) <= max(peak, CEILING)


@given(SAMPLES, st.floats(1, 8))
def test_amplify_multiplies_and_clips(samples, gain):
    """Every sample times the gain, towards zero, within 16 bits."""
    wanted = [max(-32768, min(32767, int(sample * gain))) for sample in samples]
    assert list(amplify(samples, gain)) == wanted


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


def test_the_target_is_where_the_prompts_lie():
    """Speech at the target is not changed."""
    tone = array("h", [TARGET_LEVEL, -TARGET_LEVEL] * 8000)
    assert normalise(tone) is tone

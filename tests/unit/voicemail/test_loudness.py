"""Loudness: quiet callers are lifted, nothing is ever clipped."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from tests.support.speech import correlates, level, say
from voicemail.loudness import CEILING, LARGEST_GAIN, TARGET_LEVEL, gain_for, normalise

SAMPLES = st.lists(st.integers(-32768, 32767), max_size=2000).map(lambda each: array("h", each))


def linear(octets):
    return array("h", octets)


def test_quiet_speech_is_lifted_to_an_even_level():
    """A caller 20 dB too quiet is brought near the level of the prompts, undistorted."""
    spoken = say()
    quiet = array("h", [sample // 5 for sample in linear(spoken)])
    lifted = normalise(quiet).tobytes()
    assert level(lifted) > 2.5 * level(quiet.tobytes())
    assert correlates(lifted, spoken) > 0.99


def test_loud_speech_is_left_alone():
    """What is loud enough keeps every sample."""
    loud = array("h", [min(32767, max(-32768, 3 * sample)) for sample in linear(say())])
    assert normalise(loud) == loud


@given(SAMPLES)
def test_normalising_never_clips_and_never_lowers(samples):
    """Whatever the samples, the gain is 1 to 8 and the peak stays below the ceiling."""
    gain = gain_for(samples)
    assert 1.0 <= gain <= LARGEST_GAIN
    lifted = normalise(samples)
    assert len(lifted) == len(samples)
    peak = max(map(abs, samples), default=0)
    assert max(map(abs, lifted), default=0) <= max(peak, CEILING + 1)
    assert all(
        abs(high - gain * low) <= 0.05 * abs(low) + 1
        for high, low in zip(lifted, samples, strict=True)
    )


def test_the_target_is_where_the_prompts_lie():
    """Speech at the target is not changed."""
    tone = array("h", [TARGET_LEVEL, -TARGET_LEVEL] * 8000)
    assert normalise(tone) is tone

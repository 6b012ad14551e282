"""Is it a fax machine that calls? Tones faint, off their frequency and in noise; and much speech."""

import math
import random
from array import array
from functools import cache

import pytest

from fax.disconnect import disconnect_samples
from fax.spandsp import CallingFaxDetector
from tests.support.speech import duration, packets, say
from um.telephony.rtp.g711 import LAWS, PCMA, PCMU
from voicemail.prompts import SOUNDS, Prompts

FULL_SCALE_DBM0 = 3.14
"""Of mu-law: a sine that just fits (G.711 §3)."""
PROMPT_MINUTES = 20
MADE_MINUTES = 11
VOICES = (
    *("en-us+m1", "en-us+m3", "en-us+m7", "en-us+f1", "en-us+f3", "en-us+f5"),
    *("en-gb+klatt", "fr+f2", "de+m2", "es+m4", "it+f4", "ru+m5"),
)
TEXT = """
Good afternoon, this is a message for the accounting department. I am calling about the invoice of the
third of March, number seven seven four one, for the delivery of eleven boxes of blue lanterns to the
harbour office. We have received only ten of them, and one of those was broken when it arrived. Ooh, and
while I think of it: who is looking after the keys of the warehouse, now that Lou has moved to Peru?
Would you please call me back before six o'clock on oh two oh, five five five, one two three four?
Hmm, let me see. No, no, not tomorrow. I am away until Tuesday, so please try the mobile phone in the
meantime. One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen. Thank you
very much indeed, and have a lovely evening. Good bye. Wait, one moment, somebody is at the door. Hello?
Hoo hoo, is anybody there? It was only the wind. All right. Good bye again, and sorry for the long message.
"""


def dbm0(level, hz, seconds):
    """A sine."""
    amplitude = 32124 * 10 ** ((level - FULL_SCALE_DBM0) / 20)
    step = 2 * math.pi * hz / 8000
    return [amplitude * math.sin(step * n) for n in range(round(8000 * seconds))]


def in_noise(values, level, *, seed=1):
    """With white noise of that level on it; None: without."""
    if level is None:
        return array("h", map(round, values)).tobytes()
    dice = random.Random(seed)
    spread = 32124 / math.sqrt(2) * 10 ** ((level - FULL_SCALE_DBM0) / 20)
    limited = (max(-32768, min(32767, round(value + dice.gauss(0, spread)))) for value in values)
    return array("h", limited).tobytes()


def heard(samples, law):
    """What the detector tells, with the second in which it does, behind a telephone line."""
    detector, told = CallingFaxDetector(), []
    for number, packet in enumerate(packets(LAWS[law].decode(LAWS[law].encode(samples)))):
        told += [(tone, (number + 1) * 0.02) for tone in detector.feed(packet)]
    return told


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=["mu-law", "A-law"])
@pytest.mark.parametrize("signal_to_noise", [None, 20], ids=["clean", "20 dB"])
@pytest.mark.parametrize("level", [-10, -30, -40])
@pytest.mark.parametrize("offset", [-38, -15, 0, 15, 38])
def test_a_calling_tone_is_heard_in_its_first_burst(offset, level, signal_to_noise, law):
    """T.30: 0.5 s of 1100 Hz within 38 Hz, then 3 s of nothing; each burst is told once, in 0.5 s."""
    burst = dbm0(level, 1100 + offset, 0.5) + [0.0] * 24_000
    noise = None if signal_to_noise is None else level - signal_to_noise
    told = heard(in_noise([0.0] * 4000 + burst * 2, noise), law)
    assert [tone for tone, _ in told] == ["CNG", "CNG"]
    assert all(0 < at - begun < 0.5 for (_, at), begun in zip(told, (0.5, 4.0), strict=True))


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=["mu-law", "A-law"])
@pytest.mark.parametrize("noise", [None, -24], ids=["clean", "10 dB"])
def test_a_machine_started_by_hand_is_heard_by_its_preamble(noise, law):
    """A second of V.21 flags is told within a quarter of it."""
    values = [0] * 4000 + list(memoryview(disconnect_samples()).cast("h"))
    ((tone, at),) = heard(in_noise(values, noise), law)
    assert tone == "V21"
    assert 0.5 < at < 0.75


@cache
def prompts():
    """Every prompt of the English pack, spoken by a woman."""
    pack = next(path for path in SOUNDS.iterdir() if path.name.startswith("en"))
    reader = Prompts()
    names = (str(file.relative_to(pack).with_suffix("")) for file in sorted(pack.rglob("*.wav")))
    return b"".join(reader.samples(name) for name in names)


@cache
def made():
    """The same words in the voices of men and women, in several languages' accents."""
    return b"".join(say(TEXT, voice=voice) for voice in VOICES)


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=["mu-law", "A-law"])
@pytest.mark.parametrize(
    ("speech", "minutes"), [(prompts, PROMPT_MINUTES), (made, MADE_MINUTES)], ids=["woman", "made"]
)
def test_no_speech_is_taken_for_a_fax_machine(speech, minutes, law):
    """Over half an hour of it."""
    samples = speech()
    assert duration(samples) > 60 * minutes
    assert heard(samples, law) == []

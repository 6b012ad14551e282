"""Prompts: the pack that Debian ships, and what happens without it."""

import asyncio
import shutil
from array import array
from itertools import pairwise

import pytest

from tests.support.house import House
from tests.support.speech import level, save_wav, silence
from tests.support.voicemail_exchange import Exchange
from um.core.ids import E164
from um.telephony.application import DivertCause
from voicemail import dialogue, greeting
from voicemail.prompts import SOUNDS, Prompts, make_beep
from voicemail.wording import SENTENCES


@pytest.fixture(scope="module")
def prompts():
    return Prompts()


def test_every_word_we_speak_is_in_the_pack(prompts):
    """No greeting, announcement or last word names a prompt that is not there."""
    number = E164("+01234567899")
    words = {
        *(word for cause in DivertCause for word in greeting.greeting(number, cause)),
        *(word for words in greeting.ANNOUNCEMENTS.values() for word in words),
        *dialogue.BEEP,
        *dialogue.MESSAGE_SAVED,
        *dialogue.TOO_SHORT,
        *dialogue.APOLOGY,
        *dialogue.CONNECTING,
        *dialogue.NOBODY_THERE,
        *(word for words in dialogue.MARKED.values() for word in words),
        *(word for sentences in SENTENCES.values() for word in sentences),
    }
    packed = [word for word in words if not str(word).startswith("um-")]
    silent = [word for word in packed if level(prompts.samples(word)) < 100]
    assert not silent


def test_the_greeting_speaks_the_number_digit_by_digit():
    """The person at extension 1 5 5 5 is unavailable; of a busy line it says that it is busy."""
    number = E164("+1555")
    digits = ("digits/1", "digits/5", "digits/5", "digits/5")
    assert greeting.greeting(number, DivertCause.NO_ANSWER) == (
        "vm-theperson",
        *digits,
        "vm-isunavail",
        "vm-intro",
    )
    assert greeting.greeting(number, DivertCause.BUSY)[-2] == "vm-isonphone"


def test_spoken_words_follow_each_other(prompts):
    """Several prompts are one piece of audio, in order."""
    words = ("digits/1", "digits/2")
    assert prompts.spoken(words) == prompts.samples("digits/1") + prompts.samples("digits/2")


def test_missing_empty_and_foreign_files_are_skipped(tmp_path):
    """A prompt that cannot be played is silence, never an error."""
    pack = tmp_path / "en_XX"
    pack.mkdir()
    save_wav(silence(0.5), pack / "vm-intro.wav")
    (pack / "empty.wav").write_bytes(b"")
    save_wav(b"", pack / "no-samples.wav")
    (pack / "text.wav").write_bytes(b"this is no RIFF file at all")
    (pack / "torn.wav").write_bytes((pack / "vm-intro.wav").read_bytes()[:30])
    (pack / "folder.wav").mkdir()
    prompts = Prompts(tmp_path)
    for name in ("missing", "empty", "no-samples", "text", "torn", "folder"):
        assert prompts.samples(name) == b""
    assert prompts.spoken(("missing", "vm-intro", "empty")) == silence(0.5)


def test_a_file_of_another_rate_is_not_played(tmp_path):
    """Wideband audio would be heard at half speed: it is skipped."""
    pack = tmp_path / "en"
    pack.mkdir()
    save_wav(silence(0.5), pack / "vm-intro.wav")
    whole = bytearray((pack / "vm-intro.wav").read_bytes())
    whole[24:28] = (16000).to_bytes(4, "little")
    (pack / "wide.wav").write_bytes(whole)
    assert Prompts(tmp_path).samples("wide") == b""


def test_without_any_pack_there_is_still_a_beep(tmp_path):
    """A machine without sounds takes messages all the same."""
    prompts = Prompts(tmp_path / "nowhere")
    assert prompts.samples("vm-intro") == b""
    beep = array("h", prompts.samples("beep"))
    assert len(beep) == 3200
    assert level(beep.tobytes()) > 3000
    assert (beep[0], max(map(abs, beep))) == (0, 8000)


def test_a_language_falls_back_to_english_and_own_prompts_come_first(tmp_path, prompts):
    """French where there is French, English elsewhere; the operator's recording before both."""
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "en_US").symlink_to(SOUNDS / "en_US_f_Allison")
    french = tmp_path / "sounds" / "fr_CA"
    french.mkdir()
    save_wav(silence(0.25), french / "vm-intro.wav")
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(french / "vm-intro.wav", own / "vm-goodbye.wav")
    mixed = Prompts(tmp_path / "sounds", own=own)
    assert mixed.languages == {"en", "fr"}
    assert mixed.samples("vm-intro", language="fr") == silence(0.25)
    assert mixed.samples("vm-intro", language="fr-CA") == silence(0.25)
    assert mixed.samples("vm-intro", language="de") == prompts.samples("vm-intro")
    assert mixed.samples("vm-theperson", language="fr") == prompts.samples("vm-theperson")
    assert mixed.samples("vm-goodbye") == silence(0.25)


def test_what_callers_hear_first_is_read_ahead_in_every_language(tmp_path):
    """The first call in French does not wait for the disk either."""
    for number, language in enumerate(("en", "fr"), start=1):
        pack = tmp_path / language
        pack.mkdir()
        for name in ("vm-intro", "vm-nobodyavail"):
            save_wav(silence(number / 4), pack / f"{name}.wav")
    exchange = Exchange(House(), prompts=Prompts(tmp_path))
    asyncio.run(exchange.voicemail.preload())
    shutil.rmtree(tmp_path / "fr")
    assert exchange.voicemail.announcement("voicemail-off", "fr") == silence(0.5)
    assert exchange.voicemail.announcement("voicemail-off") == silence(0.25)


def test_a_prompt_is_read_once(tmp_path):
    """The second call does not touch the disk."""
    pack = tmp_path / "en"
    pack.mkdir()
    save_wav(silence(0.5), pack / "vm-intro.wav")
    prompts = Prompts(tmp_path)
    prompts.preload(["vm-intro"])
    shutil.rmtree(pack)
    assert prompts.samples("vm-intro") == silence(0.5)


def test_the_made_beep_is_a_thousand_hertz():
    """Zero crossings of 0.4 s of 1000 Hz."""
    tone = array("h", make_beep())
    crossings = sum(a < 0 <= b for a, b in pairwise(tone))
    assert crossings == pytest.approx(400, abs=2)

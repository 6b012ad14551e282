"""Prompts that no pack has: made once, replaceable, and every word of the menu can be spoken."""

import re
from pathlib import Path

import pytest

from tests.support.speech import level
from voicemail import conversation, made, spoken
from voicemail.made import make_prompts, speak
from voicemail.menu import FOLDERS
from voicemail.prompts import Prompts
from voicemail.texts import LACKING, MENU_TEXTS, TEXTS

_NAMES = re.compile(r'"((?:vm|um|pbx|digits|im|please)-?[a-zA-Z0-9/-]+|beep|minute|seconds?)"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("made")
    assert make_prompts(where, ["en"]) == len(TEXTS["en"])
    assert make_prompts(where, ["en"]) == 0
    return where


def test_every_word_of_the_menu_has_a_sound(folder):
    """Whatever the scripts name is in the English pack or was made."""
    prompts = Prompts(made=folder)
    sources = [*Path(conversation.__file__).parent.glob("scripts/*.py"), Path(spoken.__file__)]
    words = {name for source in sources for name in _NAMES.findall(source.read_text())}
    words |= {each.word for each in FOLDERS.values()}
    words |= {f"digits/{each}" for each in [*range(21), 30, 40, 50, "h-1", "h-20", "h-30"]}
    words |= {f"digits/day-{each}" for each in range(7)} | {
        f"digits/mon-{each}" for each in range(12)
    }
    words = {word for word in words if not word.endswith(("-", "/"))}
    assert len(words) > 90
    assert [word for word in sorted(words) if level(prompts.samples(word)) < 100] == []


def test_every_language_has_the_same_prompts():
    """Nothing is English in a French or Spanish menu."""
    for texts in (TEXTS, MENU_TEXTS):
        assert {frozenset(each) for each in texts.values()} == {frozenset(texts["en"])}


@pytest.mark.parametrize("language", ["fr", "es"])
def test_other_languages_are_spoken(language):
    """espeak-ng has the voices."""
    assert level(speak(TEXTS[language]["um-locked"], language).tobytes()) > 200


def test_what_the_pack_of_a_language_lacks_is_made_in_it(tmp_path, monkeypatch):
    """Rather than said in English; and phrases of other key maps only if they are asked for."""
    monkeypatch.setattr(made, "TEXTS", {"es": {}, "en": {}})
    assert make_prompts(tmp_path, ["es"], phrases=["um-to-delete"]) == len(LACKING["es"]) + 1
    pack = tmp_path / "packs" / "es_MX"
    pack.mkdir(parents=True)
    for name in ("vm-intro", "im-sorry"):
        (pack / f"{name}.wav").write_bytes((tmp_path / "es/um-to-delete.wav").read_bytes())
    prompts = Prompts(tmp_path / "packs", made=tmp_path)
    assert level(prompts.samples("vm-msgforwarded", language="es-MX")) > 200
    assert prompts.samples("vm-msgforwarded", language="fr") == b""


def test_an_operators_folder_goes_first(folder, tmp_path):
    """A recording of the operator's own replaces one that was made."""
    own = tmp_path / "own" / "en"
    own.mkdir(parents=True)
    (own / "um-fax.wav").write_bytes((folder / "en" / "um-locked.wav").read_bytes())
    prompts = Prompts(own=tmp_path / "own", made=folder)
    assert prompts.samples("um-fax") == Prompts(made=folder).samples("um-locked")


def test_without_the_speaker_prompts_are_missing_and_no_more(monkeypatch, tmp_path):
    """No espeak-ng: nothing is made, nothing fails."""
    monkeypatch.setattr(made, "PROGRAM", "no-such-program")
    assert make_prompts(tmp_path) == 0
    assert not speak("Hello", "en")

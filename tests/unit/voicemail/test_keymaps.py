"""Other key maps than the packs': what the menus say of them, and maps of an operator's own."""

import pytest

from um.core.errors import InvalidError
from voicemail.keymaps import ASTERISK, FREESWITCH, MAPS, load_keys
from voicemail.menu import ALLOWED, Action, Context
from voicemail.texts import MENU_TEXTS
from voicemail.wording import OFFER_KEEP, OFFER_NEW, SENTENCES, composed_prompts, in_keys

FOLDER = ("vm-INBOX", "vm-messages")


def test_under_the_packs_own_map_every_menu_is_as_recorded():
    """No phrase has to be made, and what only other maps have is not said."""
    assert composed_prompts(ASTERISK) == set()
    menu = ("vm-onefor", *FOLDER, OFFER_NEW, "vm-opts", "vm-helpexit")
    recorded = ("vm-onefor", *FOLDER, "vm-opts", "vm-helpexit")
    assert in_keys(menu, Context.MAIN, ASTERISK) == recorded


def test_under_another_map_the_menu_says_that_maps_keys():
    """In parts: what it is, "press", the key; what has no key is not offered, nor its folder."""
    menu = ("vm-onefor", *FOLDER, OFFER_NEW, "vm-opts", "vm-helpexit")
    assert in_keys(menu, Context.MAIN, FREESWITCH) == (
        *("um-to-hear-new", "vm-press", "digits/1"),
        *("um-to-options", "vm-press", "digits/5"),
        *("um-to-exit", "vm-press", "digits/pound"),
    )
    after = ("vm-undelete", OFFER_KEEP, "vm-savemessage")
    assert in_keys(after, Context.MESSAGE, FREESWITCH) == (
        "vm-undelete",  # it is the same key
        *("um-to-keep", "vm-press", "digits/2"),
    )


def test_a_folder_stays_with_its_sentence():
    """What can be listened to is named before its key."""
    keys = {Context.MAIN: {"5": Action.LISTEN}}
    said = in_keys(("vm-onefor", *FOLDER), Context.MAIN, keys)
    assert said == ("um-to-listen", *FOLDER, "vm-press", "digits/5")


@pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS)
def test_every_phrase_that_a_map_needs_can_be_spoken(keys):
    """In every language we have words for."""
    assert composed_prompts(keys) <= set(MENU_TEXTS["en"])


@pytest.mark.parametrize("context", [each for each in Context if each in SENTENCES])
def test_every_action_of_a_menu_has_a_phrase(context):
    """Whatever map an operator writes, each of its keys can be named."""
    said = {action for each in SENTENCES[context].values() for action in each.offered}
    phrases = {f"um-to-{action}" for action in said}
    assert phrases <= set(MENU_TEXTS["en"])
    silent = {Action.PICK, Action.CANCEL, Action.PREVIOUS, Action.NEXT}
    assert ALLOWED[context] - said <= silent


def test_an_operators_map_changes_the_places_it_names(tmp_path):
    """The others stay as they are."""
    path = tmp_path / "keys.toml"
    path.write_text('[message]\n"3" = "delete"\n"7" = "repeat"\n')
    keys = load_keys(path)
    assert keys[Context.MESSAGE] == {"3": Action.DELETE, "7": Action.REPEAT}
    assert keys[Context.MAIN] == ASTERISK[Context.MAIN]
    assert in_keys(("vm-delete",), Context.MESSAGE, keys)[0] == "um-to-delete"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[message\n", "cannot be read as TOML"),
        ('[lobby]\n"1" = "delete"\n', "there is no place lobby"),
        ("message = 1\n", "message is no table"),
        ('[message]\n"12" = "delete"\n', "there is no key 12"),
        ('[message]\n"1" = "dial"\n', "key 1 must be one of"),
        ('[message]\n"1" = 1\n', "key 1 must be one of"),
        ('[recording]\n"1" = "delete"\n', "key 1 must be one of finish"),
        ('[folders]\n"9" = "pick"\n', "key 9 has no folder"),
    ],
)
def test_a_map_that_cannot_be_is_refused_by_place_and_key(tmp_path, text, problem):
    """Before a call is taken, in words for an operator."""
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(InvalidError, match=problem):
        load_keys(path)


def test_a_map_that_is_not_there_is_refused(tmp_path):
    """By its path."""
    with pytest.raises(InvalidError, match=r"keys\.toml"):
        load_keys(tmp_path / "keys.toml")

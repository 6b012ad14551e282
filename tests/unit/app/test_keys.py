"""The key map that the configuration names."""

import pytest

from um.app.keys import key_map
from um.config import ConfigurationError
from um.config.load import parse
from voicemail.keymaps import ASTERISK, FREESWITCH
from voicemail.menu import Action, Context


def test_a_map_by_its_name(tmp_path):
    """Asterisk's if nothing is said."""
    assert key_map(parse({}, tmp_path)) is ASTERISK
    assert key_map(parse({"telephony": {"key_map": "freeswitch"}}, tmp_path)) is FREESWITCH


def test_a_name_that_is_no_map_is_refused(tmp_path):
    """With the key's path."""
    with pytest.raises(ConfigurationError, match=r"telephony\.key_map"):
        parse({"telephony": {"key_map": "octel"}}, tmp_path)


def test_a_file_goes_before_the_name_and_is_told_by_its_key(tmp_path):
    """Relative to the configuration's folder; what is wrong in it is said before a call is taken."""
    config = parse({"telephony": {"key_map_file": "keys.toml"}}, tmp_path)
    with pytest.raises(ConfigurationError, match=r"telephony\.key_map_file: .*keys\.toml"):
        key_map(config)
    (tmp_path / "keys.toml").write_text('[main]\n"9" = "exit"\n')
    assert key_map(config)[Context.MAIN] == {"9": Action.EXIT}

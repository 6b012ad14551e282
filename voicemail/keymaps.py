"""Which key does what, as tables: another map is chosen without touching the dialogues.

Laws:
- A map names what each key asks for in each place; what it leaves out asks for nothing.
- What the menus say follows the map (`voicemail.wording`).
- A file of an operator's is one of these tables as TOML; places that it leaves out are `asterisk`'s.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from um.core.errors import InvalidError
from voicemail.menu import ALLOWED, FOLDERS, Action, Context, KeyMap

KEYS = frozenset("0123456789*#ABCD")

_A = Action
_MENU = MappingProxyType(
    {
        "1": _A.LISTEN,
        "2": _A.CHANGE_FOLDER,
        "3": _A.ADVANCED,
        "4": _A.PREVIOUS,
        "5": _A.REPEAT,
        "6": _A.NEXT,
        "7": _A.DELETE,
        "8": _A.FORWARD,
        "9": _A.SAVE,
        "0": _A.OPTIONS,
        "*": _A.HELP,
        "#": _A.EXIT,
    }
)

ASTERISK: KeyMap = MappingProxyType(
    {
        Context.GREETING: MappingProxyType({"#": _A.SKIP, "*": _A.LOG_IN, "0": _A.OPERATOR}),
        Context.RECORDING: MappingProxyType({"#": _A.FINISH, "0": _A.OPERATOR}),
        Context.CLOSING: MappingProxyType({"#": _A.SKIP}),
        Context.CALLER_REVIEW: MappingProxyType(
            {
                "1": _A.ACCEPT,
                "2": _A.HEAR,
                "3": _A.RECORD_AGAIN,
                "4": _A.URGENT,
                "0": _A.OPERATOR,
                "#": _A.ACCEPT,
            }
        ),
        Context.MAIN: _MENU,
        Context.MESSAGE: _MENU,
        Context.ENVELOPE: MappingProxyType({"1": _A.SKIP, "#": _A.SKIP}),
        Context.PLAYING: MappingProxyType(
            {
                "1": _A.LISTEN,
                "2": _A.RESTART,
                "3": _A.ADVANCED,
                "4": _A.PREVIOUS,
                "5": _A.REPEAT,
                "6": _A.NEXT,
                "7": _A.DELETE,
                "8": _A.FORWARD,
                "9": _A.SAVE,
                "0": _A.PAUSE,
                "*": _A.REWIND,
                "#": _A.SKIP_AHEAD,
            }
        ),
        Context.ADVANCED: MappingProxyType(
            {"3": _A.ENVELOPE, "6": _A.SEND_OUTSIDE, "*": _A.CANCEL}
        ),
        Context.FOLDERS: MappingProxyType(
            {**dict.fromkeys("01234", _A.PICK), "#": _A.CANCEL, "*": _A.CANCEL}
        ),
        Context.OPTIONS: MappingProxyType(
            {
                "1": _A.UNAVAILABLE,
                "2": _A.BUSY,
                "3": _A.NAME,
                "4": _A.TEMPORARY,
                "5": _A.PIN,
                "*": _A.CANCEL,
            }
        ),
        Context.TEMPORARY: MappingProxyType({"1": _A.RECORD_AGAIN, "2": _A.ERASE, "*": _A.CANCEL}),
        Context.REVIEW: MappingProxyType(
            {"1": _A.ACCEPT, "2": _A.HEAR, "3": _A.RECORD_AGAIN, "*": _A.CANCEL}
        ),
        Context.FORWARD: MappingProxyType({"1": _A.INTRODUCE, "2": _A.SEND, "*": _A.CANCEL}),
    }
)
"""`app_voicemail`'s: the recorded prompts of the packs speak its keys."""

FREESWITCH: KeyMap = MappingProxyType(
    {
        Context.GREETING: MappingProxyType({"#": _A.SKIP, "*": _A.LOG_IN, "9": _A.OPERATOR}),
        Context.RECORDING: MappingProxyType({"#": _A.FINISH, "9": _A.OPERATOR}),
        Context.CLOSING: ASTERISK[Context.CLOSING],
        Context.CALLER_REVIEW: MappingProxyType(
            {
                "1": _A.HEAR,
                "2": _A.ACCEPT,
                "3": _A.RECORD_AGAIN,
                "4": _A.URGENT,
                "9": _A.OPERATOR,
                "#": _A.ACCEPT,
            }
        ),
        Context.MAIN: MappingProxyType(
            {
                "1": _A.HEAR_NEW,
                "2": _A.HEAR_SAVED,
                "5": _A.OPTIONS,
                "0": _A.MAIN_MENU,
                "#": _A.EXIT,
            }
        ),
        Context.MESSAGE: MappingProxyType(
            {
                "1": _A.REPEAT,
                "2": _A.KEEP,
                "3": _A.NEXT,
                "4": _A.PREVIOUS,
                "5": _A.ADVANCED,
                "7": _A.DELETE,
                "8": _A.FORWARD,
                "0": _A.MAIN_MENU,
                "#": _A.EXIT,
            }
        ),
        Context.ENVELOPE: MappingProxyType({"*": _A.SKIP, "#": _A.SKIP}),
        Context.PLAYING: MappingProxyType(
            {
                "1": _A.RESTART,
                "2": _A.KEEP,
                "3": _A.NEXT,
                "4": _A.REWIND,
                "6": _A.SKIP_AHEAD,
                "7": _A.DELETE,
                "8": _A.FORWARD,
                "0": _A.PAUSE,
                "#": _A.SKIP,
            }
        ),
        Context.ADVANCED: MappingProxyType(
            {"5": _A.ENVELOPE, "6": _A.SEND_OUTSIDE, "0": _A.CANCEL}
        ),
        Context.FOLDERS: ASTERISK[Context.FOLDERS],
        Context.OPTIONS: MappingProxyType(
            {
                "1": _A.UNAVAILABLE,
                "2": _A.BUSY,
                "3": _A.NAME,
                "4": _A.TEMPORARY,
                "6": _A.PIN,
                "0": _A.CANCEL,
            }
        ),
        Context.TEMPORARY: MappingProxyType({"1": _A.RECORD_AGAIN, "2": _A.ERASE, "0": _A.CANCEL}),
        Context.REVIEW: MappingProxyType(
            {"1": _A.HEAR, "2": _A.ACCEPT, "3": _A.RECORD_AGAIN, "0": _A.CANCEL}
        ),
        Context.FORWARD: MappingProxyType({"1": _A.INTRODUCE, "2": _A.SEND, "0": _A.CANCEL}),
    }
)
"""`mod_voicemail`'s default keys, as far as it has the actions; the others on keys that it leaves."""

MAPS: Mapping[str, KeyMap] = MappingProxyType({"asterisk": ASTERISK, "freeswitch": FREESWITCH})
"""By the name that the configuration gives."""


def load_keys(path: Path) -> KeyMap:
    """The map in an operator's file: a table for each place, keys to actions.

    Raises InvalidError naming the place and the key that cannot be.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidError(f"{path}: cannot be read as TOML: {error}") from error
    places = {Context(name) for name in document if name in set(Context)}
    if unknown := set(document) - {place.value for place in places}:
        raise InvalidError(f"{path}: there is no place {min(unknown)}")
    named = {place: _keys(path, place, document[place.value]) for place in places}
    return MappingProxyType({**ASTERISK, **named})


def _keys(path: Path, place: Context, table: Any) -> Mapping[str, Action]:
    if not isinstance(table, dict):
        raise InvalidError(f"{path}: {place} is no table of keys")
    known = {action.value: action for action in ALLOWED[place]}
    for key, name in table.items():
        if key not in KEYS:
            raise InvalidError(f"{path}: {place}: there is no key {key}")
        if not isinstance(name, str) or name not in known:
            wanted = ", ".join(sorted(known))
            raise InvalidError(f"{path}: {place}: key {key} must be one of {wanted}")
        if known[name] is Action.PICK and key not in FOLDERS:
            raise InvalidError(f"{path}: {place}: key {key} has no folder")
    return MappingProxyType({key: known[name] for key, name in table.items()})

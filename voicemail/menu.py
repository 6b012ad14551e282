"""Which key does what, as data: another map can be chosen without touching the dialogues.

A context is a place in a call where keys mean something; an action is what a key asks for there.
A key that a context does not name asks for nothing. The maps are Asterisk's (`app_voicemail`): the
recorded prompts speak its keys ("press the pound key").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from um.core.message import INBOX


class Context(StrEnum):
    """Where in a call a key was pressed."""

    GREETING = "greeting"
    RECORDING = "recording"
    CLOSING = "closing"
    """The last words before we hang up."""
    CALLER_REVIEW = "caller-review"
    """A caller has recorded a message."""
    MAIN = "main"
    PLAYING = "playing"
    """A message is being heard."""
    ADVANCED = "advanced"
    FOLDERS = "folders"
    OPTIONS = "options"
    TEMPORARY = "temporary"
    """There is a temporary greeting."""
    REVIEW = "review"
    """An owner has recorded a greeting or an introduction."""
    FORWARD = "forward"


class Action(StrEnum):
    """What a key asks for."""

    SKIP = "skip"
    """Go on without hearing the rest."""
    FINISH = "finish"
    """The recording is complete."""
    LOG_IN = "log-in"
    """The caller is the owner (only where the owner allows it)."""
    ACCEPT = "accept"
    HEAR = "hear"
    RECORD_AGAIN = "record-again"
    URGENT = "urgent"
    CANCEL = "cancel"

    LISTEN = "listen"
    CHANGE_FOLDER = "change-folder"
    ADVANCED = "advanced"
    PREVIOUS = "previous"
    REPEAT = "repeat"
    NEXT = "next"
    DELETE = "delete"
    """Delete, or undelete what is deleted."""
    FORWARD = "forward"
    SAVE = "save"
    OPTIONS = "options"
    HELP = "help"
    EXIT = "exit"

    PAUSE = "pause"
    REWIND = "rewind"
    SKIP_AHEAD = "skip-ahead"
    RESTART = "restart"

    ENVELOPE = "envelope"
    PICK = "pick"
    """The folder of that key (FOLDERS)."""
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    NAME = "name"
    TEMPORARY = "temporary"
    PIN = "pin"
    ERASE = "erase"
    INTRODUCE = "introduce"
    """Forward with an introduction."""
    SEND = "send"


KeyMap = Mapping[Context, Mapping[str, Action]]
_A = Action

DEPOSIT: KeyMap = MappingProxyType(
    {
        Context.GREETING: MappingProxyType({"#": _A.SKIP, "*": _A.LOG_IN}),
        Context.RECORDING: MappingProxyType({"#": _A.FINISH}),
        Context.CALLER_REVIEW: MappingProxyType(
            {"1": _A.ACCEPT, "2": _A.HEAR, "3": _A.RECORD_AGAIN, "4": _A.URGENT, "#": _A.ACCEPT}
        ),
        Context.CLOSING: MappingProxyType({"#": _A.SKIP}),
    }
)
"""A caller who leaves a message."""

RETRIEVAL: KeyMap = MappingProxyType(
    {
        Context.MAIN: MappingProxyType(
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
        ),
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
        Context.ADVANCED: MappingProxyType({"3": _A.ENVELOPE, "*": _A.CANCEL}),
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
        Context.RECORDING: MappingProxyType({"#": _A.FINISH}),
        Context.REVIEW: MappingProxyType(
            {"1": _A.ACCEPT, "2": _A.HEAR, "3": _A.RECORD_AGAIN, "*": _A.CANCEL}
        ),
        Context.FORWARD: MappingProxyType({"1": _A.INTRODUCE, "2": _A.SEND, "*": _A.CANCEL}),
    }
)
"""An owner who listens to messages."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the telephone: a mailbox, or the new or saved part of one."""

    mailbox: str
    heard: bool | None
    """Only those that have (True) or have not (False) been heard; None: all."""
    word: str
    """The prompt that names it."""


NEW = Folder(INBOX, heard=False, word="vm-INBOX")
SAVED = Folder(INBOX, heard=True, word="vm-Old")

FOLDERS: Mapping[str, Folder] = MappingProxyType(
    {
        "0": NEW,
        "1": SAVED,
        "2": Folder("Work", heard=None, word="vm-Work"),
        "3": Folder("Family", heard=None, word="vm-Family"),
        "4": Folder("Friends", heard=None, word="vm-Friends"),
    }
)
"""By the key that picks it; mailboxes beside INBOX are made when something is first saved there."""

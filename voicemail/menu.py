"""The vocabulary of key maps: where keys mean something, and what a key can ask for there.

A context is a place in a call; an action is what a key asks for. A key that a context does not name
asks for nothing. The maps themselves are in `voicemail.keymaps`.
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
    """Before a message has been heard."""
    MESSAGE = "message"
    """After a message: what is to be done with it."""
    ENVELOPE = "envelope"
    """When and from whom it came is being said."""
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
    OPERATOR = "operator"
    """Be connected with the operator (only where one is configured)."""
    ACCEPT = "accept"
    HEAR = "hear"
    RECORD_AGAIN = "record-again"
    URGENT = "urgent"
    CANCEL = "cancel"

    LISTEN = "listen"
    """To the first message of the present folder."""
    HEAR_NEW = "hear-new"
    HEAR_SAVED = "hear-saved"
    CHANGE_FOLDER = "change-folder"
    ADVANCED = "advanced"
    PREVIOUS = "previous"
    REPEAT = "repeat"
    NEXT = "next"
    DELETE = "delete"
    """Delete, or undelete what is deleted."""
    FORWARD = "forward"
    SAVE = "save"
    """Into a folder of choice."""
    KEEP = "keep"
    """Among the saved ones, without a question; then the next."""
    MAIN_MENU = "main-menu"
    OPTIONS = "options"
    HELP = "help"
    EXIT = "exit"

    PAUSE = "pause"
    REWIND = "rewind"
    SKIP_AHEAD = "skip-ahead"
    RESTART = "restart"

    ENVELOPE = "envelope"
    SEND_OUTSIDE = "send-outside"
    """The new faxes and invoices, to the owner's confirmed mail addresses."""
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

_MENU = frozenset(
    {
        Action.LISTEN,
        Action.HEAR_NEW,
        Action.HEAR_SAVED,
        Action.CHANGE_FOLDER,
        Action.ADVANCED,
        Action.PREVIOUS,
        Action.REPEAT,
        Action.NEXT,
        Action.DELETE,
        Action.FORWARD,
        Action.SAVE,
        Action.KEEP,
        Action.OPTIONS,
        Action.MAIN_MENU,
        Action.HELP,
        Action.EXIT,
    }
)
_RECORDED = frozenset({Action.ACCEPT, Action.HEAR, Action.RECORD_AGAIN})

ALLOWED: Mapping[Context, frozenset[Action]] = MappingProxyType(
    {
        Context.GREETING: frozenset({Action.SKIP, Action.LOG_IN, Action.OPERATOR}),
        Context.RECORDING: frozenset({Action.FINISH, Action.OPERATOR}),
        Context.CLOSING: frozenset({Action.SKIP}),
        Context.CALLER_REVIEW: _RECORDED | {Action.URGENT, Action.OPERATOR},
        Context.MAIN: _MENU,
        Context.MESSAGE: _MENU,
        Context.ENVELOPE: frozenset({Action.SKIP}),
        Context.PLAYING: _MENU
        | {Action.PAUSE, Action.REWIND, Action.SKIP_AHEAD, Action.RESTART, Action.SKIP},
        Context.ADVANCED: frozenset({Action.ENVELOPE, Action.SEND_OUTSIDE, Action.CANCEL}),
        Context.FOLDERS: frozenset({Action.PICK, Action.CANCEL}),
        Context.OPTIONS: frozenset(
            {
                Action.UNAVAILABLE,
                Action.BUSY,
                Action.NAME,
                Action.TEMPORARY,
                Action.PIN,
                Action.CANCEL,
            }
        ),
        Context.TEMPORARY: frozenset({Action.RECORD_AGAIN, Action.ERASE, Action.CANCEL}),
        Context.REVIEW: _RECORDED | {Action.CANCEL},
        Context.FORWARD: frozenset({Action.INTRODUCE, Action.SEND, Action.CANCEL}),
    }
)
"""What keys may ask for in each place; the dialogues answer all of it, whatever the map."""

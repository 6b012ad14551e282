"""Which key does what, as data: another map can be chosen without touching the dialogue.

A context is a place in a call where keys mean something; an action is what a key asks for there.
A key that a context does not name is ignored. The map is Asterisk's (`app_voicemail`): the recorded
prompts speak its keys ("press the pound key").
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Context(StrEnum):
    """Where in a call a key was pressed."""

    GREETING = "greeting"
    RECORDING = "recording"
    CLOSING = "closing"
    """The last words before we hang up."""


class Action(StrEnum):
    """What a key asks for."""

    SKIP = "skip"
    """Go on without hearing the rest."""
    FINISH = "finish"
    """The message is complete."""


KeyMap = Mapping[Context, Mapping[str, Action]]

DEPOSIT: KeyMap = MappingProxyType(
    {
        Context.GREETING: MappingProxyType({"#": Action.SKIP}),
        Context.RECORDING: MappingProxyType({"#": Action.FINISH}),
        Context.CLOSING: MappingProxyType({"#": Action.SKIP}),
    }
)
"""A caller who leaves a message."""

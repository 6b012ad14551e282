"""What the menus say of their keys: the recorded sentence where the map has its keys, else composed.

The packs' sentences speak Asterisk's keys ("press seven to delete this message"). Under another map
each thing that can be done is said in parts: what it is, "press", the key. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from voicemail.events import Words
from voicemail.menu import Action, Context, KeyMap


@dataclass(frozen=True, slots=True)
class Sentence:
    """A prompt that speaks keys.

    `keys`: those it speaks, and what for; without any it is never recorded, always composed.
    `phrase`: names the thing in place of the action's own phrase. `more`: so many words after it
    belong to it.
    """

    keys: Mapping[str, Action]
    actions: tuple[Action, ...] = ()
    phrase: str = ""
    more: int = 0

    @property
    def offered(self) -> tuple[Action, ...]:
        """What it offers."""
        return self.actions or tuple(self.keys.values())


def _of(keys: dict[str, Action], *, phrase: str = "", more: int = 0) -> Sentence:
    return Sentence(MappingProxyType(keys), phrase=phrase, more=more)


def _composed(action: Action) -> Sentence:
    return Sentence(MappingProxyType({}), actions=(action,))


_A = Action
OFFER_NEW, OFFER_SAVED = "um-offer-new", "um-offer-saved"
OFFER_KEEP, OFFER_MAIN = "um-offer-keep", "um-offer-main"
"""Said only where the map has a key for it: no pack has such a sentence."""

_MENU = {
    "vm-onefor": _of({"1": _A.LISTEN}, more=2),
    "vm-onefor-full": _of({"1": _A.LISTEN}, more=2),
    "vm-opts": _of({"2": _A.CHANGE_FOLDER, "0": _A.OPTIONS}),
    "vm-opts-full": _of({"2": _A.CHANGE_FOLDER, "0": _A.OPTIONS}),
    "vm-prev": _of({"4": _A.PREVIOUS}),
    "vm-advopts": _of({"3": _A.ADVANCED}),
    "vm-repeat": _of({"5": _A.REPEAT}),
    "vm-next": _of({"6": _A.NEXT}),
    "vm-delete": _of({"7": _A.DELETE}),
    "vm-undelete": _of({"7": _A.DELETE}, phrase="um-to-undelete"),
    "vm-toforward": _of({"8": _A.FORWARD}),
    "vm-savemessage": _of({"9": _A.SAVE}),
    "vm-helpexit": _of({"*": _A.HELP, "#": _A.EXIT}),
    OFFER_NEW: _composed(_A.HEAR_NEW),
    OFFER_SAVED: _composed(_A.HEAR_SAVED),
    OFFER_KEEP: _composed(_A.KEEP),
    OFFER_MAIN: _composed(_A.MAIN_MENU),
}
_REVIEW = {"1": _A.ACCEPT, "2": _A.HEAR, "3": _A.RECORD_AGAIN}

SENTENCES: Mapping[Context, Mapping[str, Sentence]] = MappingProxyType(
    {
        Context.MAIN: _MENU,
        Context.MESSAGE: _MENU,
        Context.ADVANCED: {
            "vm-tohearenv": _of({"3": _A.ENVELOPE}),
            "um-send-outside": _of({"6": _A.SEND_OUTSIDE}),
            "vm-starmain": _of({"*": _A.CANCEL}, phrase="um-to-main-menu"),
        },
        Context.FOLDERS: {"vm-tocancel": _of({"#": _A.CANCEL})},
        Context.OPTIONS: {
            "vm-options": _of(
                {
                    "1": _A.UNAVAILABLE,
                    "2": _A.BUSY,
                    "3": _A.NAME,
                    "4": _A.TEMPORARY,
                    "5": _A.PIN,
                    "*": _A.CANCEL,
                }
            )
        },
        Context.TEMPORARY: {
            "vm-tempgreeting2": _of({"1": _A.RECORD_AGAIN, "2": _A.ERASE, "*": _A.CANCEL})
        },
        Context.REVIEW: {
            "vm-review": _of(_REVIEW),
            "vm-tocancelmsg": _of({"*": _A.CANCEL}),
        },
        Context.CALLER_REVIEW: {
            "vm-review": _of(_REVIEW),
            "vm-review-urgent": _of({"4": _A.URGENT}),
            "vm-reachoper": _of({"0": _A.OPERATOR}),
            "vm-review-nonurgent": _of({"4": _A.URGENT}, phrase="um-to-unmark"),
        },
        Context.FORWARD: {"vm-forwardoptions": _of({"1": _A.INTRODUCE, "2": _A.SEND})},
    }
)
"""By the place where it is said."""

_NAMES_OF_KEYS = MappingProxyType({"*": "digits/star", "#": "digits/pound"})


def in_keys(words: Words, context: Context, keys: KeyMap) -> Words:
    """`words` as they are true under `keys`: what has no key there is not offered."""
    said: Words = ()
    rest = words
    while rest:
        word, rest = rest[0], rest[1:]
        sentence = SENTENCES.get(context, {}).get(word) if isinstance(word, str) else None
        if sentence is None:
            said += (word,)
            continue
        more, rest = rest[: sentence.more], rest[sentence.more :]
        if _is_true(sentence, context, keys):
            said += (word, *more)
        else:
            said += _parts(sentence, context, keys, more)
    return said


def composed_prompts(keys: KeyMap) -> set[str]:
    """The names of all phrases that menus under `keys` need beside the packs."""
    return {
        phrase
        for context, sentences in SENTENCES.items()
        for sentence in sentences.values()
        if not _is_true(sentence, context, keys)
        for phrase, _ in _offers(sentence, context, keys)
    }


def _is_true(sentence: Sentence, context: Context, keys: KeyMap) -> bool:
    """Whether each key that it speaks is that key."""
    there = keys.get(context, {})
    return bool(sentence.keys) and all(there.get(k) is a for k, a in sentence.keys.items())


def _parts(sentence: Sentence, context: Context, keys: KeyMap, more: Words) -> Words:
    said: Words = ()
    for phrase, key in _offers(sentence, context, keys):
        said += (phrase, *more, "vm-press", _NAMES_OF_KEYS.get(key, f"digits/{key}"))
    return said


def _offers(sentence: Sentence, context: Context, keys: KeyMap) -> list[tuple[str, str]]:
    """Phrase and key of each thing of `sentence` that has a key under `keys`."""
    by_action = {action: key for key, action in reversed(list(keys.get(context, {}).items()))}
    return [
        (sentence.phrase or f"um-to-{action}", by_action[action])
        for action in sentence.offered
        if action in by_action
    ]

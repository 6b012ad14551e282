"""The open mailbox: how much there is, the main menu, and what each of its keys does.

Laws:
- Every action of the map's MAIN context has its function in ACTIONS.
- What goes wrong with one action is said, and the menu goes on.
- Nothing here can place a call.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from um.core.account import GreetingKind
from um.core.errors import ReadOnlyError, UMError
from voicemail import spoken
from voicemail.events import Clip, Words
from voicemail.menu import FOLDERS, NEW, SAVED, Action, Context, Folder
from voicemail.requests import (
    Count,
    Counts,
    Discard,
    Fetch,
    Listing,
    Look,
    Opened,
    Prepare,
    Recorded,
    Restore,
    Save,
)
from voicemail.scripts.common import LeaveError, choose, sorry
from voicemail.scripts.forwarding import forward
from voicemail.scripts.pin import set_pin
from voicemail.scripts.recording import record_greeting, temporary_greeting
from voicemail.scripts.sitting import Sitting, change_folder, place, refresh
from voicemail.steps import Choice, Do, Hear, Say, Script

Next = Action | None
"""What is to be done after an action: that of a key which ended a message, or the menu."""

_GREETINGS = MappingProxyType(
    {
        Action.UNAVAILABLE: GreetingKind.UNAVAILABLE,
        Action.BUSY: GreetingKind.BUSY,
        Action.NAME: GreetingKind.NAME,
        Action.TEMPORARY: GreetingKind.TEMPORARY,
    }
)


def mailbox(opened: Opened) -> Script[None]:
    """Listen, keep, delete, until LeaveError."""
    found: Counts = yield Do(Count())
    folder = NEW if found.new or not found.saved else SAVED
    listing: Listing = yield Do(Look(folder))
    sitting = Sitting(opened, listing.today, folder)
    sitting.merge(listing)
    yield Do(Prepare(tuple(sitting.items[:1])))
    yield Say(spoken.counts(found, opened.language))
    while True:
        choice = yield from choose(Context.MAIN, main_words(sitting))
        action: Next = choice.action
        while action is not None:
            action = yield from act(sitting, action)


def act(sitting: Sitting, action: Action) -> Script[Next]:
    """Do what a key asks for."""
    try:
        return (yield from ACTIONS[action](sitting))
    except UMError as error:
        yield Say(sorry(error))
        return None


def main_words(sitting: Sitting) -> Words:
    """The main menu: only what can be done now is offered."""
    if sitting.current is None:
        first = ("vm-onefor", *sitting.name()) if sitting.items else ()
        return (*first, "vm-opts", "vm-helpexit")
    previous = ("vm-prev",) if sitting.has_previous else ()
    following = ("vm-next",) if sitting.has_next else ()
    delete = "vm-undelete" if sitting.current.deleted else "vm-delete"
    rest = ("vm-toforward", "vm-savemessage", "vm-helpexit")
    return (*previous, "vm-advopts", "vm-repeat", *following, delete, *rest)


def play(sitting: Sitting) -> Script[Next]:
    """The current message with its envelope; the key that ended it goes on as a menu key."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    yield Do(Prepare(tuple(sitting.items[sitting.index : sitting.index + 2])))
    words = envelope_words(sitting)
    yield Say(words, swallow="1#")
    sound: Clip = yield Do(Fetch(item))
    if not sound.samples:
        return None
    choice: Choice | None = yield Hear(sound)
    return choice.action if choice else None


def envelope_words(sitting: Sitting) -> Words:
    """Which message it is, when it came and from whom."""
    item = sitting.current
    if item is None:
        return ()
    urgent = ("vm-Urgent",) if item.urgent else ()
    language = sitting.opened.language
    if sitting.index == 0:
        which: Words = ("vm-first", *urgent, "vm-message")
    elif not sitting.has_next:
        which = ("vm-last", *urgent, "vm-message")
    else:
        which = (*urgent, "vm-message", *spoken.number(sitting.index + 1, language))
    return (*which, *spoken.envelope(item, sitting.today, language))


# ---- the keys of the main menu


def listen(sitting: Sitting) -> Script[Next]:
    """The first message of the folder."""
    yield from refresh(sitting)
    sitting.index = 0
    if not sitting.items:
        yield Say(("vm-youhave", "vm-no", "vm-messages"))
        return None
    return (yield from play(sitting))


def previous(sitting: Sitting) -> Script[Next]:
    """The message before."""
    if not sitting.has_previous:
        yield Say(("vm-nomore",))
        return None
    sitting.index -= 1
    return (yield from play(sitting))


def repeat(sitting: Sitting) -> Script[Next]:
    """The same message again."""
    return (yield from play(sitting))


def following(sitting: Sitting) -> Script[Next]:
    """The message after; after the last new one come the saved ones."""
    yield from refresh(sitting)
    if sitting.has_next:
        sitting.index += 1
        return (yield from play(sitting))
    if sitting.folder == NEW:
        before = {place(item) for item in sitting.items}
        saved: Listing = yield Do(Look(SAVED))
        if any(each.heard and place(each) not in before for each in saved.items):
            yield from change_folder(sitting, SAVED)
            sitting.items = [each for each in sitting.items if place(each) not in before]
            yield Say(sitting.name())
            sitting.index = 0
            return (yield from play(sitting))
    yield Say(("vm-nomore",))
    return None


def delete(sitting: Sitting) -> Script[Next]:
    """Into Trash, or back from there."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    _check_writable(sitting)
    if item.deleted:
        sitting.replace_current((yield Do(Restore(item, sitting.folder))))
        yield Say(("vm-undeleted",))
    else:
        sitting.replace_current((yield Do(Discard(item))))
        yield Say(("vm-deleted",))
    return None


def save(sitting: Sitting) -> Script[Next]:
    """Into a folder of choice."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    _check_writable(sitting)
    folder = yield from pick_folder(("vm-savefolder",))
    if folder is not None:
        sitting.replace_current((yield Do(Save(item, folder))))
        number = spoken.number(sitting.index + 1, sitting.opened.language)
        yield Say(("vm-message", *number, "vm-savedto", folder.word, "vm-messages"))
    return None


def send_on(sitting: Sitting) -> Script[Next]:
    """To another mailbox."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    _check_writable(sitting)
    yield from forward(item)
    return None


def folders(sitting: Sitting) -> Script[Next]:
    """Listen to another folder."""
    folder = yield from pick_folder(("vm-changeto",))
    if folder is not None:
        yield from change_folder(sitting, folder)
        amount = spoken.number(len(sitting.items), sitting.opened.language)
        what = "vm-message" if len(sitting.items) == 1 else "vm-messages"
        yield Say(("vm-youhave", *(amount if sitting.items else ("vm-no",)), folder.word, what))
    return None


def advanced(sitting: Sitting) -> Script[Next]:
    """The envelope, whole."""
    choice = yield from choose(Context.ADVANCED, ("vm-tohearenv", "vm-starmain"))
    if choice.action is Action.ENVELOPE:
        item = sitting.current
        language = sitting.opened.language
        known = spoken.envelope(item, sitting.today, language, whole=True) if item else ()
        yield Say(known or ("vm-nomore",))
    return None


def options(sitting: Sitting) -> Script[Next]:
    """Greetings and PIN."""
    _check_writable(sitting)
    while True:
        recorded: set[GreetingKind] = yield Do(Recorded())
        temporary = GreetingKind.TEMPORARY in recorded
        active = ("vm-tmpexists",) if temporary else ()
        choice = yield from choose(Context.OPTIONS, (*active, "vm-options"))
        match choice.action:
            case Action.PIN:
                yield from set_pin(sitting.opened.numbers)
            case Action.TEMPORARY if temporary:
                yield from temporary_greeting()
            case Action.CANCEL:
                return None
            case greeting:
                yield from record_greeting(_GREETINGS[greeting])


def help_(sitting: Sitting) -> Script[Next]:
    """The long form of the first menu."""
    yield Say(("vm-onefor-full", *sitting.name(), "vm-opts-full"))
    return None


def leave(_: Sitting) -> Script[Next]:
    """Goodbye."""
    yield Say(())
    raise LeaveError


def pick_folder(question: Words) -> Script[Folder | None]:
    """One of FOLDERS, or None."""
    words = list(question)
    for key, folder in FOLDERS.items():
        words += ["vm-press", f"digits/{key}", "vm-for", folder.word, "vm-messages"]
    choice = yield from choose(Context.FOLDERS, (*words, "vm-tocancel"))
    return FOLDERS[choice.key] if choice.action is Action.PICK else None


def _check_writable(sitting: Sitting) -> None:
    if sitting.opened.read_only:
        raise ReadOnlyError


ACTIONS: Mapping[Action, Callable[[Sitting], Script[Next]]] = MappingProxyType(
    {
        Action.LISTEN: listen,
        Action.CHANGE_FOLDER: folders,
        Action.ADVANCED: advanced,
        Action.PREVIOUS: previous,
        Action.REPEAT: repeat,
        Action.NEXT: following,
        Action.DELETE: delete,
        Action.FORWARD: send_on,
        Action.SAVE: save,
        Action.OPTIONS: options,
        Action.HELP: help_,
        Action.EXIT: leave,
    }
)

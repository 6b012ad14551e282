"""What can be done with messages: listen, go on and back, delete, save, send on. One key each."""

from voicemail import spoken
from voicemail.events import Clip, Words
from voicemail.menu import FOLDERS, NEW, SAVED, Action, Context, Folder
from voicemail.requests import Discard, Fetch, Listing, Look, Prepare, Restore, Save
from voicemail.scripts.common import choose
from voicemail.scripts.forwarding import forward, send_outside
from voicemail.scripts.sitting import Sitting, change_folder, check_writable, place, refresh
from voicemail.steps import Choice, Do, Hear, Say, Script

Next = Action | None
"""What is to be done after an action: that of a key which ended a message, or the menu."""


def play(sitting: Sitting) -> Script[Next]:
    """The current message with its envelope; the key that ended it goes on as a menu key."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    yield Do(Prepare(tuple(sitting.items[sitting.index : sitting.index + 2])))
    words = envelope_words(sitting)
    yield Say(words, context=Context.ENVELOPE)
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
    check_writable(sitting)
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
    check_writable(sitting)
    folder = yield from pick_folder(("vm-savefolder",))
    if folder is not None:
        sitting.replace_current((yield Do(Save(item, folder))))
        number = spoken.number(sitting.index + 1, sitting.opened.language)
        yield Say(("vm-message", *number, "vm-savedto", folder.word, "vm-messages"))
    return None


def hear_new(sitting: Sitting) -> Script[Next]:
    """The new messages, from the first."""
    return (yield from _hear(sitting, NEW))


def hear_saved(sitting: Sitting) -> Script[Next]:
    """The saved messages, from the first."""
    return (yield from _hear(sitting, SAVED))


def _hear(sitting: Sitting, folder: Folder) -> Script[Next]:
    yield from change_folder(sitting, folder)
    if not sitting.items:
        yield Say(("vm-youhave", "vm-no", *sitting.name()))
        return None
    sitting.index = 0
    return (yield from play(sitting))


def keep(sitting: Sitting) -> Script[Next]:
    """Among the saved ones, and on to the next."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    check_writable(sitting)
    sitting.replace_current((yield Do(Save(item, SAVED))))
    yield Say(("vm-msgsaved",))
    return (yield from following(sitting))


def send_on(sitting: Sitting) -> Script[Next]:
    """To another mailbox."""
    item = sitting.current
    if item is None:
        yield Say(("vm-nomore",))
        return None
    check_writable(sitting)
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
    """The envelope, whole; or what cannot be heard, by mail."""
    outside = ("um-send-outside",) if sitting.documents else ()
    choice = yield from choose(Context.ADVANCED, ("vm-tohearenv", *outside, "vm-starmain"))
    if choice.action is Action.SEND_OUTSIDE:
        check_writable(sitting)
        yield from send_outside()
    if choice.action is Action.ENVELOPE:
        item = sitting.current
        language = sitting.opened.language
        known = spoken.envelope(item, sitting.today, language, whole=True) if item else ()
        yield Say(known or ("vm-nomore",))
    return None


def pick_folder(question: Words) -> Script[Folder | None]:
    """One of FOLDERS, or None."""
    words = list(question)
    for key, folder in FOLDERS.items():
        words += ["vm-press", f"digits/{key}", "vm-for", folder.word, "vm-messages"]
    choice = yield from choose(Context.FOLDERS, (*words, "vm-tocancel"))
    return FOLDERS[choice.key] if choice.action is Action.PICK else None

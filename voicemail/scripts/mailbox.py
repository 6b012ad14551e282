"""The open mailbox: how much there is, the menus before and after a message, and their keys.

Laws:
- Every action that MAIN, MESSAGE or PLAYING may ask for has its function in ACTIONS.
- What goes wrong with one action is said, and the menu goes on.
- Nothing here can place a call.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from um.core.errors import UMError
from voicemail import spoken
from voicemail.events import Words
from voicemail.menu import NEW, SAVED, Action, Context
from voicemail.requests import Count, Counts, Listing, Look, Opened, Prepare
from voicemail.scripts import messages
from voicemail.scripts.common import LeaveError, choose, sorry
from voicemail.scripts.messages import Next
from voicemail.scripts.options import options
from voicemail.scripts.sitting import Sitting
from voicemail.steps import Do, Say, Script
from voicemail.wording import OFFER_KEEP, OFFER_MAIN, OFFER_NEW, OFFER_SAVED


def mailbox(opened: Opened) -> Script[None]:
    """Listen, keep, delete, until LeaveError."""
    found: Counts = yield Do(Count())
    folder = NEW if found.new or not found.saved else SAVED
    listing: Listing = yield Do(Look(folder))
    documents = found.faxes + found.invoices
    sitting = Sitting(opened, listing.today, folder, documents=documents)
    sitting.merge(listing)
    yield Do(Prepare(tuple(sitting.items[:1])))
    yield Say(spoken.counts(found, opened.language))
    while True:
        context = Context.MESSAGE if sitting.current else Context.MAIN
        choice = yield from choose(context, menu_words(sitting))
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


def menu_words(sitting: Sitting) -> Words:
    """The menu before or after a message: only what can be done now is offered."""
    if sitting.current is None:
        first = ("vm-onefor", *sitting.name()) if sitting.items else ()
        more = ("vm-advopts",) if sitting.documents else ()
        return (*first, OFFER_NEW, OFFER_SAVED, *more, "vm-opts", "vm-helpexit")
    previous = ("vm-prev",) if sitting.has_previous else ()
    following = ("vm-next",) if sitting.has_next else ()
    delete = "vm-undelete" if sitting.current.deleted else "vm-delete"
    rest = ("vm-toforward", "vm-savemessage", OFFER_KEEP, OFFER_MAIN, "vm-helpexit")
    return (*previous, "vm-advopts", "vm-repeat", *following, delete, *rest)


def change_options(sitting: Sitting) -> Script[Next]:
    """Greetings and PIN."""
    yield from options(sitting)
    return None


def main_menu(sitting: Sitting) -> Script[Next]:
    """Away from the messages."""
    sitting.index = -1
    yield Say(())
    return None


def help_(sitting: Sitting) -> Script[Next]:
    """The long form of the first menu."""
    words = ("vm-onefor-full", *sitting.name(), OFFER_NEW, OFFER_SAVED, "vm-opts-full")
    yield Say(words, context=Context.MAIN)
    return None


def leave(_: Sitting) -> Script[Next]:
    """Goodbye."""
    yield Say(())
    raise LeaveError


ACTIONS: Mapping[Action, Callable[[Sitting], Script[Next]]] = MappingProxyType(
    {
        Action.LISTEN: messages.listen,
        Action.HEAR_NEW: messages.hear_new,
        Action.HEAR_SAVED: messages.hear_saved,
        Action.CHANGE_FOLDER: messages.folders,
        Action.ADVANCED: messages.advanced,
        Action.PREVIOUS: messages.previous,
        Action.REPEAT: messages.repeat,
        Action.NEXT: messages.following,
        Action.DELETE: messages.delete,
        Action.FORWARD: messages.send_on,
        Action.SAVE: messages.save,
        Action.KEEP: messages.keep,
        Action.OPTIONS: change_options,
        Action.MAIN_MENU: main_menu,
        Action.HELP: help_,
        Action.EXIT: leave,
    }
)

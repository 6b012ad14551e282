"""Where an owner is in the messages: the folder, its list and the place in it.

Laws:
- The list follows the mailbox: `refresh` takes in what came and drops what went by other doors
  (IMAP, portal), but keeps what this call has heard or deleted, so that no number jumps.
"""

from dataclasses import dataclass, field
from datetime import date

from um.core.errors import ReadOnlyError
from voicemail.events import Words
from voicemail.menu import NEW, Folder
from voicemail.requests import Item, Listing, Look, Opened
from voicemail.steps import Do, Script


@dataclass(slots=True)
class Sitting:
    """One call's place. `index` -1: before the first message."""

    opened: Opened
    today: date
    folder: Folder = NEW
    items: list[Item] = field(default_factory=list)
    index: int = -1
    known: set[tuple[str, int]] = field(default_factory=set)
    """Places that were seen in this folder already."""
    documents: int = 0
    """Faxes and invoices that were new when the mailbox was opened."""

    @property
    def current(self) -> Item | None:
        """The message that keys speak of."""
        return self.items[self.index] if 0 <= self.index < len(self.items) else None

    @property
    def has_previous(self) -> bool:
        return self.index > 0

    @property
    def has_next(self) -> bool:
        return self.index + 1 < len(self.items)

    def replace_current(self, item: Item) -> None:
        """The message lies somewhere else now, or is seen otherwise."""
        self.items[self.index] = item
        self.known.add(place(item))

    def name(self) -> Words:
        """The present folder's messages, as the menu names them."""
        return (self.folder.word, "vm-messages")

    def merge(self, found: Listing) -> None:
        """Take in the mailbox as it is now."""
        self.today = found.today
        there = {place(item): item for item in found.items}
        current = self.current
        kept = [item for item in self.items if item.deleted or place(item) in there]
        self.items = [there.get(place(item), item) for item in kept]
        for item in found.items:
            fits = self.folder.heard is None or item.heard is self.folder.heard
            if fits and place(item) not in self.known:
                self.known.add(place(item))
                self.items.append(item)
        self._find_again(current)

    def _find_again(self, current: Item | None) -> None:
        """Keep the place; the message after one that is gone is the next."""
        places = [place(item) for item in self.items]
        if current is not None and place(current) in places:
            self.index = places.index(place(current))
        elif current is not None:
            self.index = min(self.index, len(self.items)) - 1


def place(item: Item) -> tuple[str, int]:
    """What tells one message from another."""
    return (item.mailbox_id, item.uid)


def refresh(sitting: Sitting) -> Script[None]:
    """Follow the mailbox."""
    found: Listing = yield Do(Look(sitting.folder))
    sitting.merge(found)


def change_folder(sitting: Sitting, folder: Folder) -> Script[None]:
    """Begin before the first message of another folder."""
    sitting.folder, sitting.items, sitting.index = folder, [], -1
    sitting.known = set()
    yield from refresh(sitting)


def check_writable(sitting: Sitting) -> None:
    """Raise ReadOnlyError if the mailbox may only be listened to."""
    if sitting.opened.read_only:
        raise ReadOnlyError

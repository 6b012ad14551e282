"""What a script asks of the house, and what it gets: values only. `voicemail.desk` carries it out.

Only `Knock` and `Enter` name a mailbox; all others mean the one that was opened, so that a script
cannot reach another. Each may end in any UMError; those named here are what a script expects.
"""

from dataclasses import dataclass
from datetime import date, datetime

from um.core.account import GreetingKind
from um.core.ids import E164, ContentId, MailboxId, Uid
from voicemail.events import Clip
from voicemail.menu import Folder


@dataclass(frozen=True, slots=True)
class Knock:
    """Open a mailbox by its PIN -> Opened. `mailbox` "" is that of the own line.

    AuthenticationError (no such mailbox, no PIN or a wrong one), LockedOutError, AccountClosedError.
    """

    mailbox: str
    pin: str


@dataclass(frozen=True, slots=True)
class Enter:
    """Open the own line's mailbox without a PIN -> Opened.

    AuthenticationError unless it has none yet, or its owner has switched the question off.
    """


@dataclass(frozen=True, slots=True)
class Opened:
    """An open mailbox."""

    read_only: bool = False
    notice: tuple[str | Clip, ...] = ()
    """What is to be said first (a suspension and its reason)."""
    numbers: tuple[E164, ...] = ()
    """No ending of one may be the PIN."""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class SetPin:
    """Set the PIN -> None. InvalidError if it is too easy."""

    pin: str


@dataclass(frozen=True, slots=True)
class Item:
    """A voice message of the open mailbox, and where it lies."""

    mailbox_id: MailboxId
    uid: Uid
    content_id: ContentId
    heard: bool
    urgent: bool
    at: datetime
    """When it came, on the owner's clock."""
    caller_number: str
    """Empty if withheld."""
    seconds: int
    deleted: bool = False
    """It lies in Trash by this call's doing."""


@dataclass(frozen=True, slots=True)
class Count:
    """How much is there -> Counts."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The inbox in numbers."""

    new: int = 0
    saved: int = 0
    urgent: int = 0
    """Of the new ones."""
    faxes: int = 0
    """Not seen yet, as are the invoices."""
    invoices: int = 0
    percent_full: int = 0
    """Of the mailbox's room; 0 while that is no news."""


@dataclass(frozen=True, slots=True)
class Look:
    """The voice messages of a folder's mailbox -> Listing."""

    folder: Folder


@dataclass(frozen=True, slots=True)
class Listing:
    """All voice messages of one mailbox, oldest first, heard or not."""

    items: tuple[Item, ...]
    today: date
    """On the owner's calendar."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Begin to decode these messages -> None, at once."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    r"""The sound of a message, which counts as heard (\Seen) from now on -> Clip, maybe empty."""

    item: Item


@dataclass(frozen=True, slots=True)
class Discard:
    """Into Trash -> Item there. NotFoundError if it is gone."""

    item: Item


@dataclass(frozen=True, slots=True)
class Restore:
    """Out of Trash, back into the folder -> Item there. NotFoundError if it is gone."""

    item: Item
    folder: Folder


@dataclass(frozen=True, slots=True)
class Save:
    r"""Into a folder; `\Seen` follows it -> Item there. NotFoundError if it is gone."""

    item: Item
    folder: Folder


@dataclass(frozen=True, slots=True)
class Seek:
    """Whether a mailbox of this house has that number -> bool."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Forward:
    """A copy to another mailbox, the introduction before it -> None. QuotaExceededError (theirs)."""

    item: Item
    mailbox: str
    introduction: bytes


@dataclass(frozen=True, slots=True)
class SendOutside:
    """The inbox's new faxes and invoices to the owner's confirmed mail addresses -> how many.

    NotFoundError if there is no such address.
    """


@dataclass(frozen=True, slots=True)
class Recorded:
    """Which greetings there are -> set of GreetingKind."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a greeting in place of an earlier one -> None."""

    kind: GreetingKind
    samples: bytes


@dataclass(frozen=True, slots=True)
class Erase:
    """Remove a greeting -> None."""

    kind: GreetingKind


Request = (
    Knock
    | Enter
    | SetPin
    | Count
    | Look
    | Prepare
    | Fetch
    | Discard
    | Restore
    | Save
    | Seek
    | Forward
    | SendOutside
    | Recorded
    | Keep
    | Erase
)

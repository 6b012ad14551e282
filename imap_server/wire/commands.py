"""The commands as values: what a client asked, with its RFC section, free of the wire's spelling.

Mailbox names are Unicode; INBOX is in capitals however it was written.
"""

from dataclasses import dataclass, field

from imap_server.wire.fetch import FetchItem
from imap_server.wire.search import Result, SearchKey
from imap_server.wire.sequence import SequenceSet
from imap_server.wire.sort import Algorithm, SortKey
from um.core.message import FlagOperation


@dataclass(frozen=True, slots=True)
class Capability:
    """RFC 3501 §6.1.1."""


@dataclass(frozen=True, slots=True)
class Noop:
    """RFC 3501 §6.1.2."""


@dataclass(frozen=True, slots=True)
class Logout:
    """RFC 3501 §6.1.3."""


@dataclass(frozen=True, slots=True)
class Id:
    """RFC 2971 §3.1. What the client says of itself, names in lower case."""

    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Enable:
    """RFC 5161 §3.1; names in capitals, known or not."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartTls:
    """RFC 3501 §6.2.1."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """RFC 3501 §6.2.2; `initial` is RFC 4959's initial response, still in base64."""

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Login:
    """RFC 3501 §6.2.3. Never logged."""

    name: bytes
    password: bytes

    def __repr__(self) -> str:
        return "Login(…)"


@dataclass(frozen=True, slots=True)
class Known:
    """What a client that returns knows of a mailbox (RFC 7162 §3.2.5): QRESYNC's arguments."""

    uidvalidity: int
    modseq: int
    uids: SequenceSet | None
    """It has no others; None: it may have any."""


@dataclass(frozen=True, slots=True)
class Compress:
    """RFC 4978 §3; the mechanism in capitals."""

    mechanism: str


@dataclass(frozen=True, slots=True)
class Select:
    """RFC 3501 §6.3.1, and §6.3.2 EXAMINE; the parameters are RFC 7162's."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    known: Known | None = None
    written: str = field(default="", compare=False)
    """The name as the client wrote it."""


@dataclass(frozen=True, slots=True)
class Create:
    """RFC 3501 §6.3.3, RFC 6154 §3. A trailing delimiter, which only declares intent, is gone."""

    mailbox: str
    uses: tuple[str, ...] = ()
    """Special uses, as written."""
    written: str = field(default="", compare=False)
    """The name as the client wrote it, before it was normalized (RFC 9051 §6.3.4)."""


@dataclass(frozen=True, slots=True)
class Delete:
    """RFC 3501 §6.3.4."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RFC 3501 §6.3.5."""

    mailbox: str
    target: str
    written: str = field(default="", compare=False)
    """The target as the client wrote it (RFC 9051 §6.3.6)."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """RFC 3501 §6.3.6, and §6.3.7 UNSUBSCRIBE with `on` false."""

    mailbox: str
    on: bool


@dataclass(frozen=True, slots=True)
class List:
    """RFC 3501 §6.3.8, RFC 5258 §3, RFC 5819 §2, RFC 6154 §2; options in capitals."""

    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()
    status_items: tuple[str, ...] = ()
    extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    """RFC 3501 §6.3.9."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Status:
    """RFC 3501 §6.3.10; items in capitals."""

    mailbox: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """RFC 3501 §6.3.11; the messages come behind it, one by one (RFC 3502).

    With `replaced`, one message of the selected mailbox, it is RFC 8508's REPLACE.
    """

    mailbox: str
    replaced: SequenceSet | None = None
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Namespace:
    """RFC 2342 §5."""


@dataclass(frozen=True, slots=True)
class GetQuota:
    """RFC 9208 §4.1.1."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """RFC 9208 §4.1.2."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """RFC 5464 §4.2; entries in lower case, the mailbox `""` is the account."""

    mailbox: str
    entries: tuple[str, ...]
    max_octets: int | None = None
    depth: int | None = 0
    """Levels below the entries; None: all."""


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """RFC 5464 §4.3; None removes an entry."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class EventGroup:
    """RFC 5465 §6: mailboxes, and the events to be told of them; no events: none."""

    mailboxes: str
    """SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE, MAILBOXES."""
    names: frozenset[str]
    events: frozenset[str]
    items: tuple[FetchItem, ...] = ()
    """What is told of a new message."""


@dataclass(frozen=True, slots=True)
class Notify:
    """RFC 5465 §3.1; no groups: NONE."""

    groups: tuple[EventGroup, ...]
    status: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """RFC 2177."""


@dataclass(frozen=True, slots=True)
class Check:
    """RFC 3501 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Close:
    """RFC 3501 §6.4.2; with `expunge` false RFC 3691's UNSELECT."""

    expunge: bool


@dataclass(frozen=True, slots=True)
class Expunge:
    """RFC 3501 §6.4.3; with `uids` RFC 4315 §2.1's UID EXPUNGE."""

    uids: SequenceSet | None


@dataclass(frozen=True, slots=True)
class Search:
    """RFC 3501 §6.4.4; with `returns` the answer is RFC 4731's ESEARCH."""

    key: SearchKey
    by_uid: bool
    returns: frozenset[Result] | None = None
    names_charset: bool = False


@dataclass(frozen=True, slots=True)
class UnknownCharset:
    """SEARCH, SORT or THREAD in a charset that is not known, so that its keys cannot be read."""

    returns: frozenset[Result] | None = None
    names_charset: bool = False
    """As of `Search`: SORT and THREAD have to name one."""


@dataclass(frozen=True, slots=True)
class Sort:
    """RFC 5256 §3; with `returns` the answer is RFC 5267's."""

    program: tuple[SortKey, ...]
    key: SearchKey
    by_uid: bool
    returns: frozenset[Result] | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """RFC 5256 §3."""

    algorithm: Algorithm
    key: SearchKey
    by_uid: bool


@dataclass(frozen=True, slots=True)
class Fetch:
    """RFC 3501 §6.4.5."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    by_uid: bool
    changed_since: int | None = None
    """RFC 7162 §3.1.4.1."""
    vanished: bool = False
    """RFC 7162 §3.2.6."""


@dataclass(frozen=True, slots=True)
class Store:
    """RFC 3501 §6.4.6."""

    messages: SequenceSet
    operation: FlagOperation
    flags: tuple[str, ...]
    silent: bool
    by_uid: bool
    unchanged_since: int | None = None
    """RFC 7162 §3.1.3."""


@dataclass(frozen=True, slots=True)
class Copy:
    """RFC 3501 §6.4.7; with `move` RFC 6851."""

    messages: SequenceSet
    mailbox: str
    move: bool
    by_uid: bool


Command = (
    Capability
    | Noop
    | Logout
    | Id
    | Enable
    | StartTls
    | Authenticate
    | Login
    | Compress
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Lsub
    | Status
    | Append
    | Namespace
    | GetQuota
    | GetQuotaRoot
    | GetMetadata
    | SetMetadata
    | Notify
    | Idle
    | Check
    | Close
    | Expunge
    | Search
    | Sort
    | Thread
    | UnknownCharset
    | Fetch
    | Store
    | Copy
)

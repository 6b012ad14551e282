"""The ports: what services need of the outside, as protocols.

Laws:
- `Store.run` and `Store.read` take a synchronous function that gets a `Transaction`. It may run
  more than once, so it has no effect besides the transaction. It runs on a database thread.
- A transaction commits whole or not at all; the memory store rolls back too.
- Every change to a mailbox or account appends to `changes` by itself, in the same transaction;
  the store publishes it on the bus after the commit, and those of other processes as they appear.
- When the database cannot be reached or written, every call raises `UnavailableError`.
- All instants are aware datetimes in UTC.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from um.core.account import (
    Account,
    AccountState,
    AuditRecord,
    CallRecord,
    GreetingKind,
    Number,
    NumberState,
    NumberUse,
    PurgeRecord,
    Totals,
    Usage,
)
from um.core.annotation_ports import Annotations
from um.core.credentials import (
    AppPassword,
    LinkPurpose,
    OneTimeLink,
    OperatorToken,
    WebSession,
)
from um.core.events import Event
from um.core.forward_ports import ForwardAddresses, Outbox
from um.core.ids import (
    E164,
    AccountId,
    BlobKey,
    ContentId,
    CredentialId,
    IngestKey,
    MailboxId,
    ModSeq,
    ReservationId,
    Uid,
)
from um.core.message import (
    Content,
    Copied,
    Entry,
    FlagOperation,
    Mailbox,
    MailboxStatus,
    MessageKind,
    Vanished,
)

T = TypeVar("T")
EventT = TypeVar("EventT", bound=Event)


class Clock(Protocol):
    """The time of day and the time that never jumps."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow."""
        ...


class Accounts(Protocol):
    """Accounts as rows. Names are compared without regard to case."""

    def add(self, account: Account) -> None:
        """Store a new account. Raises AlreadyExistsError if (name, domain) is taken."""
        ...

    def get(self, account_id: AccountId) -> Account | None: ...

    def lock(self, account_id: AccountId) -> Account | None:
        """Like `get`, and hold the row until the transaction ends (quota, life cycle)."""
        ...

    def lock_state(self, account_id: AccountId) -> AccountState | None:
        """Like `lock`, for who asks only whether something may be done."""
        ...

    def by_name(self, name: str, domain: str) -> Account | None: ...

    def every(self) -> list[Account]:
        """All accounts, by name."""
        ...

    def page(self, after: str, limit: int) -> list[Account]:
        """At most `limit` accounts whose names come after `after`, by name and domain."""
        ...

    def totals(self) -> Totals:
        """All accounts together."""
        ...

    def batch(self, after: AccountId | None, limit: int) -> list[Account]:
        """Up to `limit` accounts in the order of their ids, those after `after`."""
        ...

    def due(self, at: datetime) -> list[Account]:
        """Those PURGING, and those CLOSED whose purge date is not after `at`, by name."""
        ...

    def save(self, account: Account) -> None:
        """Replace the row of the same id. Raises NotFoundError."""
        ...

    def delete(self, *account_ids: AccountId) -> None:
        """Remove the accounts and every row that is their own; harmless if they are gone.

        What stays is their purge records, and what `Messages.discarded` gives until it is forgotten.
        """
        ...

    def usage(self, account_id: AccountId, now: datetime) -> Usage:
        """Octets used (the counter that is kept with every change) and reserved."""
        ...

    def counts(self, account_id: AccountId) -> dict[MessageKind, int]:
        """Number of messages by kind over all folders."""
        ...

    def preferences(self, account_id: AccountId) -> dict[str, str]: ...

    def choosing(self, keys: Collection[str]) -> dict[AccountId, dict[str, str]]:
        """Who has chosen any of these preferences, and what."""
        ...

    def set_preference(self, account_id: AccountId, key: str, value: str | None) -> None:
        """Set, or with None remove, a preference."""
        ...


class Numbers(Protocol):
    """Telephone numbers and the short extensions by which a core may name them."""

    def add(self, number: Number, *, now: datetime) -> None:
        """Store a number; one that is held and past `hold_until` at `now` is taken over.

        Raises AlreadyExistsError if another account has it or it is held still (the caller says
        until when; `get` tells).
        """
        ...

    def get(self, e164: E164) -> Number | None: ...

    def of_account(self, account_id: AccountId) -> list[Number]: ...

    def set_state(
        self, e164: E164, state: NumberState, *, hold_until: datetime | None = None
    ) -> None: ...

    def set_use(self, e164: E164, use: NumberUse) -> None: ...

    def hold(self, e164: E164, until: datetime) -> None:
        """Take the number from its account and keep it from others until `until`."""
        ...

    def free(self, e164: E164) -> None:
        """Forget the number (ported out, or its hold has ended)."""
        ...

    def free_held(self, now: datetime) -> int:
        """Forget the numbers of nobody whose hold ended at or before `now`; returns how many."""
        ...

    def add_alias(self, alias: str, e164: E164) -> None: ...

    def by_alias(self, alias: str) -> Number | None: ...


class Mailboxes(Protocol):
    """Folders. Names are Unicode, INBOX in capitals, delimiter `/`."""

    def create(
        self, account_id: AccountId, name: str, *, special_use: str | None = None
    ) -> Mailbox:
        """Make a folder with a new MAILBOXID and a UIDVALIDITY never used for this name before.

        Raises AlreadyExistsError.
        """
        ...

    def get(self, mailbox_id: MailboxId) -> Mailbox | None: ...

    def by_name(self, account_id: AccountId, name: str) -> Mailbox | None: ...

    def of_account(self, account_id: AccountId) -> list[Mailbox]: ...

    def rename(self, mailbox_id: MailboxId, name: str) -> None:
        """Rename one folder (children are the service's business). Raises AlreadyExistsError."""
        ...

    def delete(self, mailbox_id: MailboxId) -> None:
        """Remove the folder with its entries, tombstones and their charge."""
        ...

    def status(self, mailbox_id: MailboxId) -> MailboxStatus: ...

    def claim_recent(self, mailbox_id: MailboxId) -> Uid:
        """Return the old `recent_floor` and raise it to UIDNEXT-1: one session shows Recent."""
        ...

    def subscriptions(self, account_id: AccountId) -> set[str]: ...

    def subscribe(self, account_id: AccountId, name: str, *, on: bool) -> None:
        """Add or remove a subscription; the name need not exist (RFC 3501 §6.3.6)."""
        ...


class Messages(Protocol):
    """Contents and entries. Every change bumps HIGHESTMODSEQ and keeps the octets used exact."""

    def add_content(self, content: Content) -> None: ...

    def add_entry(
        self,
        mailbox_id: MailboxId,
        content_id: ContentId,
        *,
        flags: Collection[str],
        internal_date: datetime,
        saved_at: datetime,
        trashed_at: datetime | None = None,
    ) -> Entry:
        """Give the content the next UID and MODSEQ of the folder and charge its size.

        The quota is the caller's to check first, under `Accounts.lock`.
        """
        ...

    def remember_ingest(self, key: IngestKey, entry: Entry, now: datetime) -> None:
        """Bind `key` to the entry. Raises AlreadyExistsError if it is bound (UNIQUE)."""
        ...

    def ingested(self, key: IngestKey) -> tuple[MailboxId, Uid] | None:
        """Where the delivery with this key went, if it was made and is remembered."""
        ...

    def forget_ingests(self, before: datetime) -> int: ...

    def entries(self, mailbox_id: MailboxId, *, since: ModSeq = ModSeq(0)) -> list[Entry]:
        """Entries with a MODSEQ greater than `since`, by UID."""
        ...

    def entry(self, mailbox_id: MailboxId, uid: Uid) -> Entry | None: ...

    def vanished(self, mailbox_id: MailboxId, *, since: ModSeq = ModSeq(0)) -> list[Vanished]:
        """Tombstones with a MODSEQ greater than `since`, by UID."""
        ...

    def contents(self, ids: Collection[ContentId]) -> dict[ContentId, Content]: ...

    def change_flags(
        self,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        operation: FlagOperation,
        flags: Collection[str],
        *,
        unchanged_since: ModSeq | None = None,
        known: Mapping[Uid, Entry] | None = None,
    ) -> tuple[list[Entry], list[Uid]]:
        """Carry out a STORE.

        Returns the entries after the change (those that are there) and the UIDs that failed
        `unchanged_since` (RFC 7162 §3.1.3). One new MODSEQ for all that really changed; an entry
        whose flags are already so keeps its MODSEQ. `known`: all entries of the mailbox as they are
        in this transaction, for who has them.
        """
        ...

    def copy(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, now: datetime
    ) -> list[Copied]:
        """Copy within an account, in UID order, contents shared; charges the sizes."""
        ...

    def move(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, now: datetime
    ) -> list[Copied]:
        """MOVE (RFC 6851): copy and expunge at once, neutral to the quota."""
        ...

    def expunge(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> list[Uid]:
        """Remove entries, leave tombstones, discharge; contents that no entry names are discarded."""
        ...

    def set_trashed(
        self, mailbox_id: MailboxId, uids: Collection[Uid], at: datetime | None
    ) -> None: ...

    def trashed_before(self, before: datetime, limit: int) -> list[Entry]:
        """Entries that the owner put into Trash by phone or portal before that instant.

        Of accounts that are active and under no legal hold; at most `limit`, by folder and UID.
        """
        ...

    def aged(
        self,
        account_ids: Collection[AccountId],
        kind: MessageKind,
        *,
        before: datetime,
        seen_only: bool,
        limit: int,
    ) -> list[Entry]:
        r"""Entries of that kind, saved (RFC 8514) before that instant, in folders other than \Trash.

        Whatever the state of their accounts; at most `limit`, by folder and UID.
        """
        ...

    def aged_sums(
        self,
        account_ids: Collection[AccountId],
        kind: MessageKind,
        *,
        before: datetime,
        seen_only: bool,
    ) -> dict[AccountId, tuple[int, int]]:
        """Of each account that has any: how many `aged` would find, and their octets."""
        ...

    def blobs_of(self, account_id: AccountId) -> set[BlobKey]:
        """The bodies of its messages, and those that were discarded and not forgotten yet."""
        ...

    def known_blobs(self, keys: Collection[BlobKey]) -> set[BlobKey]:
        """Those of `keys` that a content row names, or that were discarded."""
        ...

    def discarded(
        self,
        limit: int,
        *,
        of: Collection[AccountId] | None = None,
        before: datetime | None = None,
    ) -> list[BlobKey]:
        """Bodies whose content row is gone, oldest first, at most `limit`.

        If given: of these accounts only, and only what was discarded before that instant.

        Every removal of a content row puts its body's key here, in the same transaction. Never
        gives a body that a content row names.
        """
        ...

    def forget_discarded(self, keys: Collection[BlobKey]) -> None:
        """Drop the keys from what `discarded` gives, after their bodies were deleted."""
        ...


class Reservations(Protocol):
    """Room promised to a recording or fax in progress."""

    def add(self, account_id: AccountId, octets: int, *, expires_at: datetime) -> ReservationId: ...

    def change(
        self, reservation_id: ReservationId, octets: int, *, expires_at: datetime
    ) -> None: ...

    def release(self, reservation_id: ReservationId) -> None:
        """Give the room back; a reservation that is gone already is no error."""
        ...

    def expire(self, now: datetime) -> int: ...


class Lockouts(Protocol):
    """Failure counters that last across calls, connections, restarts and nodes."""

    def failures(self, subject: str, *, since: datetime) -> int: ...

    def record_failure(self, subject: str, at: datetime) -> None: ...

    def clear(self, subject: str) -> None: ...

    def forget(self, before: datetime) -> int:
        """Drop the failures before that instant: they no longer count for anyone."""
        ...


class Records(Protocol):
    """What is kept beside the mail: audit log, call history, purge records, marks of the house."""

    def audit(self, record: AuditRecord) -> None: ...

    def audit_of(self, account_id: AccountId) -> list[AuditRecord]: ...

    def add_call(self, record: CallRecord) -> None: ...

    def calls_of(
        self,
        account_id: AccountId,
        *,
        limit: int = 100,
        kinds: Collection[str] = (),
        until: datetime | None = None,
        skip: int = 0,
    ) -> list[CallRecord]:
        """The latest first, of these kinds (all, if none is named), none later than `until`."""
        ...

    def save_purge(self, record: PurgeRecord) -> None:
        """Insert or replace the record of that account."""
        ...

    def purges(self) -> list[PurgeRecord]: ...

    def mark(self, key: str) -> str | None: ...

    def set_mark(self, key: str, value: str) -> None:
        """Keep one value of the house itself, such as the last reading of the clock."""
        ...


class Credentials(Protocol):
    """Sessions, tokens, app passwords and one-time links. All but tokens go with their account."""

    def add_session(self, session: WebSession) -> None:
        """Raises NotFoundError without the account."""
        ...

    def session(self, secret_hash: str) -> WebSession | None: ...

    def touch_session(self, secret_hash: str, at: datetime) -> None:
        """Note that it was used; harmless if it is gone."""
        ...

    def sessions_of(self, account_id: AccountId) -> list[WebSession]:
        """The latest used first."""
        ...

    def end_session(self, secret_hash: str) -> None:
        """Harmless if it is gone."""
        ...

    def end_sessions_of(self, account_id: AccountId, *, but: str = "") -> int:
        """End all of an account but one; returns how many."""
        ...

    def forget_sessions(self, *, used_before: datetime, opened_before: datetime) -> int:
        """Drop those that were last used or were opened before; returns how many."""
        ...

    def add_token(self, token: OperatorToken) -> None:
        """Raises AlreadyExistsError if one of that name is there."""
        ...

    def token(self, secret_hash: str) -> OperatorToken | None: ...

    def tokens(self) -> list[OperatorToken]:
        """By name."""
        ...

    def remove_token(self, name: str) -> bool:
        """False if there is none."""
        ...

    def add_app_password(self, password: AppPassword) -> None:
        """Raises NotFoundError without the account."""
        ...

    def app_password(self, account_id: AccountId, secret_hash: str) -> AppPassword | None: ...

    def app_passwords_of(self, account_id: AccountId) -> list[AppPassword]:
        """Oldest first."""
        ...

    def touch_app_password(self, password_id: CredentialId, at: datetime) -> None:
        """Note that it was used; harmless if it is gone."""
        ...

    def remove_app_password(self, account_id: AccountId, password_id: CredentialId) -> bool:
        """False if the account has none of that id."""
        ...

    def add_link(self, link: OneTimeLink) -> None:
        """Raises NotFoundError without the account. An earlier one of that purpose ends."""
        ...

    def link_of(self, account_id: AccountId, purpose: LinkPurpose) -> OneTimeLink | None:
        """The last that was made and not used; whether it has expired is the caller's to see."""
        ...

    def end_links_of(self, account_id: AccountId) -> int:
        """End all that are open; returns how many."""
        ...

    def take_link(self, secret_hash: str, purpose: LinkPurpose, now: datetime) -> AccountId | None:
        """Use a link up: whose it was, or None if there is none or it has expired."""
        ...

    def forget_links(self, before: datetime) -> int:
        """Drop those that expired before; returns how many."""
        ...


class Transaction(Protocol):
    """The repositories, bound to one transaction."""

    @property
    def accounts(self) -> Accounts: ...
    @property
    def numbers(self) -> Numbers: ...
    @property
    def mailboxes(self) -> Mailboxes: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def reservations(self) -> Reservations: ...
    @property
    def lockouts(self) -> Lockouts: ...
    @property
    def records(self) -> Records: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def addresses(self) -> ForwardAddresses: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def annotations(self) -> Annotations: ...


class Store(Protocol):
    """Units of work. `name` is for logs and metrics; the function is named `…_txn` by custom."""

    async def run(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` in one transaction that may write, and commit it durably."""
        ...

    async def read(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` on one consistent view; it must not write."""
        ...

    async def compact(self) -> None:
        """Leave nothing readable of what was deleted. Raises UnavailableError if it is in use."""
        ...

    async def trim_changes(self, before: datetime) -> int:
        """Drop the change hints older than that instant (housekeeping); returns how many."""
        ...

    async def close(self) -> None: ...


class BlobStore(Protocol):
    """Message bodies, immutable, by key."""

    async def put(self, key: BlobKey, data: bytes) -> None:
        """Store durably: when this returns, a power cut cannot take it. Idempotent.

        Raises UnavailableError if the disk is full; an fsync error ends the process.
        """
        ...

    async def get(self, key: BlobKey, start: int = 0, length: int | None = None) -> bytes:
        """The octets from `start`. Raises NotFoundError; never returns fewer than are there."""
        ...

    async def delete(self, keys: Collection[BlobKey]) -> int:
        """Remove those that exist, durably; returns how many octets went."""
        ...

    async def sweep_temporary(self, before: datetime, *, owners: Collection[str] = ()) -> int:
        """Remove what a killed `put` left half done before that instant; returns how many.

        What begins with one of `owners` (`um.core.ids.owner_digits`) goes whatever its age.
        """
        ...

    def scan(self) -> AsyncIterator[tuple[BlobKey, int, datetime]]:
        """All blobs: key, size in octets, when written."""
        ...


class SpoolEntry(Protocol):
    """One call's captured media in a folder of its own, until the delivery has committed.

    `append` is called on the loop and only buffers and writes; `sync` and `seal` make durable,
    off the loop. After `seal` a replay delivers it; before, a replay delivers what was synced.
    """

    @property
    def id(self) -> str:
        """The UUID (32 hexadecimal digits) that begins the ingest key."""
        ...

    @property
    def folder(self) -> Path: ...

    @property
    def facts(self) -> dict[str, str]:
        """What was said at `open` and `seal`: kind, account, caller, number, start and so on."""
        ...

    def append(self, name: str, data: bytes) -> None: ...

    async def sync(self) -> None: ...

    async def seal(self, facts: Mapping[str, str]) -> None:
        """Sync everything and durably add `facts`; the recording is complete."""
        ...

    def read(self, name: str) -> bytes: ...

    def names(self) -> list[str]: ...

    async def discard(self) -> None:
        """Unlink the entry: delivered, or nothing worth keeping."""
        ...


class Spool(Protocol):
    """The spool folders; each process has one of its own and holds its lock while it lives."""

    async def open(self, facts: Mapping[str, str]) -> SpoolEntry:
        """Begin an entry; its facts are durable when this returns."""
        ...

    async def abandoned(self) -> Sequence[SpoolEntry]:
        """Take over the entries of processes that no longer live, into this one's folder."""
        ...

    async def delete_of(self, account_id: AccountId) -> int: ...


class Quarantine(Protocol):
    """Originals of documents that did not decode whole, apart from the mailbox and its quota."""

    async def put(self, account_id: AccountId, name: str, data: bytes) -> str:
        """Keep `data` durably under a safe name derived from `name`; returns where."""
        ...

    async def delete_of(self, account_id: AccountId) -> int: ...

    async def accounts(self) -> set[AccountId]:
        """Whose documents are kept."""
        ...

    async def sweep(self, before: datetime, *, sparing: Collection[AccountId] = ()) -> int:
        """Remove what was put before that instant, but nothing of the accounts `sparing`."""
        ...


class Greetings(Protocol):
    """Recordings that callers hear, outside the mailbox and its quota; at most one of each kind."""

    async def put(self, account_id: AccountId, kind: GreetingKind, data: bytes) -> None:
        """Keep `data` (WAV, linear, mono, 8000 a second) durably in place of an earlier one.

        Raises UnavailableError.
        """
        ...

    async def get(self, account_id: AccountId, kind: GreetingKind) -> bytes | None: ...

    async def kinds(self, account_id: AccountId) -> set[GreetingKind]:
        """Which are recorded."""
        ...

    async def delete(self, account_id: AccountId, kind: GreetingKind) -> None:
        """Remove one; harmless if it is not there."""
        ...

    async def delete_of(self, account_id: AccountId) -> int:
        """Remove all of an account (purge); returns how many went."""
        ...

    async def accounts(self) -> set[AccountId]:
        """Whose greetings are kept, for those who look for strays."""
        ...


class AudioFiles(Protocol):
    """Audio files of any format as the telephone plays them; the files may be hostile."""

    async def for_telephone(self, data: bytes, *, longest_seconds: int) -> bytes:
        """A WAV file: linear, mono, 8000 a second.

        Raises RefusedDocumentError (no audio, broken, too long), UnavailableError.
        """
        ...


class ExportFile(Protocol):
    """A zip file that is being written; nobody finds it before it is finished."""

    async def begin(self, name: str) -> None:
        """Begin a file in it; what is written goes there."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises UnavailableError."""
        ...

    async def finish(self) -> None:
        """Complete it durably, in place of an earlier one of the account."""
        ...

    async def abandon(self) -> None:
        """Remove what there is of it; harmless after `finish`."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export."""

    path: Path
    size_octets: int
    made_at: datetime


class Exports(Protocol):
    """Exports of whole accounts, at most one of each, beside the mailbox and its quota."""

    async def open(self, account_id: AccountId) -> ExportFile:
        """Begin one. Raises UnavailableError."""
        ...

    async def find(self, account_id: AccountId) -> Exported | None:
        """The finished one."""
        ...

    async def sweep(self, before: datetime) -> int:
        """Remove what was written before that instant, finished or not; returns how many."""
        ...

    async def delete_of(self, account_id: AccountId) -> int:
        """Remove an account's (purge), finished or not; returns how many files went."""
        ...


class EventBus(Protocol):
    """Tells subscribers in this process, on the loop, in order. A subscriber that fails is logged."""

    def publish(self, events: Iterable[Event]) -> None: ...

    def subscribe(
        self, kind: type[EventT], subscriber: Callable[[EventT], None]
    ) -> Callable[[], None]:
        """Returns the function that ends the subscription."""
        ...


class PasswordHasher(Protocol):
    """argon2id, off the loop."""

    async def hash(self, secret: str) -> str: ...

    async def verify(self, secret: str, stored: str) -> bool: ...


class Metrics(Protocol):
    """Counters and gauges seen at `/metrics`; names without the `um_` prefix, snake case."""

    def count(self, name: str, amount: float = 1) -> None:
        """Add to a counter, e.g. `imap_bad_commands`, `sip_malformed_datagrams`."""
        ...

    def observe(self, name: str, value: float) -> None:
        """Add one measurement, in seconds or octets as the name says."""
        ...

    def gauge(self, name: str, value: float) -> None:
        """Set a present value, e.g. `imap_connections`."""
        ...


class NoMetrics:
    """`Metrics` that keeps nothing, for tools and tests."""

    def count(self, name: str, amount: float = 1) -> None:
        """Forget it."""

    def observe(self, name: str, value: float) -> None:
        """Forget it."""

    def gauge(self, name: str, value: float) -> None:
        """Forget it."""

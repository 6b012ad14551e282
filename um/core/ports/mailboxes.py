"""Ports of mailboxes, messages and the room they take."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from um.core.ids import (
    AccountId,
    BlobKey,
    ContentId,
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

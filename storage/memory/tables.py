"""The tables of the memory store, and one unit of work on a copy of them."""

from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from um.core.account import Account, AuditRecord, CallRecord, Number, PurgeRecord
from um.core.credentials import AppPassword, OneTimeLink, OperatorToken, WebSession
from um.core.events import AccountChanged, Change, MailboxChanged
from um.core.forwarding import ForwardAddress, OutboxEntry
from um.core.ids import (
    E164,
    AccountId,
    AddressId,
    BlobKey,
    ContentId,
    CredentialId,
    IngestKey,
    MailboxId,
    ModSeq,
    OutboxId,
    ReservationId,
    Uid,
)
from um.core.message import Content, Entry, Mailbox, Vanished
from um.core.steps import Steps


@dataclass(slots=True)
class Tables:
    """Flat dictionaries of immutable values, so that a shallow copy is a snapshot."""

    accounts: dict[AccountId, Account] = field(default_factory=dict)
    used: dict[AccountId, int] = field(default_factory=dict)
    uidvalidity: dict[AccountId, int] = field(default_factory=dict)
    preferences: dict[tuple[AccountId, str], str] = field(default_factory=dict)
    numbers: dict[E164, Number] = field(default_factory=dict)
    aliases: dict[str, E164] = field(default_factory=dict)
    mailboxes: dict[MailboxId, Mailbox] = field(default_factory=dict)
    subscriptions: set[tuple[AccountId, str]] = field(default_factory=set)
    annotations: dict[tuple[AccountId, MailboxId | None, str], bytes] = field(default_factory=dict)
    contents: dict[ContentId, Content] = field(default_factory=dict)
    discarded: dict[BlobKey, tuple[AccountId, datetime]] = field(default_factory=dict)
    entries: dict[tuple[MailboxId, Uid], Entry] = field(default_factory=dict)
    vanished: dict[tuple[MailboxId, Uid], Vanished] = field(default_factory=dict)
    ingests: dict[IngestKey, tuple[AccountId, MailboxId, Uid, datetime]] = field(
        default_factory=dict
    )
    reservations: dict[ReservationId, tuple[AccountId, int, datetime]] = field(default_factory=dict)
    failures: list[tuple[str, datetime]] = field(default_factory=list)
    audit: list[AuditRecord] = field(default_factory=list)
    calls: list[CallRecord] = field(default_factory=list)
    purges: dict[AccountId, PurgeRecord] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, WebSession] = field(default_factory=dict)
    tokens: dict[str, OperatorToken] = field(default_factory=dict)
    app_passwords: dict[CredentialId, AppPassword] = field(default_factory=dict)
    links: dict[str, OneTimeLink] = field(default_factory=dict)
    addresses: dict[AddressId, ForwardAddress] = field(default_factory=dict)
    outbox: dict[OutboxId, OutboxEntry] = field(default_factory=dict)

    def copy(self) -> "Tables":
        """A snapshot that may be changed without this one noticing."""
        return Tables(**{each.name: copy(getattr(self, each.name)) for each in fields(self)})


@dataclass(slots=True)
class Unit:
    """One transaction: a copy of the tables and the changes noted in it."""

    tables: Tables
    steps: Steps
    now: datetime
    """When it began: dates what is discarded and, in seconds, seeds UIDVALIDITY."""
    changes: dict[str, Change] = field(default_factory=dict)

    def note_mailbox(self, account_id: AccountId, mailbox_id: MailboxId, modseq: ModSeq) -> None:
        """One hint a mailbox and transaction, with the last MODSEQ."""
        self.changes[mailbox_id] = MailboxChanged(account_id, mailbox_id, modseq)

    def note_account(self, account_id: AccountId) -> None:
        """One hint an account and transaction."""
        self.changes[account_id] = AccountChanged(account_id)

    def discard(self, content: Content) -> None:
        """Note that the body of a content that was dropped is to be deleted."""
        self.tables.discarded.setdefault(content.blob, (content.account_id, self.now))
        for row in list(self.tables.outbox.values()):
            if row.content_id == content.id:
                self.tables.outbox[row.id] = replace(row, content_id=None)

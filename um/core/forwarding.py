"""What leaves the house: copies of messages, addresses that may get them, and the queue of both."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from um.core.ids import AccountId, AddressId, ContentId, MailboxId, OutboxId, Uid


class CopyMode(StrEnum):
    """What of a message goes to its owner's addresses outside."""

    OFF = "off"
    NOTIFY = "notify"
    """Only that it came."""
    LINK = "link"
    """That it came, with links that expire."""
    ATTACH = "attach"
    """The recording, the pages or the invoice itself."""


class AfterCopy(StrEnum):
    """What becomes of the message in the mailbox when the relay has taken all of its copies."""

    KEEP = "keep"
    SEEN = "seen"
    """Mark it as read."""
    TRASH = "trash"


@dataclass(frozen=True, slots=True)
class CopyRule:
    """What an owner has decided for one kind of message."""

    mode: CopyMode = CopyMode.OFF
    after: AfterCopy = AfterCopy.KEEP


class AddressState(StrEnum):
    """Whether an address may be written to."""

    UNCONFIRMED = "unconfirmed"
    """A link was mailed to it; nothing else is, before somebody there has followed it."""
    CONFIRMED = "confirmed"
    DISABLED = "disabled"
    """Mail to it came back again and again; a new confirmation ends that."""


@dataclass(frozen=True, slots=True)
class ForwardAddress:
    """An address outside to which an account's copies may go. All instants are aware, in UTC."""

    id: AddressId
    account_id: AccountId
    address: str
    created_at: datetime
    state: AddressState = AddressState.UNCONFIRMED
    token_hash: str | None = field(default=None, repr=False)
    """SHA-256 of the link that confirms it; None when none is open."""
    token_expires_at: datetime | None = None
    confirmed_at: datetime | None = None
    bounces: int = 0
    """Hard bounces in a row (`um.policy.forwarding.bounces_now`)."""
    bounced_at: datetime | None = None


class Purpose(StrEnum):
    """What a row of the outbox is for."""

    COPY = "copy"
    CONFIRMATION = "confirmation"
    """The mail with the link that confirms an address."""
    PASSWORD_RESET = "password-reset"  # noqa: S105 - a purpose, not a password
    """The mail with the link that opens a new password."""
    WEBHOOK = "webhook"


class OutboxState(StrEnum):
    """How far a row of the outbox is; only WAITING ones are tried."""

    WAITING = "waiting"
    DONE = "done"
    """The other side has taken it."""
    REFUSED = "refused"
    """For good, at once."""
    GIVEN_UP = "given-up"
    BOUNCED = "bounced"
    """It was taken, and came back later."""
    CANCELLED = "cancelled"
    """There is no reason to send it any more."""


FAILED = frozenset({OutboxState.REFUSED, OutboxState.GIVEN_UP, OutboxState.BOUNCED})
"""How a row ends that did not arrive."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One thing that leaves for one target. All instants are aware, in UTC."""

    id: OutboxId
    """Random: it names the row in the envelope sender too (VERP), where nobody can guess it."""
    account_id: AccountId
    purpose: Purpose
    target: str
    """A mail address, or the URL of a webhook."""
    created_at: datetime
    next_try: datetime
    content_id: ContentId | None = None
    """None if it is about no message, or the message is gone."""
    mailbox_id: MailboxId | None = None
    uid: Uid | None = None
    """Where the message was put."""
    mode: CopyMode = CopyMode.OFF
    after: AfterCopy = AfterCopy.KEEP
    detail: str = ""
    """A confirmation: the address's id. A password's link: its end. A webhook: the event, as JSON."""
    state: OutboxState = OutboxState.WAITING
    attempts: int = 0
    last_error: str = ""
    leased_until: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail for one recipient, as the relay gets it."""

    sender: str
    """The envelope's; empty is the null sender."""
    recipient: str
    data: bytes = field(repr=False)
    """RFC 5322, CRLF."""

"""What goes through the one write path, and where it went: values, and how a key is known again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from um.core.errors import UnavailableError
from um.core.events import Event, MessageStored, OutboxFilled, QuotaCrossed
from um.core.ids import AccountId, IngestKey, MailboxId, ReservationId, Uid
from um.core.message import INBOX, Content, MessageKind
from um.core.ports import Transaction
from um.policy.quota import Room


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message to be delivered.

    `data` is the whole message as it will be read (RFC 5322, CRLF); its length is RFC822.SIZE.
    """

    account_id: AccountId
    kind: MessageKind
    data: bytes
    ingest_key: IngestKey
    mailbox: str = INBOX
    flags: Collection[str] = ()
    internal_date: datetime | None = None
    reservation_id: ReservationId | None = None
    """Released in the same transaction; its octets are this message's room."""
    room: Room = Room.NORMAL
    """A replay from the spool says PROMISED: the reservation may have expired meanwhile."""
    duration_seconds: int | None = None
    pages: int | None = None
    in_history: bool = False
    """The account's history has a line of it; calls write theirs themselves."""
    by_owner: bool = False
    """An APPEND by the account itself: needs no open door for its kind, but a state that may write."""
    outside: bool = True
    """Copies may go to the owner's addresses outside, if this kind of message has a rule."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where a delivery went."""

    mailbox_id: MailboxId
    uidvalidity: int
    """0 if a duplicate's mailbox is gone by now."""
    uid: Uid
    duplicate: bool
    """The key had been delivered before; nothing was stored now."""
    crossed_percent: int | None = None
    """The notice threshold of the quota that this message reached."""
    outbox_rows: int = 0
    """So many copies and events wait to leave the house."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A message whose body is durable and which no mailbox has yet."""

    incoming: Incoming
    """Without its data: what waits for a commit takes no memory."""
    content: Content


def earlier_txn(incoming: Incoming, tx: Transaction) -> Delivered | None:
    """The place that this key was delivered to before."""
    place = tx.messages.ingested(incoming.ingest_key)
    if place is None:
        return None
    mailbox_id, uid = place
    mailbox = tx.mailboxes.get(mailbox_id)
    uidvalidity = mailbox.uidvalidity if mailbox else 0
    return Delivered(mailbox_id, uidvalidity, uid, duplicate=True)


def duplicate_txn(incomings: Sequence[Incoming], tx: Transaction) -> list[Delivered]:
    """Where messages lie whose keys another delivery was the first to bring."""
    return [_duplicate_txn(incoming, tx) for incoming in incomings]


def _duplicate_txn(incoming: Incoming, tx: Transaction) -> Delivered:
    if incoming.reservation_id is not None:
        tx.reservations.release(incoming.reservation_id)
    earlier = earlier_txn(incoming, tx)
    if earlier is None:  # the winner's key was forgotten in between: the sender shall try again
        raise UnavailableError
    return earlier


def found_txn(staged: Sequence[Staged], tx: Transaction) -> list[Delivered] | None:
    """Where these messages lie; None if they do not: a transaction brings all or none."""
    found = [_found_txn(each, tx) for each in staged]
    return None if None in found else [each for each in found if each is not None]


def _found_txn(staged: Staged, tx: Transaction) -> Delivered | None:
    earlier = earlier_txn(staged.incoming, tx)
    if earlier is None:
        return None
    entry = tx.messages.entry(earlier.mailbox_id, earlier.uid)
    # An entry that is gone was moved since: by its key's law it may be ours, so that it counts so.
    ours = entry is None or entry.content_id == staged.content.id
    return Delivered(earlier.mailbox_id, earlier.uidvalidity, earlier.uid, duplicate=not ours)


def events_of(staged: Staged, delivered: Delivered) -> list[Event]:
    """What is told of a message that was stored."""
    incoming = staged.incoming
    stored = MessageStored(
        account_id=incoming.account_id,
        mailbox_id=delivered.mailbox_id,
        uid=delivered.uid,
        kind=incoming.kind,
        size_octets=staged.content.size_octets,
    )
    events: list[Event] = [stored]
    if delivered.crossed_percent is not None:
        events.append(QuotaCrossed(incoming.account_id, delivered.crossed_percent))
    if delivered.outbox_rows:
        events.append(OutboxFilled(incoming.account_id))
    return events

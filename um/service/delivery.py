"""The one write path: every voice message, fax, invoice, mail and notice goes through `deliver`.

Laws:
- blob (durable) -> ONE transaction {ingest key, life cycle, quota, UID and MODSEQ, rows} -> return.
  When `deliver` returns, the message is durable; when it raises, nothing of it is there
  (an orphan blob at most, which the sweeper removes).
- The same ingest key delivers once: the second call returns the first one's place.
- A reservation covers what it promised: its own message is never refused for quota.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from um.core.ids import AccountId, IngestKey, MailboxId, ReservationId, Uid
from um.core.message import INBOX, MessageKind


class Room(StrEnum):
    """Which quota rule a delivery stands under (product: Quota)."""

    NORMAL = "normal"
    """Refused when used + reserved + size would pass the limit."""
    NOTICE = "notice"
    """A quota notice: 64 KiB beyond the limit of its own."""


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
    duration_seconds: int | None = None
    pages: int | None = None
    by_owner: bool = False
    """An APPEND by the account itself: needs no open door for its kind, but a state that may write."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where a delivery went."""

    mailbox_id: MailboxId
    uidvalidity: int
    uid: Uid
    duplicate: bool
    """The key had been delivered before; nothing was stored now."""

"""What happened, told after the commit and never before.

`MailboxChanged` and `AccountChanged` are hints: they say where to look, not what is there, so that
one that is lost, doubled or late does no harm. A reader re-reads by MODSEQ.
"""

from dataclasses import dataclass
from typing import TypeVar

from um.core.ids import AccountId, MailboxId, ModSeq, Uid
from um.core.message import MessageKind


@dataclass(frozen=True, slots=True)
class MailboxChanged:
    """Something in a mailbox changed (message, flag, expunge, the mailbox itself)."""

    account_id: AccountId
    mailbox_id: MailboxId
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """An account's state, secrets, numbers or preferences changed, or it is gone."""

    account_id: AccountId


@dataclass(frozen=True, slots=True)
class MessageStored:
    """A delivery committed in this process."""

    account_id: AccountId
    mailbox_id: MailboxId
    uid: Uid
    kind: MessageKind
    size_octets: int


@dataclass(frozen=True, slots=True)
class QuotaCrossed:
    """A delivery of this process filled a mailbox to a notice threshold."""

    account_id: AccountId
    percent: int


@dataclass(frozen=True, slots=True)
class QuotaRefused:
    """Something was refused because a mailbox is full."""

    account_id: AccountId


@dataclass(frozen=True, slots=True)
class OutboxFilled:
    """Something in this process wrote rows of the outbox that are due now."""

    account_id: AccountId


Change = MailboxChanged | AccountChanged
Event = MailboxChanged | AccountChanged | MessageStored | QuotaCrossed | QuotaRefused | OutboxFilled
EventT = TypeVar("EventT", bound=Event)

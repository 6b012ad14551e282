"""What a row of the outbox needs before it is tried, and what its message becomes afterwards.

Laws:
- Whether a row may still go is asked anew before each attempt: account, address, message, webhook.
- A message is touched only where the delivery had put it, and only when all its copies were taken.
"""

from dataclasses import dataclass, field
from datetime import datetime

from um.core.account import Account
from um.core.credentials import LinkPurpose
from um.core.forwarding import AddressState, AfterCopy, ForwardAddress, OutboxEntry, Purpose
from um.core.ids import AddressId
from um.core.message import SEEN, TRASH, Content, FlagOperation
from um.core.ports import Transaction
from um.policy.forwarding import after_copies
from um.policy.lifecycle import Answer, Door, answer
from um.service.forward.plan import WEBHOOK_URL
from um.service.forward.rules import Webhook, webhook_of
from um.service.forward.signing import Signer


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row with what it needs."""

    row: OutboxEntry
    account: Account
    content: Content | None = None
    address: ForwardAddress | None = None
    webhook: Webhook | None = field(default=None, repr=False)


def load_txn(tx: Transaction, row: OutboxEntry, signer: Signer, now: datetime) -> Waiting | None:
    """What the row needs now; None if there is no reason to send it any more."""
    account = tx.accounts.get(row.account_id)
    if account is None or not _may_leave(account):
        return None
    match row.purpose:
        case Purpose.WEBHOOK:
            return _webhook_txn(tx, row, account, signer)
        case Purpose.PASSWORD_RESET:
            return _password_reset_txn(tx, row, account, now)
        case Purpose.CONFIRMATION:
            return _confirmation_txn(tx, row, account, now)
        case Purpose.COPY:
            return _copy_txn(tx, row, account)


def finish_message_txn(tx: Transaction, row: OutboxEntry, now: datetime) -> None:
    """What the owner wants done with a message whose copies have all been taken."""
    if row.content_id is None or row.mailbox_id is None or row.uid is None:
        return
    copies = [each for each in tx.outbox.of_content(row.content_id) if each.purpose is Purpose.COPY]
    after = after_copies(copies)
    entry = tx.messages.entry(row.mailbox_id, row.uid)
    if entry is None or entry.content_id != row.content_id:
        return  # the owner has put it elsewhere, and so has looked after it
    if after is AfterCopy.SEEN:
        tx.messages.change_flags(row.mailbox_id, [row.uid], FlagOperation.ADD, [SEEN])
    trash = tx.mailboxes.by_name(row.account_id, TRASH)
    if after is AfterCopy.TRASH and trash is not None and trash.id != row.mailbox_id:
        moved = tx.messages.move(row.mailbox_id, [row.uid], trash.id, now)
        tx.messages.set_trashed(trash.id, [each.target_uid for each in moved], now)


def _webhook_txn(
    tx: Transaction, row: OutboxEntry, account: Account, signer: Signer
) -> Waiting | None:
    chosen = tx.accounts.preferences(account.id)
    webhook = webhook_of(chosen, account.id, signer)
    if webhook is None or chosen.get(WEBHOOK_URL) != row.target:
        return None
    return Waiting(row, account, webhook=webhook)


def _copy_txn(tx: Transaction, row: OutboxEntry, account: Account) -> Waiting | None:
    address = tx.addresses.find(account.id, row.target)
    if row.content_id is None or address is None or address.state is not AddressState.CONFIRMED:
        return None
    content = tx.messages.contents([row.content_id]).get(row.content_id)
    return Waiting(row, account, content=content, address=address) if content else None


def _confirmation_txn(
    tx: Transaction, row: OutboxEntry, account: Account, now: datetime
) -> Waiting | None:
    address = tx.addresses.get(AddressId(row.detail))
    if address is None or address.token_expires_at is None or address.token_expires_at <= now:
        return None  # confirmed, removed, or its link has ended while the relay was down
    return Waiting(row, account, address=address)


def _password_reset_txn(
    tx: Transaction, row: OutboxEntry, account: Account, now: datetime
) -> Waiting | None:
    address = tx.addresses.find(account.id, row.target)
    if address is None or address.state is not AddressState.CONFIRMED:
        return None
    if tx.credentials.link_of(account.id, LinkPurpose.RESET_PASSWORD) is None:
        return None  # used, or ended with a new password while the relay was down
    return Waiting(row, account) if datetime.fromisoformat(row.detail) > now else None


def _may_leave(account: Account) -> bool:
    """A closed account's copies stay; what is suspended may be read, and so sent."""
    return answer(account.state, Door.PORTAL) in {Answer.ALLOWED, Answer.READ_ONLY}

"""Where new messages are put and looked for, inside one transaction (`um.policy.views`)."""

from um.core.ids import AccountId
from um.core.message import INBOX, Mailbox, MessageKind
from um.core.ports import Transaction
from um.policy.views import KINDS, folder_for, folders_beside_inbox
from um.service.mailbox_folders import TRASH_USE


def home_txn(tx: Transaction, account_id: AccountId, kind: MessageKind) -> Mailbox | None:
    """The folder that a message of that kind belongs into; INBOX if it has none of its own."""
    chosen = None
    if kind in KINDS:
        chosen = folder_for(tx.accounts.preferences(account_id), kind)
    mailbox = tx.mailboxes.get(chosen) if chosen is not None else None
    if mailbox is None or not _is_one(mailbox, account_id):
        return tx.mailboxes.by_name(account_id, INBOX)
    return mailbox


def inboxes_txn(tx: Transaction, account_id: AccountId) -> list[Mailbox]:
    """INBOX and the folders that kinds of messages have or had of their own."""
    beside = folders_beside_inbox(tx.accounts.preferences(account_id))
    found = [tx.mailboxes.by_name(account_id, INBOX), *map(tx.mailboxes.get, beside)]
    known = {each.id: each for each in found if each is not None and _is_one(each, account_id)}
    return list(known.values())


def _is_one(mailbox: Mailbox, account_id: AccountId) -> bool:
    return mailbox.account_id == account_id and mailbox.special_use != TRASH_USE

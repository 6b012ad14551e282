"""Where new messages are put and looked for, inside one transaction (`um.policy.views`)."""

from collections.abc import Collection
from datetime import datetime

from um.core.ids import AccountId, MailboxId, Uid
from um.core.message import INBOX, Copied, Mailbox, MessageKind
from um.core.ports import Transaction
from um.policy.views import KINDS, folder_for, folders_beside_inbox
from um.service.mailbox_folders import TRASH_USE, known_txn


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


def send_home_txn(
    tx: Transaction,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Collection[Uid],
    now: datetime,
) -> tuple[Mailbox, list[Copied]]:
    """Move messages into the folders of their kinds; that of the last one, and where each lies now."""
    homes: dict[MailboxId, tuple[Mailbox, list[Uid]]] = {}
    for uid in uids:
        entry = tx.messages.entry(mailbox_id, uid)
        home = home_txn(tx, account_id, entry.kind) if entry is not None else None
        if home is not None:
            homes.setdefault(home.id, (home, []))[1].append(uid)
    target, moved = known_txn(tx, account_id, INBOX), list[Copied]()
    for home, theirs in homes.values():
        target = home
        moved += tx.messages.move(mailbox_id, theirs, home.id, now)
    return target, moved


def _is_one(mailbox: Mailbox, account_id: AccountId) -> bool:
    return mailbox.account_id == account_id and mailbox.special_use != TRASH_USE

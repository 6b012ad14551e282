"""Folders inside one transaction: names, hierarchy, and what may not be done to INBOX and Trash.

Laws:
- `/` divides levels; a folder may be missing although folders below it exist (RFC 3501 §6.3.4).
- INBOX always exists and is never deleted; renaming it moves its messages (RFC 3501 §6.3.5).
- Trash keeps its name, since the phone and the portal rely on it.
"""

import unicodedata
from collections.abc import Collection
from datetime import datetime

from um.core.errors import AlreadyExistsError, InvalidError, LegalHoldError, NotFoundError
from um.core.ids import AccountId, MailboxId
from um.core.message import INBOX, Mailbox
from um.core.ports import Transaction

DELIMITER = "/"
MAX_NAME = 255
MAX_LEVELS = 20
MAX_FOLDERS = 1_000
MAX_SUBSCRIPTIONS = 2 * MAX_FOLDERS
"""Names stay subscribed when their folder goes (RFC 3501 §6.3.9)."""
TRASH_USE = "\\Trash"
_USES = {use.lower(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", TRASH_USE)}
"""RFC 6154 §2, without those of folders that show what lies elsewhere (`\\All`, `\\Flagged`)."""


_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that no name has: control, format and others (RFC 9051 §5.1)."""
_JOINERS = "\u200c\u200d"
"""Of the format characters words of Persian, Hindi and others, and emoji, are written with these."""
_NO_JOINERS = dict.fromkeys(map(ord, _JOINERS))


class GoneError(NotFoundError):
    """Some of the messages have been expunged meanwhile (RFC 5530 EXPUNGEISSUED)."""

    code = "gone"
    default = "Some of the messages no longer exist"


class NoTargetError(NotFoundError):
    """The folder that something shall go into is not there (RFC 3501 §7.1 TRYCREATE)."""

    code = "no-target"
    default = "There is no such mailbox"


class NoSuchUseError(InvalidError):
    """The special use is not known, or a folder has it already (RFC 6154 §3 USEATTR)."""

    code = "no-such-use"
    default = "A mailbox cannot have this special use"


def check_name(name: str) -> None:
    """Raise InvalidError unless a folder may be called so."""
    levels = name.split(DELIMITER)
    if not all(levels) or len(name) > MAX_NAME or len(levels) > MAX_LEVELS:
        raise InvalidError("The folder name has empty levels or is too long")
    shown = name.translate(_NO_JOINERS)
    alone = any(level[0] in _JOINERS or level[-1] in _JOINERS for level in levels)
    if alone or any(char in "*%" or unicodedata.category(char) in _REFUSED for char in shown):
        raise InvalidError("The folder name has characters that are not allowed")


def is_printable(name: str) -> bool:
    """Whether there may be a folder of that name, as far as its characters go."""
    return name.translate(_NO_JOINERS).isprintable()


def is_below(name: str, parent: str) -> bool:
    """Whether `name` is an inferior of `parent`."""
    return name.startswith(parent + DELIMITER)


def known_txn(tx: Transaction, account_id: AccountId, name: str) -> Mailbox:
    """The folder of that name. Raises NotFoundError."""
    mailbox = named_txn(tx, account_id, name)
    if mailbox is None:
        raise NotFoundError("There is no such mailbox")
    return mailbox


def named_txn(tx: Transaction, account_id: AccountId, name: str) -> Mailbox | None:
    """The folder of that name, or of its composed form: a name is taken as either (RFC 9051 §5.1)."""
    mailbox = tx.mailboxes.by_name(account_id, name)
    if mailbox is None and _composed(name) != name:
        return tx.mailboxes.by_name(account_id, _composed(name))
    return mailbox


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def owned_txn(tx: Transaction, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox:
    """The account's folder with that id. Raises NotFoundError, also for one of another account."""
    mailbox = tx.mailboxes.get(mailbox_id)
    if mailbox is None or mailbox.account_id != account_id:
        raise NotFoundError("There is no such mailbox")
    return mailbox


def target_txn(tx: Transaction, account_id: AccountId, name: str) -> Mailbox:
    """The folder that something shall go into. Raises NoTargetError."""
    mailbox = named_txn(tx, account_id, name)
    if mailbox is None:
        raise NoTargetError
    return mailbox


def check_deletable_txn(tx: Transaction, account_id: AccountId) -> None:
    """Raise LegalHoldError if nothing of the account may be deleted."""
    account = tx.accounts.get(account_id)
    if account is not None and account.legal_hold_at is not None:
        raise LegalHoldError


def create_txn(
    tx: Transaction, account_id: AccountId, name: str, uses: Collection[str] = ()
) -> Mailbox:
    """Make a folder, and those above it that are missing (RFC 3501 §6.3.3).

    `uses` are the special uses it shall have (RFC 6154 §3), of which there is one at most.
    """
    check_name(name)
    mailboxes = tx.mailboxes.of_account(account_id)
    special_use = _special_use(uses, mailboxes)
    names = {mailbox.name for mailbox in mailboxes}
    if name in names:
        raise AlreadyExistsError("The mailbox exists already")
    levels = name.split(DELIMITER)
    above = [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]
    missing = [parent for parent in above if parent not in names]
    composed = {_composed(each) for each in names}
    if any(_composed(each) in composed for each in (name, *missing)):
        raise AlreadyExistsError("There is a mailbox of that name in another spelling")
    if len(names) + len(missing) >= MAX_FOLDERS:
        raise InvalidError("There are too many mailboxes")
    for parent in missing:
        tx.mailboxes.create(account_id, parent)
    return tx.mailboxes.create(account_id, name, special_use=special_use)


def _special_use(uses: Collection[str], mailboxes: Collection[Mailbox]) -> str | None:
    """The one special use of `uses`; each belongs to one folder of an account."""
    if not uses:
        return None
    use = _USES.get(next(iter(uses)).lower())
    if len(uses) > 1 or use is None or any(each.special_use == use for each in mailboxes):
        raise NoSuchUseError
    return use


def subscribe_txn(tx: Transaction, account_id: AccountId, name: str, *, on: bool) -> None:
    """Add or remove a subscription. Raises InvalidError."""
    there = tx.mailboxes.subscriptions(account_id)
    named = named_txn(tx, account_id, name)
    if named is not None and (on or name not in there):
        name = named.name
    if on and name not in there and len(there) >= MAX_SUBSCRIPTIONS:
        raise InvalidError("There are too many subscriptions")
    tx.mailboxes.subscribe(account_id, name, on=on)


def delete_txn(tx: Transaction, account_id: AccountId, name: str) -> None:
    """Remove a folder with its messages; folders below it stay."""
    mailbox = known_txn(tx, account_id, name)
    if mailbox.name == INBOX or mailbox.special_use == TRASH_USE:
        raise InvalidError("This mailbox is part of the account and cannot be deleted")
    if tx.mailboxes.status(mailbox.id).messages:
        check_deletable_txn(tx, account_id)
    tx.mailboxes.delete(mailbox.id)


def rename_txn(
    tx: Transaction, account_id: AccountId, name: str, target: str, now: datetime
) -> None:
    """Rename a folder and all below it; INBOX gives its messages away and stays."""
    check_name(target)
    if name == INBOX:
        inbox = known_txn(tx, account_id, INBOX)
        created = create_txn(tx, account_id, target)
        uids = [entry.uid for entry in tx.messages.entries(inbox.id)]
        tx.messages.move(inbox.id, uids, created.id, now)
        tx.annotations.put(account_id, created.id, tx.annotations.of(account_id, inbox.id))
        return
    mailboxes = tx.mailboxes.of_account(account_id)
    if not any(each.name == name or is_below(each.name, name) for each in mailboxes):
        name = _composed(name)
    moving = [each for each in mailboxes if each.name == name or is_below(each.name, name)]
    _check_rename(moving, mailboxes, name, target)
    parent = target.rpartition(DELIMITER)[0]
    if parent and all(each.name != parent for each in mailboxes):
        create_txn(tx, account_id, parent)
    for each in moving:
        new_name = target + each.name[len(name) :]
        check_name(new_name)
        tx.mailboxes.rename(each.id, new_name)


def _check_rename(moving: list[Mailbox], mailboxes: list[Mailbox], name: str, target: str) -> None:
    if not moving:
        raise NotFoundError("There is no such mailbox")
    if any(each.special_use == TRASH_USE for each in moving):
        raise InvalidError("This mailbox is part of the account and keeps its name")
    if is_below(target, name):
        raise InvalidError("A mailbox cannot be moved below itself")
    if any(each.name == target or is_below(each.name, target) for each in mailboxes):
        raise AlreadyExistsError("The mailbox exists already")
    others = {_composed(each.name) for each in mailboxes if each not in moving}
    if any(each == _composed(target) or is_below(each, _composed(target)) for each in others):
        raise AlreadyExistsError("There is a mailbox of that name in another spelling")

"""Notes that mail programs keep on folders and on the account (RFC 5464).

Laws:
- A change is made whole or not at all, in one transaction, within all limits.
- What is shared by all accounts of the server is the operator's: its owner's notes are private ones.
- Notes count towards no quota; the limits here keep them small.
"""

from collections.abc import Mapping
from typing import ClassVar

from um.core.errors import InvalidError, ReadOnlyError
from um.core.ids import AccountId, MailboxId
from um.core.ports import Store, Transaction
from um.service.mailbox_folders import known_txn
from um.service.writable import hold_writable_txn

MAX_VALUE_OCTETS = 16 * 1024
MAX_ENTRIES = 100
"""Of one folder, or of the account itself."""
MAX_ACCOUNT_ENTRIES = 1000
MAX_ACCOUNT_OCTETS = 1024 * 1024


class NoteTooLargeError(InvalidError):
    """A value is larger than MAX_VALUE_OCTETS."""

    code: ClassVar[str] = "note-too-large"
    default: ClassVar[str] = "The value is too large"


class TooManyNotesError(InvalidError):
    """The folder or the account has all the entries it may have."""

    code: ClassVar[str] = "too-many-notes"
    default: ClassVar[str] = "There are too many entries"


class AnnotationService:
    """Get and set; `mailbox` is a folder's name, `""` the account itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, account_id: AccountId, mailbox: str) -> dict[str, bytes]:
        """All entries, by name. Raises NotFoundError."""

        def get_txn(tx: Transaction) -> dict[str, bytes]:
            return tx.annotations.of(account_id, _place_txn(tx, account_id, mailbox))

        return await self._store.read("get-annotations", get_txn)

    async def everything(
        self, account_id: AccountId
    ) -> Mapping[MailboxId | None, Mapping[str, bytes]]:
        """All entries of all folders; those of the account itself under None."""
        return await self._store.read(
            "all-annotations", lambda tx: tx.annotations.everything(account_id)
        )

    async def set(
        self, account_id: AccountId, mailbox: str, values: Mapping[str, bytes | None]
    ) -> None:
        """Set entries; None removes one.

        Raises NotFoundError, NoteTooLargeError, TooManyNotesError, ReadOnlyError, and what the
        account's state says; then nothing has changed.
        """
        if any(octets is not None and len(octets) > MAX_VALUE_OCTETS for octets in values.values()):
            raise NoteTooLargeError
        if not mailbox and any(entry.startswith("/shared/") for entry in values):
            raise ReadOnlyError("What all users share is set by the operator")

        def set_txn(tx: Transaction) -> None:
            hold_writable_txn(tx, account_id)
            place = _place_txn(tx, account_id, mailbox)
            tx.annotations.put(account_id, place, values)
            if any(octets is not None for octets in values.values()):
                _check_limits_txn(tx, account_id, place)

        await self._store.run("set-annotations", set_txn)


def _place_txn(tx: Transaction, account_id: AccountId, mailbox: str) -> MailboxId | None:
    return known_txn(tx, account_id, mailbox).id if mailbox else None


def _check_limits_txn(tx: Transaction, account_id: AccountId, place: MailboxId | None) -> None:
    entries, octets = tx.annotations.total(account_id)
    if (
        len(tx.annotations.of(account_id, place)) > MAX_ENTRIES
        or entries > MAX_ACCOUNT_ENTRIES
        or octets > MAX_ACCOUNT_OCTETS
    ):
        raise TooManyNotesError

"""Port of notes on folders and accounts (RFC 5464)."""

from collections.abc import Mapping
from typing import Protocol

from um.core.ids import AccountId, MailboxId


class Annotations(Protocol):
    """Named values of a folder, or of the account itself (`mailbox_id` None).

    Names are in lower case. They go with their folder and with their account, and follow a folder
    that is renamed.
    """

    def of(self, account_id: AccountId, mailbox_id: MailboxId | None) -> dict[str, bytes]:
        """All entries, by name."""
        ...

    def everything(self, account_id: AccountId) -> dict[MailboxId | None, dict[str, bytes]]:
        """The entries of all folders that have some, and of the account."""
        ...

    def total(self, account_id: AccountId) -> tuple[int, int]:
        """How many entries there are in all folders together, and the octets of their values."""
        ...

    def put(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        values: Mapping[str, bytes | None],
    ) -> None:
        """Set entries; None removes one. A change of the account is told.

        That of a folder raises its HIGHESTMODSEQ (RFC 7162 §3.2).

        Raises NotFoundError if the account or folder is gone.
        """
        ...

"""`Annotations` in memory."""

from collections.abc import Mapping
from dataclasses import replace

from storage.memory.tables import Unit
from um.core.errors import NotFoundError
from um.core.ids import AccountId, MailboxId, ModSeq


class MemoryAnnotations:
    """`um.core.ports.Annotations`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tables = unit.tables

    def of(self, account_id: AccountId, mailbox_id: MailboxId | None) -> dict[str, bytes]:
        return {
            entry: octets
            for (owner, box, entry), octets in self._tables.annotations.items()
            if owner == account_id and box == mailbox_id
        }

    def everything(self, account_id: AccountId) -> dict[MailboxId | None, dict[str, bytes]]:
        found: dict[MailboxId | None, dict[str, bytes]] = {}
        for (owner, box, entry), octets in self._tables.annotations.items():
            if owner == account_id:
                found.setdefault(box, {})[entry] = octets
        return found

    def total(self, account_id: AccountId) -> tuple[int, int]:
        own = [v for (owner, *_), v in self._tables.annotations.items() if owner == account_id]
        return len(own), sum(map(len, own))

    def put(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        values: Mapping[str, bytes | None],
    ) -> None:
        tables = self._tables
        box = None if mailbox_id is None else tables.mailboxes.get(mailbox_id)
        if account_id not in tables.accounts or (
            mailbox_id is not None and (box is None or box.account_id != account_id)
        ):
            raise NotFoundError("There is no such folder")
        for entry, octets in values.items():
            key = account_id, mailbox_id, entry
            if octets is None:
                tables.annotations.pop(key, None)
            else:
                tables.annotations[key] = octets
        self._unit.note_account(account_id)
        if box is not None and values:
            modseq = ModSeq(box.highest_modseq + 1)
            tables.mailboxes[box.id] = replace(box, highest_modseq=modseq)
            self._unit.note_mailbox(account_id, box.id, modseq)

"""`Mailboxes` in memory."""

import uuid
from dataclasses import replace

from storage.memory.annotations import MemoryAnnotations
from storage.memory.messages import MemoryMessages
from storage.memory.tables import Unit
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import AccountId, MailboxId, ModSeq, Uid
from um.core.message import DELETED, SEEN, Mailbox, MailboxStatus


class MemoryMailboxes:
    """`um.core.ports.Mailboxes`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._tables = unit.tables

    def create(
        self, account_id: AccountId, name: str, *, special_use: str | None = None
    ) -> Mailbox:
        tables = self._tables
        if account_id not in tables.accounts:
            raise NotFoundError("There is no such account")
        if self.by_name(account_id, name) is not None:
            raise AlreadyExistsError(f"The folder {name} exists already")
        uidvalidity = max(
            tables.uidvalidity.get(account_id, 0) + 1, int(self._unit.now.timestamp())
        )
        tables.uidvalidity[account_id] = uidvalidity
        mailbox = Mailbox(
            id=MailboxId(uuid.uuid4().hex),
            account_id=account_id,
            name=name,
            uidvalidity=uidvalidity,
            uidnext=Uid(1),
            highest_modseq=ModSeq(1),
            special_use=special_use,
        )
        tables.mailboxes[mailbox.id] = mailbox
        self._note(mailbox)
        return mailbox

    def get(self, mailbox_id: MailboxId) -> Mailbox | None:
        return self._tables.mailboxes.get(mailbox_id)

    def by_name(self, account_id: AccountId, name: str) -> Mailbox | None:
        for mailbox in self._tables.mailboxes.values():
            if mailbox.account_id == account_id and mailbox.name == name:
                return mailbox
        return None

    def of_account(self, account_id: AccountId) -> list[Mailbox]:
        return sorted(
            (box for box in self._tables.mailboxes.values() if box.account_id == account_id),
            key=lambda box: box.name,
        )

    def rename(self, mailbox_id: MailboxId, name: str) -> None:
        mailbox = self._known(mailbox_id)
        other = self.by_name(mailbox.account_id, name)
        if other is not None and other.id != mailbox_id:
            raise AlreadyExistsError(f"The folder {name} exists already")
        self._tables.mailboxes[mailbox_id] = replace(mailbox, name=name)
        self._note(mailbox)

    def delete(self, mailbox_id: MailboxId) -> None:
        mailbox = self._known(mailbox_id)
        messages = MemoryMessages(self._unit)
        messages.expunge(mailbox_id, [entry.uid for entry in messages.entries(mailbox_id)])
        for tombstone in messages.vanished(mailbox_id):
            del self._tables.vanished[mailbox_id, tombstone.uid]
        for entry in MemoryAnnotations(self._unit).of(mailbox.account_id, mailbox_id):
            del self._tables.annotations[mailbox.account_id, mailbox_id, entry]
        gone = self._tables.mailboxes.pop(mailbox_id)
        self._unit.note_mailbox(mailbox.account_id, mailbox_id, gone.highest_modseq)

    def status(self, mailbox_id: MailboxId) -> MailboxStatus:
        mailbox = self._known(mailbox_id)
        entries = MemoryMessages(self._unit).entries(mailbox_id)
        deleted = [entry for entry in entries if DELETED in entry.flags]
        return MailboxStatus(
            messages=len(entries),
            recent=sum(entry.uid > mailbox.recent_floor for entry in entries),
            unseen=sum(SEEN not in entry.flags for entry in entries),
            deleted=len(deleted),
            size_octets=sum(entry.size_octets for entry in entries),
            deleted_octets=sum(entry.size_octets for entry in deleted),
            uidnext=mailbox.uidnext,
            uidvalidity=mailbox.uidvalidity,
            highest_modseq=mailbox.highest_modseq,
        )

    def claim_recent(self, mailbox_id: MailboxId) -> Uid:
        mailbox = self._known(mailbox_id)
        self._tables.mailboxes[mailbox_id] = replace(mailbox, recent_floor=Uid(mailbox.uidnext - 1))
        return mailbox.recent_floor

    def subscriptions(self, account_id: AccountId) -> set[str]:
        return {name for owner, name in self._tables.subscriptions if owner == account_id}

    def subscribe(self, account_id: AccountId, name: str, *, on: bool) -> None:
        if account_id not in self._tables.accounts:
            raise NotFoundError("There is no such account")
        if on:
            self._tables.subscriptions.add((account_id, name))
        else:
            self._tables.subscriptions.discard((account_id, name))
        self._unit.note_account(account_id)

    def _known(self, mailbox_id: MailboxId) -> Mailbox:
        mailbox = self._tables.mailboxes.get(mailbox_id)
        if mailbox is None:
            raise NotFoundError("There is no such folder")
        return mailbox

    def _note(self, mailbox: Mailbox) -> None:
        self._unit.note_mailbox(mailbox.account_id, mailbox.id, mailbox.highest_modseq)

"""`Annotations` in the database; the account's own have the empty folder id."""

from collections.abc import Mapping

import sqlalchemy as sa

from storage import schema
from storage.message_statements import BUMP
from storage.statement import Statement, upsert, value
from storage.unit import Unit
from um.core.errors import NotFoundError
from um.core.ids import AccountId, MailboxId, ModSeq

_t = schema.annotations.c
_HERE = (_t.account_id == value("id"), _t.mailbox_id == value("box"))
_OF = Statement(sa.select(_t.entry, _t.value).where(*_HERE))
_EVERYTHING = Statement(
    sa.select(_t.mailbox_id, _t.entry, _t.value).where(_t.account_id == value("id"))
)
_TOTAL = Statement(
    sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.length(_t.value)), 0)).where(
        _t.account_id == value("id")
    )
)
_PUT = Statement(upsert(schema.annotations))
_REMOVE = Statement(sa.delete(schema.annotations).where(*_HERE, _t.entry == value("key")))
_ACCOUNT = Statement(sa.select(schema.accounts.c.id).where(schema.accounts.c.id == value("id")))
_FOLDER = Statement(
    sa.select(schema.mailboxes.c.id).where(
        schema.mailboxes.c.account_id == value("id"), schema.mailboxes.c.id == value("box")
    )
)


class SqlAnnotations:
    """`um.core.ports.Annotations`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def of(self, account_id: AccountId, mailbox_id: MailboxId | None) -> dict[str, bytes]:
        rows = self._unit.rows(_OF, id=account_id, box=mailbox_id or "")
        return {entry: bytes(octets) for entry, octets in rows}

    def everything(self, account_id: AccountId) -> dict[MailboxId | None, dict[str, bytes]]:
        found: dict[MailboxId | None, dict[str, bytes]] = {}
        for box, entry, octets in self._unit.rows(_EVERYTHING, id=account_id):
            found.setdefault(MailboxId(box) if box else None, {})[entry] = bytes(octets)
        return found

    def total(self, account_id: AccountId) -> tuple[int, int]:
        row = self._unit.row(_TOTAL, id=account_id)
        assert row is not None
        return int(row[0]), int(row[1])

    def put(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId | None,
        values: Mapping[str, bytes | None],
    ) -> None:
        there = (
            self._unit.row(_ACCOUNT, id=account_id)
            if mailbox_id is None
            else self._unit.row(_FOLDER, id=account_id, box=mailbox_id)
        )
        if there is None:
            raise NotFoundError("There is no such folder")
        box = mailbox_id or ""
        for entry, octets in values.items():
            if octets is None:
                self._unit.do(_REMOVE, id=account_id, box=box, key=entry)
            else:
                self._unit.do(
                    _PUT, account_id=account_id, mailbox_id=box, entry=entry, value=octets
                )
        self._unit.note_account(account_id)
        if mailbox_id is not None and values:
            row = self._unit.row(BUMP, key=mailbox_id, uids=0)
            assert row is not None, "the folder is there"
            self._unit.note_mailbox(account_id, mailbox_id, ModSeq(row[2]))

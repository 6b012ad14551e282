"""`Mailboxes` in the database."""

import uuid

import sqlalchemy as sa

from storage import schema
from storage.flags import DELETED_BIT, SEEN_BIT
from storage.messages import SqlMessages
from storage.statement import Statement, Values, insert, value
from storage.unit import Unit
from um.core.errors import AlreadyExistsError, NotFoundError
from um.core.ids import AccountId, MailboxId, ModSeq, Uid
from um.core.message import Mailbox, MailboxStatus

_t = schema.mailboxes.c
_e = schema.entry.c
_s = schema.subscriptions.c
_ALL = sa.select(
    _t.id,
    _t.account_id,
    _t.name,
    _t.uidvalidity,
    _t.uidnext,
    _t.highest_modseq,
    _t.special_use,
    _t.recent_floor,
)

_NEXT_UIDVALIDITY = Statement(
    sa.update(schema.accounts)
    .where(schema.accounts.c.id == value("id"))
    .values(
        last_uidvalidity=sa.case(
            (schema.accounts.c.last_uidvalidity < value("now"), value("now")),
            else_=schema.accounts.c.last_uidvalidity + 1,
        )
    )
    .returning(schema.accounts.c.last_uidvalidity)
)
_CREATE = Statement(insert(schema.mailboxes).on_conflict_do_nothing())
_GET = Statement(_ALL.where(_t.id == value("key")))
_LOCK = Statement(_ALL.where(_t.id == value("key")).with_for_update())
_BY_NAME = Statement(_ALL.where(_t.account_id == value("id"), _t.name == value("name")))
_OF_ACCOUNT = Statement(_ALL.where(_t.account_id == value("id")))
_RENAME = Statement(
    sa.update(schema.mailboxes).where(_t.id == value("key")).values(name=value("name"))
)
_FORGET_VANISHED = Statement(
    sa.delete(schema.vanished).where(schema.vanished.c.mailbox_id == value("key"))
)
_FORGET_NOTES = Statement(
    sa.delete(schema.annotations).where(
        schema.annotations.c.account_id == value("id"),
        schema.annotations.c.mailbox_id == value("key"),
    )
)
_DELETE = Statement(sa.delete(schema.mailboxes).where(_t.id == value("key")))


def _sum_if(condition: sa.ColumnElement[bool], amount: sa.ColumnElement[int]) -> sa.Cast[int]:
    total = sa.func.coalesce(sa.func.sum(sa.case((condition, amount), else_=0)), 0)
    return sa.cast(total, sa.BigInteger)


_ONE: sa.ColumnElement[int] = sa.literal_column("1", sa.Integer)
_DELETED = _e.flags.bitwise_and(DELETED_BIT) != 0
_STATUS = Statement(
    sa.select(
        sa.func.count(),
        _sum_if(_e.uid > value("floor"), _ONE),
        _sum_if(_e.flags.bitwise_and(SEEN_BIT) == 0, _ONE),
        _sum_if(_DELETED, _ONE),
        sa.cast(sa.func.coalesce(sa.func.sum(_e.size_octets), 0), sa.BigInteger),
        _sum_if(_DELETED, _e.size_octets),
    ).where(_e.mailbox_id == value("key"))
)
_RAISE_FLOOR = Statement(
    sa.update(schema.mailboxes)
    .where(_t.id == value("key"))
    .values(recent_floor=value("floor", sa.BigInteger()))
)
_SUBSCRIPTIONS = Statement(sa.select(_s.name).where(_s.account_id == value("id")))
_SUBSCRIBE = Statement(insert(schema.subscriptions).on_conflict_do_nothing())
_UNSUBSCRIBE = Statement(
    sa.delete(schema.subscriptions).where(_s.account_id == value("id"), _s.name == value("name"))
)
_ACCOUNT = Statement(sa.select(schema.accounts.c.id).where(schema.accounts.c.id == value("id")))


class SqlMailboxes:
    """`um.core.ports.Mailboxes`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def create(
        self, account_id: AccountId, name: str, *, special_use: str | None = None
    ) -> Mailbox:
        seconds = int(self._unit.clock.now().timestamp())
        row = self._unit.row(_NEXT_UIDVALIDITY, id=account_id, now=seconds)
        if row is None:
            raise NotFoundError("There is no such account")
        mailbox = Mailbox(
            id=MailboxId(uuid.uuid4().hex),
            account_id=account_id,
            name=name,
            uidvalidity=row[0],
            uidnext=Uid(1),
            highest_modseq=ModSeq(1),
            special_use=special_use,
        )
        columns = {column.name: getattr(mailbox, column.name) for column in schema.mailboxes.c}
        if not self._unit.do(_CREATE, **columns):
            raise AlreadyExistsError(f"The folder {name} exists already")
        self._note(mailbox)
        return mailbox

    def get(self, mailbox_id: MailboxId) -> Mailbox | None:
        return _mailbox(self._unit.row(_GET, key=mailbox_id))

    def by_name(self, account_id: AccountId, name: str) -> Mailbox | None:
        return _mailbox(self._unit.row(_BY_NAME, id=account_id, name=name))

    def of_account(self, account_id: AccountId) -> list[Mailbox]:
        # Sorted here: databases differ in their collations.
        rows = self._unit.rows(_OF_ACCOUNT, id=account_id)
        return sorted((Mailbox(*row) for row in rows), key=lambda mailbox: mailbox.name)

    def rename(self, mailbox_id: MailboxId, name: str) -> None:
        mailbox = self._locked(mailbox_id)
        other = self.by_name(mailbox.account_id, name)
        if other is not None and other.id != mailbox_id:
            raise AlreadyExistsError(f"The folder {name} exists already")
        self._unit.do(_RENAME, key=mailbox_id, name=name)
        self._note(mailbox)

    def delete(self, mailbox_id: MailboxId) -> None:
        messages = SqlMessages(self._unit)
        messages.hold(mailbox_id)
        messages.expunge(mailbox_id, [entry.uid for entry in messages.entries(mailbox_id)])
        gone = self._locked(mailbox_id)
        self._unit.do(_FORGET_VANISHED, key=mailbox_id)
        self._unit.do(_FORGET_NOTES, id=gone.account_id, key=mailbox_id)
        self._unit.do(_DELETE, key=mailbox_id)
        self._note(gone)

    def status(self, mailbox_id: MailboxId) -> MailboxStatus:
        mailbox = self.get(mailbox_id)
        if mailbox is None:
            raise NotFoundError("There is no such folder")
        row = self._unit.row(_STATUS, key=mailbox_id, floor=mailbox.recent_floor)
        assert row is not None
        messages, recent, unseen, deleted, size_octets, deleted_octets = row
        return MailboxStatus(
            messages=messages,
            recent=recent,
            unseen=unseen,
            deleted=deleted,
            size_octets=size_octets,
            deleted_octets=deleted_octets,
            uidnext=mailbox.uidnext,
            uidvalidity=mailbox.uidvalidity,
            highest_modseq=mailbox.highest_modseq,
        )

    def claim_recent(self, mailbox_id: MailboxId) -> Uid:
        mailbox = self._locked(mailbox_id)
        if mailbox.recent_floor != mailbox.uidnext - 1:
            self._unit.do(_RAISE_FLOOR, key=mailbox_id, floor=mailbox.uidnext - 1)
        return mailbox.recent_floor

    def subscriptions(self, account_id: AccountId) -> set[str]:
        return {name for (name,) in self._unit.rows(_SUBSCRIPTIONS, id=account_id)}

    def subscribe(self, account_id: AccountId, name: str, *, on: bool) -> None:
        if self._unit.row(_ACCOUNT, id=account_id) is None:
            raise NotFoundError("There is no such account")
        if on:
            self._unit.do(_SUBSCRIBE, account_id=account_id, name=name)
        else:
            self._unit.do(_UNSUBSCRIBE, id=account_id, name=name)
        self._unit.note_account(account_id)

    def _locked(self, mailbox_id: MailboxId) -> Mailbox:
        row = self._unit.row(_LOCK if self._unit.locks else _GET, key=mailbox_id)
        mailbox = _mailbox(row)
        if mailbox is None:
            raise NotFoundError("There is no such folder")
        return mailbox

    def _note(self, mailbox: Mailbox) -> None:
        self._unit.note_mailbox(mailbox.account_id, mailbox.id, mailbox.highest_modseq)


def _mailbox(row: Values | None) -> Mailbox | None:
    return None if row is None else Mailbox(*row)

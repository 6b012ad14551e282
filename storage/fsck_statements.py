"""The queries of `storage.fsck`: each gives (subject, what is noted, what is right) a row."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from storage import schema
from storage.instants import Instant
from storage.statement import Among, Statement, value

_a = schema.accounts.c
_m = schema.mailboxes.c
_e = schema.entry.c
_v = schema.vanished.c
_c = schema.content.c
_r = schema.reservations.c
_h = schema.changes.c
_d = schema.discarded.c


def _big(expression: Any) -> sa.ColumnElement[int]:
    return sa.cast(expression, sa.BigInteger)


def _greatest_or_zero(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.max(column), 0)


def _missing(table: sa.Table, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return ~sa.exists(sa.select(sa.literal_column("1")).select_from(table).where(condition))


_STORED = (
    sa.select(_big(sa.func.coalesce(sa.func.sum(_e.size_octets), 0)))
    .select_from(schema.entry.join(schema.mailboxes, _m.id == _e.mailbox_id))
    .where(_m.account_id == _a.id)
    .correlate(schema.accounts)
    .scalar_subquery()
)
USED = Statement(sa.select(_a.id, _a.used_octets, _STORED).where(_a.used_octets != _STORED))
MEND_USED = Statement(
    sa.update(schema.accounts).where(_a.used_octets != _STORED).values(used_octets=_STORED)
)


def _greatest(entries: sa.Column[int], tombstones: sa.Column[int]) -> sa.ColumnElement[int]:
    """The greatest number given in a folder, whether its message is there or gone."""
    living = (
        sa.select(_greatest_or_zero(entries))
        .where(_e.mailbox_id == _m.id)
        .correlate(schema.mailboxes)
        .scalar_subquery()
    )
    gone = (
        sa.select(_greatest_or_zero(tombstones))
        .where(_v.mailbox_id == _m.id)
        .correlate(schema.mailboxes)
        .scalar_subquery()
    )
    return sa.case((living > gone, living), else_=gone)


_LAST_UID = _greatest(_e.uid, _v.uid)
_LAST_MODSEQ = _greatest(_e.modseq, _v.modseq)
UIDNEXT = Statement(sa.select(_m.id, _m.uidnext, _LAST_UID).where(_m.uidnext <= _LAST_UID))
MEND_UIDNEXT = Statement(
    sa.update(schema.mailboxes).where(_m.uidnext <= _LAST_UID).values(uidnext=_LAST_UID + 1)
)
MODSEQ = Statement(
    sa.select(_m.id, _m.highest_modseq, _LAST_MODSEQ).where(_m.highest_modseq < _LAST_MODSEQ)
)
MEND_MODSEQ = Statement(
    sa.update(schema.mailboxes)
    .where(_m.highest_modseq < _LAST_MODSEQ)
    .values(highest_modseq=_LAST_MODSEQ)
)

_LAST_VALIDITY = (
    sa.select(_greatest_or_zero(_m.uidvalidity))
    .where(_m.account_id == _a.id)
    .correlate(schema.accounts)
    .scalar_subquery()
)
VALIDITY = Statement(
    sa.select(_a.id, _a.last_uidvalidity, _LAST_VALIDITY).where(
        _a.last_uidvalidity < _LAST_VALIDITY
    )
)
MEND_VALIDITY = Statement(
    sa.update(schema.accounts)
    .where(_a.last_uidvalidity < _LAST_VALIDITY)
    .values(last_uidvalidity=_LAST_VALIDITY)
)

_IN_NO_FOLDER = _missing(schema.mailboxes, _m.id == _e.mailbox_id)
ASTRAY = Statement(sa.select(_e.mailbox_id, _e.uid).where(_IN_NO_FOLDER))
DROP_ASTRAY = Statement(sa.delete(schema.entry).where(_IN_NO_FOLDER))
_OF_NO_FOLDER = _missing(schema.mailboxes, _m.id == _v.mailbox_id)
STALE = Statement(sa.select(_v.mailbox_id, _v.uid).where(_OF_NO_FOLDER))
DROP_STALE = Statement(sa.delete(schema.vanished).where(_OF_NO_FOLDER))
HOLLOW = Statement(
    sa.select(_e.mailbox_id, _e.uid).where(_missing(schema.content, _c.id == _e.content_id))
)

SIZES = Statement(
    sa.select(_e.mailbox_id, _e.uid, _e.size_octets, _c.size_octets)
    .select_from(schema.entry.join(schema.content, _c.id == _e.content_id))
    .where(_e.size_octets != _c.size_octets)
)
_RIGHT_SIZE = (
    sa.select(_c.size_octets)
    .where(_c.id == _e.content_id)
    .correlate(schema.entry)
    .scalar_subquery()
)
MEND_SIZES = Statement(
    sa.update(schema.entry).where(_e.size_octets != _RIGHT_SIZE).values(size_octets=_RIGHT_SIZE)
)

_UNNAMED = _missing(schema.entry, _e.content_id == _c.id)
UNNAMED = Statement(sa.select(_c.id).where(_UNNAMED))
UNLINK_OUTBOX = Statement(
    sa.update(schema.outbox)
    .where(schema.outbox.c.content_id.in_(sa.select(_c.id).where(_UNNAMED)))
    .values(content_id=None)
)
DISCARD_UNNAMED = Statement(
    postgresql.insert(schema.discarded)
    .from_select(
        ["blob", "account_id", "at"],
        sa.select(_c.blob, _c.account_id, value("now", Instant())).where(_UNNAMED),
    )
    .on_conflict_do_nothing()
)
DROP_UNNAMED = Statement(sa.delete(schema.content).where(_UNNAMED))

_ALIVE = sa.exists(
    sa.select(sa.literal_column("1")).select_from(schema.content).where(_c.blob == _d.blob)
)
ALIVE = Statement(sa.select(_d.blob).where(_ALIVE))
DROP_ALIVE = Statement(sa.delete(schema.discarded).where(_ALIVE))

_EXPIRED = _r.expires_at <= value("now", Instant())
EXPIRED = Statement(sa.select(_r.id, _r.octets).where(_EXPIRED))
DROP_EXPIRED = Statement(sa.delete(schema.reservations).where(_EXPIRED))

_OLD = _h.at < value("before", Instant())
OLD = Statement(
    sa.select(sa.literal_column("'changes'", sa.Text), sa.func.count())
    .select_from(schema.changes)
    .where(_OLD)
    .having(sa.func.count() > 0)
)
DROP_OLD = Statement(sa.delete(schema.changes).where(_OLD))

BODIES = Statement(sa.select(_c.blob, _c.id, _c.size_octets))
ACCOUNTS = Statement(sa.select(_a.id))
NAMED = Statement(sa.select(_c.blob).where(Among(_c.blob, "blobs")))
DISCARDED = Statement(sa.select(_d.blob).where(Among(_d.blob, "blobs")))
QUICK_CHECK = Statement(sa.text("PRAGMA quick_check"))

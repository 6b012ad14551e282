"""The statements of `storage.messages`: its SQL, apart from what is done with it."""

from typing import Any

import sqlalchemy as sa

from storage import schema
from storage.flags import SEEN_BIT
from storage.instants import Instant
from storage.statement import Among, Statement, insert, value
from um.core.account import AccountState
from um.core.message import TRASH

_e = schema.entry.c
_c = schema.content.c
_m = schema.mailboxes.c
_a = schema.accounts.c
_v = schema.vanished.c
_i = schema.ingests.c
_d = schema.discarded.c

ENTRY_COLUMNS = tuple(column.name for column in schema.entry.columns)
CONTENT_COLUMNS = tuple(column.name for column in schema.content.columns)


def _plain(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Instants as the integers they are: a listing converts them in its own loop."""
    is_instant = isinstance(column.type, Instant)
    return sa.type_coerce(column, sa.BigInteger()) if is_instant else column


_ENTRIES = sa.select(*(_plain(_e[name]) for name in ENTRY_COLUMNS))
_IN_FOLDER = _e.mailbox_id == value("key")
_AMONG = Among(_e.uid, "uids")

ENTRIES = Statement(_ENTRIES.where(_IN_FOLDER).order_by(_e.uid))
ENTRIES_SINCE = Statement(_ENTRIES.where(_IN_FOLDER, _e.modseq > value("since")).order_by(_e.uid))
ENTRIES_AMONG = Statement(_ENTRIES.where(_IN_FOLDER, _AMONG).order_by(_e.uid))
ENTRY = Statement(_ENTRIES.where(_IN_FOLDER, _e.uid == value("uid")))
TRASHED_BEFORE = Statement(
    _ENTRIES.join(schema.accounts, _a.id == _e.account_id)
    .where(
        _e.trashed_at < value("before", Instant()),
        _a.state == AccountState.ACTIVE.value,
        _a.legal_hold_at.is_(None),
    )
    .order_by(_e.mailbox_id, _e.uid)
    .limit(value("limit", sa.Integer()))
)


# By the account's folders: entries have no index of their own by account.
_OLD = (
    Among(_m.account_id, "ids"),
    _m.name != TRASH,
    sa.or_(_m.special_use.is_(None), _m.special_use != "\\Trash"),
    _e.kind == value("kind"),
    _e.saved_at < value("before", Instant()),
)
_SEEN = _e.flags.bitwise_and(SEEN_BIT) != 0
_AGED = (
    _ENTRIES.join(schema.mailboxes, _m.id == _e.mailbox_id)
    .where(*_OLD)
    .order_by(_e.mailbox_id, _e.uid)
    .limit(value("limit", sa.Integer()))
)
_AGED_SUMS = (
    sa.select(_m.account_id, sa.func.count(), sa.cast(sa.func.sum(_e.size_octets), sa.BigInteger))
    .join_from(schema.mailboxes, schema.entry)
    .where(*_OLD)
    .group_by(_m.account_id)
)
AGED = Statement(_AGED)
AGED_AND_SEEN = Statement(_AGED.where(_SEEN))
AGED_SUMS = Statement(_AGED_SUMS)
AGED_AND_SEEN_SUMS = Statement(_AGED_SUMS.where(_SEEN))
ADD_ENTRY = Statement(insert(schema.entry))
DROP_ENTRIES = Statement(sa.delete(schema.entry).where(_IN_FOLDER, _AMONG))
_SET_FLAGS = (
    sa.update(schema.entry)
    .where(_IN_FOLDER)
    .values(flags=value("flags"), keywords=value("keywords"), modseq=value("modseq"))
)
SET_FLAGS = Statement(_SET_FLAGS.where(_AMONG))
SET_FLAGS_BETWEEN = Statement(_SET_FLAGS.where(_e.uid.between(value("low"), value("high"))))
SET_TRASHED = Statement(
    sa.update(schema.entry)
    .where(_IN_FOLDER, _AMONG)
    .values(trashed_at=value("trashed_at", Instant()), modseq=value("modseq"))
)

VANISHED = Statement(
    sa.select(_v.uid, _v.modseq)
    .where(_v.mailbox_id == value("key"), _v.modseq > value("since"))
    .order_by(_v.uid)
)
ADD_VANISHED = Statement(insert(schema.vanished))

ADD_CONTENT = Statement(insert(schema.content).on_conflict_do_nothing())
CONTENTS = Statement(sa.select(*schema.content.columns).where(Among(_c.id, "ids")))
CONTENT_IN_FOLDER = Statement(
    sa.select(_c.account_id, _c.kind, _c.size_octets)
    .select_from(schema.content)
    .join(schema.mailboxes, _m.account_id == _c.account_id)
    .where(_c.id == value("id"), _m.id == value("key"))
)
DROP_UNNAMED = Statement(
    sa.delete(schema.content)
    .where(
        Among(_c.id, "ids"),
        ~sa.exists(sa.select(sa.literal_column("1")).where(_e.content_id == _c.id)),
    )
    .returning(_c.blob, _c.account_id)
)
BLOBS_OF = Statement(
    sa.union(
        sa.select(_c.blob).where(_c.account_id == value("id")),
        sa.select(_d.blob).where(_d.account_id == value("id")),
    )
)
KNOWN_BLOBS = Statement(
    sa.union(
        sa.select(_c.blob).where(Among(_c.blob, "blobs")),
        sa.select(_d.blob).where(Among(_d.blob, "blobs")),
    )
)

DISCARD = Statement(insert(schema.discarded).on_conflict_do_nothing())
_DISCARDED = (
    sa.select(_d.blob)
    .where(
        _d.at < value("before", Instant()),
        ~sa.exists(sa.select(sa.literal_column("1")).where(_c.blob == _d.blob)),
    )
    .order_by(_d.at, _d.blob)
    .limit(value("limit", sa.Integer()))
)
DISCARDED = Statement(_DISCARDED)
DISCARDED_OF = Statement(_DISCARDED.where(Among(_d.account_id, "ids")))
FORGET_DISCARDED = Statement(sa.delete(schema.discarded).where(Among(_d.blob, "blobs")))

ADD_INGEST = Statement(insert(schema.ingests).on_conflict_do_nothing())
INGESTED = Statement(sa.select(_i.mailbox_id, _i.uid).where(_i.key == value("key")))
FORGET_INGESTS = Statement(sa.delete(schema.ingests).where(_i.at < value("before", Instant())))

OWNERS = Statement(sa.select(_m.id, _m.account_id).where(Among(_m.id, "keys")))
LOCK_ACCOUNT = Statement(sa.select(_a.id).where(_a.id == value("id")).with_for_update())
LOCK_FOLDERS = Statement(
    sa.select(_m.id).where(Among(_m.id, "keys")).order_by(_m.id).with_for_update()
)
CHARGE = Statement(
    sa.update(schema.accounts)
    .where(_a.id == value("id"))
    .values(used_octets=_a.used_octets + value("octets", sa.BigInteger()))
)
BUMP = Statement(
    sa.update(schema.mailboxes)
    .where(_m.id == value("key"))
    .values(
        uidnext=_m.uidnext + value("uids", sa.BigInteger()),
        highest_modseq=_m.highest_modseq + 1,
    )
    .returning(_m.account_id, _m.uidnext, _m.highest_modseq)
)

"""The whole schema, as SQLAlchemy Core tables: what the migrations must arrive at.

Laws:
- Identifiers are 32 hexadecimal digits, made once; a name is an attribute, never a key.
- Instants are microseconds in a BIGINT (`storage.instants`); octets, UIDs and MODSEQs are BIGINT.
- What belongs to an account names it in `account_id`; `purges` alone outlives its account.
- `content` is what a message is, `entry` is that message in a folder: a copy is one more entry.
"""

import sqlalchemy as sa

from storage.instants import Instant

REVISION = "0006"
"""The revision of `storage.migrations` that this module describes."""

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = sa.String(32)
Row = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number the database gives out; SQLite counts only INTEGER keys by itself."""


def _account(*, primary_key: bool = False, index: bool = False) -> sa.Column[str]:
    return sa.Column(
        "account_id",
        Id,
        sa.ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
        index=index or None,
    )


accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("domain", sa.Text, nullable=False),
    # Case-folded by Python: SQLite's own lower() knows ASCII only.
    sa.Column("name_key", sa.Text, nullable=False),
    sa.Column("domain_key", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("full_name", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("quota_octets", sa.BigInteger, nullable=False),
    sa.Column("voicemail_enabled", sa.Boolean, nullable=False),
    sa.Column("ring_seconds", sa.Integer),
    sa.Column("password_hash", sa.Text),
    sa.Column("pin_hash", sa.Text),
    sa.Column("state_reason", sa.Text, nullable=False),
    sa.Column("suspended_at", Instant),
    sa.Column("closed_at", Instant),
    sa.Column("purge_at", Instant),
    sa.Column("legal_hold_at", Instant),
    sa.Column("legal_hold_reason", sa.Text, nullable=False, server_default=sa.text("''")),
    # Kept with every change of an entry, in the same transaction.
    sa.Column("used_octets", sa.BigInteger, nullable=False, server_default="0"),
    # The last UIDVALIDITY given to a folder of this account: it only grows.
    sa.Column("last_uidvalidity", sa.BigInteger, nullable=False, server_default="0"),
    sa.UniqueConstraint("name_key", "domain_key"),
)

preferences = sa.Table(
    "preferences",
    metadata,
    _account(primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

numbers = sa.Table(
    "numbers",
    metadata,
    sa.Column("e164", sa.String(16), primary_key=True),
    sa.Column("account_id", Id, sa.ForeignKey("accounts.id"), index=True),
    sa.Column("use", sa.String(8), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("hold_until", Instant),
)

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column(
        "e164",
        sa.String(16),
        sa.ForeignKey("numbers.e164", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
)

mailboxes = sa.Table(
    "mailboxes",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("uidvalidity", sa.BigInteger, nullable=False),
    sa.Column("uidnext", sa.BigInteger, nullable=False),
    sa.Column("highest_modseq", sa.BigInteger, nullable=False),
    sa.Column("special_use", sa.Text),
    sa.Column("recent_floor", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("account_id", "name"),
)

subscriptions = sa.Table(
    "subscriptions",
    metadata,
    _account(primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
)

annotations = sa.Table(
    "annotations",
    metadata,
    _account(primary_key=True),
    # Empty for what is the account's own: then there is no folder to refer to.
    sa.Column("mailbox_id", Id, primary_key=True),
    sa.Column("entry", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

content = sa.Table(
    "content",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(index=True),
    sa.Column("blob", Id, nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("size_octets", sa.BigInteger, nullable=False),
    sa.Column("thread_id", sa.Text, nullable=False),
    sa.Column("duration_seconds", sa.Integer),
    sa.Column("pages", sa.Integer),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("bodystructure", sa.LargeBinary, nullable=False),
    sa.Column("structure", sa.LargeBinary, nullable=False),
    sa.Column("header", sa.LargeBinary, nullable=False),
)

# Bodies whose content row is gone, until they are deleted. No foreign key: they may outlive their
# account. No index but the key: the table holds the expunges of some minutes.
discarded = sa.Table(
    "discarded",
    metadata,
    sa.Column("blob", Id, primary_key=True),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

entry = sa.Table(
    "entry",
    metadata,
    sa.Column(
        "mailbox_id", Id, sa.ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
    # No index and no key of its own: an account's entries are found by its folders, and each
    # index costs every delivery one more page in the log. Nor has `modseq` one: what changed in a
    # folder is found by a sweep of it, and a change of flags has no index to mend.
    sa.Column("account_id", Id, nullable=False),
    sa.Column("content_id", Id, sa.ForeignKey("content.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("size_octets", sa.BigInteger, nullable=False),
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Column("flags", sa.Integer, nullable=False),  # bits of storage.flags
    sa.Column("keywords", sa.Text, nullable=False),
    sa.Column("internal_date", Instant, nullable=False),
    sa.Column("saved_at", Instant, nullable=False),
    sa.Column("trashed_at", Instant),
    sa.Index(
        "ix_entry_trashed_at",
        "trashed_at",
        sqlite_where=sa.text("trashed_at IS NOT NULL"),
        postgresql_where=sa.text("trashed_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,  # rows lie in UID order, so listing a folder is one sweep
)

vanished = sa.Table(
    "vanished",
    metadata,
    sa.Column(
        "mailbox_id", Id, sa.ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("uid", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Index("ix_vanished_mailbox_id_modseq", "mailbox_id", "modseq"),
    sqlite_with_rowid=False,
)

# No foreign keys: the delivery must be remembered though its message was expunged since. No index
# but the key: the table holds a day's deliveries, and is swept whole.
ingests = sa.Table(
    "ingests",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("mailbox_id", Id, nullable=False),
    sa.Column("uid", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(index=True),
    sa.Column("octets", sa.BigInteger, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)

# Addresses outside that copies may go to.
forward_addresses = sa.Table(
    "forward_addresses",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("address_key", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("token_hash", sa.String(64), index=True),
    sa.Column("token_expires_at", Instant),
    sa.Column("confirmed_at", Instant),
    sa.Column("bounces", sa.Integer, nullable=False),
    sa.Column("bounced_at", Instant),
    sa.UniqueConstraint("account_id", "address_key"),
)

# The durable queue of what leaves the house: copies, confirmations and webhook events. Its id is
# the token in the envelope sender.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(index=True),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("next_try", Instant, nullable=False),
    sa.Column("content_id", Id, sa.ForeignKey("content.id", ondelete="SET NULL"), index=True),
    # No key: the folder may be deleted meanwhile.
    sa.Column("mailbox_id", Id),
    sa.Column("uid", sa.BigInteger),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("after", sa.String(16), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("leased_until", Instant),
    sa.Column("finished_at", Instant),
    sa.Index("ix_outbox_state_next_try", "state", "next_try"),
)

# Of each secret its SHA-256, 64 hexadecimal digits: it opens nothing.
web_sessions = sa.Table(
    "web_sessions",
    metadata,
    sa.Column("secret_hash", sa.String(64), primary_key=True),
    _account(index=True),
    sa.Column("opened_at", Instant, nullable=False),
    sa.Column("used_at", Instant, nullable=False),
    sa.Column("peer", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
)

operator_tokens = sa.Table(
    "operator_tokens",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("secret_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", sa.Text, nullable=False),  # in order, with spaces between
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
)

app_passwords = sa.Table(
    "app_passwords",
    metadata,
    sa.Column("id", Id, primary_key=True),
    _account(),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.String(64), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("used_at", Instant),
    sa.UniqueConstraint("account_id", "secret_hash"),
)

one_time_links = sa.Table(
    "one_time_links",
    metadata,
    sa.Column("secret_hash", sa.String(64), primary_key=True),
    _account(),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.UniqueConstraint("account_id", "purpose"),
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", Row, primary_key=True),
    _account(),
    sa.Column("at", Instant, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("number", sa.String(16)),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("duration_seconds", sa.Double, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("ix_calls_account_id_at", "account_id", "at"),
    sqlite_autoincrement=True,
)

# No foreign key: what was done to an account may be told before it is there.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Row, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("account_id", Id, index=True),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

purges = sa.Table(
    "purges",
    metadata,
    sa.Column("account_id", Id, primary_key=True),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("messages", sa.BigInteger, nullable=False),
    sa.Column("octets", sa.BigInteger, nullable=False),
    sa.Column("blobs", sa.BigInteger, nullable=False),
)

lockout_failures = sa.Table(
    "lockout_failures",
    metadata,
    sa.Column("id", Row, primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False, index=True),
    sa.Index("ix_lockout_failures_subject_at", "subject", "at"),
    sqlite_autoincrement=True,
)

# Hints for other processes: where to look. `origin` is the store that wrote the row.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column("id", Row, primary_key=True),
    sa.Column("account_id", Id, nullable=False),
    sa.Column("mailbox_id", Id),
    sa.Column("modseq", sa.BigInteger, nullable=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("origin", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

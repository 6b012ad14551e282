"""PostgreSQL by psycopg 3: eight threads, a connection each; rows locked, losers run again.

Laws:
- A write runs READ COMMITTED and locks the account's row, then the folder's (`storage.messages`).
- A read runs REPEATABLE READ, READ ONLY: one consistent view.
- A COMMIT without an answer is neither success nor repeated: the caller asks by its ingest key.
"""

from contextlib import closing
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors, sql

from storage import schema
from storage.backend import Fault
from storage.unit import Cursor

CHANNEL = "um_changes"
LIVE_LOCK = 0x756D_0001
"""Advisory lock: shared by every live store, exclusive for a migration or a repair."""

CONNECT_SECONDS = 5
_SETTINGS = (
    "-c lock_timeout=5s -c statement_timeout=60s -c idle_in_transaction_session_timeout=120s"
)
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)
_BROKEN = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.ReadOnlySqlTransaction,  # a failover left us on the standby
)


def connect(url: sa.URL, *, settings: str = _SETTINGS) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in autocommit mode: transactions are begun and ended in so many words."""
    arguments, options = url.get_dialect()().create_connect_args(url)
    defaults = {"connect_timeout": CONNECT_SECONDS, "keepalives_idle": 30, "options": settings}
    return psycopg.connect(*arguments, **{**defaults, **options}, autocommit=True)


class PostgresBackend:
    """`storage.backend.Backend` on one database of a server."""

    dialect: sa.Dialect
    writer_threads = 8
    reader_threads = 0
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.dialect = url.get_dialect()()

    def connect(self, *, writes: bool) -> psycopg.Connection[tuple[Any, ...]]:  # noqa: ARG002
        return connect(self.url)

    def begin(self, cursor: Cursor, *, writes: bool) -> None:
        cursor.execute("BEGIN" if writes else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self, cursor: Any) -> None:
        cursor.execute("COMMIT")
        if cursor.statusmessage != "COMMIT":
            # A statement had failed and the work hid it: the server rolled back, politely.
            raise errors.InFailedSqlTransaction("the transaction was rolled back at COMMIT")

    def rollback(self, cursor: Cursor) -> None:
        cursor.execute("ROLLBACK")

    def tell_others(self, cursor: Cursor, origin: int) -> None:
        cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, str(origin)))

    def fault(self, error: Exception) -> Fault:
        if isinstance(error, _AGAIN):
            return Fault.RETRY
        if isinstance(error, errors.ForeignKeyViolation):
            return Fault.MISSING
        if isinstance(error, errors.UniqueViolation):
            return Fault.TAKEN
        if isinstance(error, psycopg.DataError):
            return Fault.INVALID
        if isinstance(error, _BROKEN):
            return Fault.GONE
        if isinstance(error, psycopg.OperationalError):
            return Fault.TEMPORARY if error.sqlstate else Fault.GONE
        return Fault.GONE if isinstance(error, psycopg.InterfaceError) else Fault.NONE

    def compact(self) -> None:
        """VACUUM FULL of each table: it writes the live rows into new files and unlinks the old.

        A plain VACUUM only marks the room as free, and what was deleted stays readable in the
        pages until they are reused. The tables are locked one at a time while they are rewritten:
        they hold no message bodies, so this is short, and purges are few.
        """
        with closing(self.connect(writes=True)) as connection:
            cursor = connection.cursor()
            cursor.execute("SET statement_timeout = 0; SET lock_timeout = '60s'")
            for table in schema.metadata.sorted_tables:
                name = sql.Identifier(table.name)
                cursor.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(name))

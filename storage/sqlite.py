"""SQLite: one writing connection, a few reading ones, write-ahead log, synced at each commit.

Laws:
- BEGIN IMMEDIATE: a writer waits at the door, never in the middle (no SQLITE_BUSY at an upgrade).
- `synchronous=FULL`: with NORMAL a power cut takes commits that were acknowledged.
- What is deleted is zeroed (`secure_delete`), and what stays of it elsewhere is scrubbed in slices
  (`storage.scrub`), so that a purge keeps no writer waiting.
- After CORRUPT or IOERR the connection is closed: SQLite may report them for a passing fault.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from storage import scrub
from storage.backend import Fault
from storage.unit import Cursor
from um.core.errors import UnavailableError

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a writer waits for one of another process (a command line beside the server)."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON")
_TEMPORARY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}
_GONE = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_INTERRUPT,
}
_CONSTRAINTS = {
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Fault.MISSING,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Fault.TAKEN,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Fault.TAKEN,
}


def connect(path: Path | str, *, writes: bool) -> sqlite3.Connection:
    """A connection as the house wants it; one that does not write cannot."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        if not writes:
            connection.execute("PRAGMA query_only=ON")
    except BaseException:
        connection.close()
        raise
    return connection


class SqliteBackend:
    """`storage.backend.Backend` on one file."""

    dialect: sa.Dialect
    writer_threads = 1
    reader_threads = 3
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, url: sa.URL) -> None:
        assert url.database is not None
        self.path = Path(url.database)
        self.dialect = url.get_dialect()()

    def connect(self, *, writes: bool) -> sqlite3.Connection:
        return connect(self.path, writes=writes)

    def begin(self, cursor: Cursor, *, writes: bool) -> None:
        cursor.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    def commit(self, cursor: Cursor) -> None:
        cursor.execute("COMMIT")

    def rollback(self, cursor: sqlite3.Cursor) -> None:
        if cursor.connection.in_transaction:  # a full disk may have ended it already
            cursor.execute("ROLLBACK")

    def tell_others(self, cursor: Cursor, origin: int) -> None:
        """Nothing: they see `PRAGMA data_version` change."""

    def fault(self, error: Exception) -> Fault:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return Fault.NONE
        if code in _CONSTRAINTS:
            return _CONSTRAINTS[code]
        primary = code & 0xFF
        if primary in _TEMPORARY:
            return Fault.TEMPORARY
        return Fault.GONE if primary in _GONE else Fault.NONE

    def compact(self) -> None:
        """Zero what belongs to nobody, in a process of its own, and empty the log on both sides of it.

        A file that cannot be scrubbed is written anew, which keeps writers out meanwhile.
        Raises UnavailableError while a reader keeps the log from being emptied.
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "storage.scrub", str(self.path), str(BUSY_TIMEOUT_SECONDS)],
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode == scrub.UNKNOWN_LAYOUT:
            self._write_anew()
        elif done.returncode:
            raise UnavailableError("The database is being read; its log could not be emptied")

    def _write_anew(self) -> None:
        with closing(connect(self.path, writes=True)) as connection:
            cursor = connection.cursor()
            _empty_log(cursor)
            cursor.execute("VACUUM")
            _empty_log(cursor)


def _empty_log(cursor: sqlite3.Cursor) -> None:
    (busy, *_), *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy:
        raise UnavailableError("The database is being read; its log could not be emptied")

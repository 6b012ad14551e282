"""A few rows of SQLite by their keys, read on the loop's own thread.

In write-ahead mode a reader waits for nobody, and such a look costs 20 microseconds where a thread
costs 200. The connection waits for no lock either: where one is held (a recovery after a crash) the
answer is None, and the caller goes to a thread.

A `stamp` costs a tenth of a look, and says whether what was seen before is still so.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage import sqlite
from storage.transaction import SqlTransaction
from storage.unit import Unit
from um.core.ports import Clock, Transaction
from um.core.steps import no_steps

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """The result of a look that was possible."""

    result: T


class SqliteGlance:
    """One connection that only reads; of one thread."""

    def __init__(self, backend: sqlite.SqliteBackend, clock: Clock) -> None:
        self._path = backend.path
        self._dialect = backend.dialect
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._connections = 0

    def look(self, work: Callable[[Transaction], T]) -> Seen[T] | None:
        """Do `work` on one consistent view; None: not now. Raises what `work` raises."""
        try:
            cursor = self._cursor()
            cursor.execute("BEGIN")
            unit = Unit(cursor, self._dialect, clock=self._clock, steps=no_steps, writes=False)
            result = work(SqlTransaction(unit))
            cursor.execute("COMMIT")
        except sqlite3.Error:
            self.close()
            return None
        except BaseException:
            self._end()
            raise
        return Seen(result)

    def stamp(self) -> tuple[int, int] | None:
        """Equal to an earlier one only if nothing was committed in between; None: not now.

        `PRAGMA data_version` changes with every commit of another connection, and this one, which
        only reads, never commits anything. It compares with itself only, hence the number beside it.
        """
        try:
            rows = self._cursor().execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:
            self.close()
            return None
        return self._connections, rows[0][0]

    def close(self) -> None:
        """Close the connection; the next look makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _cursor(self) -> sqlite3.Cursor:
        if self._connection is None:
            self._connections += 1
            self._connection = sqlite.connect(self._path, writes=False)
            self._connection.execute("PRAGMA busy_timeout=0").fetchall()
        return self._connection.cursor()

    def _end(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()

"""Follows `changes`: what other processes commit becomes events on this one's loop.

The position is the last row seen. Rows are hints, so one that comes twice does no harm; one that
were missed would, so every doubt is settled by reading again.
"""

import os
import select
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import sqlalchemy as sa
import structlog

from storage import postgres, schema, sqlite
from storage.statement import Statement, Values, value
from um.core.events import AccountChanged, Change, MailboxChanged

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.1
"""SQLite: how often `PRAGMA data_version` is looked at (a few microseconds)."""
RESYNC_SECONDS = 30.0
"""PostgreSQL: read without being told, in case a notification was lost."""
RECONNECT_SECONDS = 1.0
WINDOW = 256
"""PostgreSQL: ids are taken before the commit, so a row may appear this far behind the last."""

_c = schema.changes.c
_SINCE = Statement(
    sa.select(_c.id, _c.account_id, _c.mailbox_id, _c.modseq, _c.what, _c.origin)
    .where(_c.id > value("since"))
    .order_by(_c.id)
)
_LAST = Statement(sa.select(sa.func.coalesce(sa.func.max(_c.id), 0)))

Publish = Callable[[list[Change]], bool]
"""Returns False if nobody could be told: the rows are read again."""


def last_change(cursor: Any, dialect: sa.Dialect) -> int:
    """The id of the newest row: where following begins."""
    cursor.execute(_LAST.compiled(dialect).text, _LAST.compiled(dialect).arguments({}))
    return int(cursor.fetchall()[0][0])


def _since(cursor: Any, dialect: sa.Dialect, since: int) -> list[Values]:
    compiled = _SINCE.compiled(dialect)
    cursor.execute(compiled.text, compiled.arguments({"since": since}))
    rows: list[Values] = cursor.fetchall()
    return rows


def _events(rows: Iterable[Values], own: int) -> list[Change]:
    """One event a folder or account, the newest, in the order of the rows."""
    found: OrderedDict[str, Change] = OrderedDict()
    for _, account_id, mailbox_id, modseq, what, origin in rows:
        if origin == own:
            continue
        if what == "mailbox":
            found[mailbox_id] = MailboxChanged(account_id, mailbox_id, modseq)
        else:
            found[account_id] = AccountChanged(account_id)
    return list(found.values())


class SqliteFollower(threading.Thread):
    """Polls `PRAGMA data_version`, which another connection's commit changes."""

    def __init__(self, backend: sqlite.SqliteBackend, *, origin: int, publish: Publish) -> None:
        super().__init__(name="um-changes", daemon=True)
        self._backend = backend
        self._origin = origin
        self._publish = publish
        self._ended = threading.Event()
        connection = sqlite.connect(backend.path, writes=False)
        try:
            self._last = last_change(connection.cursor(), backend.dialect)
        finally:
            connection.close()

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                self._follow()
            except sqlite3.Error as error:
                log.warning("changes cannot be read", error=str(error))
                self._ended.wait(RECONNECT_SECONDS)

    def stop(self) -> None:
        """End the thread; waits until it has."""
        self._ended.set()
        if self.is_alive():
            self.join()

    def _follow(self) -> None:
        connection = sqlite.connect(self._backend.path, writes=False)
        try:
            version = -1
            while not self._ended.wait(POLL_SECONDS):
                now = connection.execute("PRAGMA data_version").fetchone()[0]
                if now != version and self._tell(connection):
                    version = now
        finally:
            connection.close()

    def _tell(self, connection: sqlite3.Connection) -> bool:
        rows = _since(connection.cursor(), self._backend.dialect, self._last)
        events = _events(rows, self._origin)
        if events and not self._publish(events):
            return False
        if rows:
            self._last = rows[-1][0]
        return True


class PostgresFollower(threading.Thread):
    """LISTENs on a connection of its own; reads again after each connect and now and then."""

    def __init__(self, backend: postgres.PostgresBackend, *, origin: int, publish: Publish) -> None:
        super().__init__(name="um-changes", daemon=True)
        self._backend = backend
        self._origin = origin
        self._publish = publish
        self._ended = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._connection: psycopg.Connection[Any] | None = self._connect()
        cursor = self._connection.cursor()
        self._last = last_change(cursor, backend.dialect)
        # What is there already was never missed.
        self._seen = {row[0] for row in self._window(cursor)}

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                if self._connection is None:
                    self._connection = self._connect()
                self._follow(self._connection)
            except psycopg.Error as error:
                log.warning("changes cannot be followed", error=str(error).strip())
                self._drop()
                self._ended.wait(RECONNECT_SECONDS)
        self._drop()

    def stop(self) -> None:
        """End the thread; waits until it has. Again: nothing."""
        if self._ended.is_set():
            return
        self._ended.set()
        os.write(self._wake_write, b"x")
        if self.is_alive():
            self.join()
        self._drop()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _connect(self) -> psycopg.Connection[Any]:
        # idle_in_transaction and statement timeouts do not concern a connection that listens.
        connection = postgres.connect(self._backend.url)
        try:
            connection.execute(f"LISTEN {postgres.CHANNEL}")
            connection.execute("SELECT pg_advisory_lock_shared(%s)", (postgres.LIVE_LOCK,))
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _follow(self, connection: psycopg.Connection[Any]) -> None:
        doubt = True
        while not self._ended.is_set():
            if doubt:
                self._tell(connection)
            ready, _, _ = select.select(
                [connection.fileno(), self._wake_read], [], [], RESYNC_SECONDS
            )
            told = [each.payload for each in connection.notifies(timeout=0)] if ready else []
            doubt = not ready or any(payload != str(self._origin) for payload in told)

    def _window(self, cursor: Any) -> list[Values]:
        return _since(cursor, self._backend.dialect, self._last - WINDOW)

    def _tell(self, connection: psycopg.Connection[Any]) -> None:
        rows = self._window(connection.cursor())
        events = _events((row for row in rows if row[0] not in self._seen), self._origin)
        if events and not self._publish(events):
            return
        if rows:
            self._last = max(self._last, rows[-1][0])
        self._seen = {row[0] for row in rows if row[0] > self._last - WINDOW}

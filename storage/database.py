"""The store on a database: units of work on database threads, events after the commit.

Laws:
- A connection belongs to one thread for life; SQLite has one thread that writes, and what waits
  for it is committed together (`storage.group`).
- Hints are published on the loop's thread, after the commit and before its caller goes on.
- What cannot be reached or written raises UnavailableError, and nothing was changed. The one doubt
  is a COMMIT whose answer was lost: it raises too, is never run again, and the ingest key tells.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
import structlog

from storage import schema
from storage.backend import Backend, Connection, Fault, database_url
from storage.follower import PostgresFollower, SqliteFollower
from storage.glance import SqliteGlance
from storage.group import Outcome, Waiting, Writer, answer_all
from storage.instants import Instant
from storage.postgres import PostgresBackend
from storage.revision import check_revision
from storage.sqlite import SqliteBackend
from storage.statement import Statement, value
from storage.transaction import SqlTransaction
from storage.unit import Unit
from um.core.errors import (
    AlreadyExistsError,
    InvalidError,
    NotFoundError,
    UMError,
    UnavailableError,
)
from um.core.events import Change, Event
from um.core.ports import Clock, Metrics, NoMetrics, Transaction
from um.core.steps import Steps, no_steps

log = structlog.get_logger(__name__)
T = TypeVar("T")

TRIES = 5
"""How often a transaction that lost against another one is run."""
_TRIM = Statement(sa.delete(schema.changes).where(schema.changes.c.at < value("before", Instant())))


_OWN_FAULTS = {Fault.NONE, Fault.MISSING, Fault.TAKEN, Fault.INVALID}
"""What a unit of work does wrong by itself: the transaction around its savepoint is unharmed."""


class _RunAgainError(Exception):
    """The transaction was rolled back and may be run again."""


class DatabaseStore:
    """`um.core.ports.Store` on SQLite or PostgreSQL; made by `open_store`."""

    def __init__(
        self,
        backend: Backend,
        *,
        publish: Callable[[Iterable[Event]], None],
        clock: Clock,
        steps: Steps,
        metrics: Metrics,
    ) -> None:
        self._backend = backend
        self._publish = publish
        self._clock = clock
        self._steps = steps
        self._metrics = metrics
        self._origin = secrets.randbits(62)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._local = threading.local()
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()
        self._writer = Writer(self._write_group) if backend.writer_threads == 1 else None
        threads = backend.reader_threads or backend.writer_threads
        self._threads = ThreadPoolExecutor(threads, "um-database-read")
        self._follower = self._new_follower()
        self._glance = SqliteGlance(backend, clock) if isinstance(backend, SqliteBackend) else None

    async def run(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` in one transaction that may write, and commit it durably."""
        return await self._submit(name, work, writes=True)

    async def read(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` on one consistent view. A write in it raises the driver's own error."""
        return await self._submit(name, work, writes=False)

    @property
    def glances(self) -> bool:
        """`um.core.at_once.Glancing`."""
        return self._glance is not None

    async def glance(self, name: str, work: Callable[[Transaction], T], /) -> T:
        """`um.core.at_once.Glancing`: at once on SQLite; as `read` on PostgreSQL."""
        self.start_following()
        seen = self._glance.look(work) if self._glance is not None else None
        return await self.read(name, work) if seen is None else seen.result

    def stamp(self) -> Hashable | None:
        """`um.core.at_once.Glancing`; PostgreSQL has none."""
        return self._glance.stamp() if self._glance is not None else None

    async def compact(self) -> None:
        """Leave nothing readable of what was deleted. Raises UnavailableError if it is in use."""
        await self._on_thread(self._compact)

    async def trim_changes(self, before: datetime) -> int:
        """Drop the hints older than `before`: every process has long read them."""

        def trim(unit: Unit) -> int:
            return unit.do(_TRIM, before=before)

        return await self._written("trim-changes", trim)

    async def close(self) -> None:
        """End the threads, after what they were given, and close the connections."""
        self._threads.shutdown(wait=False)
        if self._glance is not None:
            self._glance.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._shut)

    def start_following(self) -> None:
        """Publish what other processes commit, from now on; `run` and `read` do it by themselves.

        Call it on the loop.
        """
        self._loop = asyncio.get_running_loop()
        if not self._follower.is_alive() and self._follower.ident is None:
            self._follower.start()

    async def _submit(self, name: str, work: Callable[[Transaction], T], *, writes: bool) -> T:
        started = self._clock.monotonic()

        def on_unit(unit: Unit) -> T:
            return work(SqlTransaction(unit))

        try:
            if writes:
                return await self._written(name, on_unit)
            return await self._on_thread(self._retried, name, on_unit, False)
        except UnavailableError:
            self._metrics.count("storage_unavailable")
            raise
        finally:
            seconds = self._clock.monotonic() - started
            self._metrics.observe(f"storage_{'run' if writes else 'read'}_seconds", seconds)

    async def _written(self, name: str, work: Callable[[Unit], T]) -> T:
        """Do what may write. Who waits for the one writer shares the transaction with the others."""
        if self._writer is None:
            return await self._on_thread(self._retried, name, work, True)
        self.start_following()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._writer.put(Waiting(name, work, future))
        return await future

    async def _on_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        self.start_following()
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._threads, work, *arguments)
        except RuntimeError as error:  # the pool was shut down
            raise UnavailableError from error
        return await future

    # From here on: on a database thread.

    def _write_group(self, group: list[Waiting[Any]]) -> None:
        """Answer all of a group: together, or each by itself."""
        if len(group) > 1 and self._commit_together(group):
            return
        for waiting in group:
            try:
                result, changes = self._run_again(waiting.name, waiting.work, writes=True)
                outcome = Outcome(waiting, result, changes=changes)
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                outcome = Outcome(waiting, failure=error)
            answer_all([outcome], self._publish)

    def _commit_together(self, group: list[Waiting[Any]]) -> bool:
        """Whether all were answered; False: nothing was done, and each is to be run by itself."""
        cursor: Any = None
        begun = committing = False
        try:
            cursor = self._connection(writes=True).cursor()
            self._backend.begin(cursor, writes=True)
            begun = True
            outcomes = [self._within(cursor, waiting) for waiting in group]
            committing = True
            self._backend.commit(cursor)
        except self._backend.errors as error:
            self._end(cursor)
            fault = self._backend.fault(error)
            if committing or (fault is Fault.TEMPORARY and not begun):
                # Locked out at the door: they have all waited once, that is enough.
                failure = self._failure("group", error, committing=committing)
                answer_all([Outcome(each, failure=failure) for each in group], self._publish)
                return True
            if fault is Fault.GONE:
                self._drop()
            return False
        answer_all([outcome.committed() for outcome in outcomes], self._publish)
        return True

    def _within(self, cursor: Any, waiting: Waiting[Any]) -> Outcome:
        """Do one unit within its savepoint. Raises what ends the whole transaction."""
        steps = self._steps if waiting.name == "deliver" else no_steps
        cursor.execute("SAVEPOINT unit")
        try:
            steps("transaction.begun")
            unit = Unit(cursor, self._backend.dialect, clock=self._clock, steps=steps, writes=True)
            result = waiting.work(unit)
            if unit.changes:
                unit.write_changes(self._origin)
                self._backend.tell_others(cursor, self._origin)
            steps("transaction.before-commit")
        except BaseException as error:
            failure = error
            if isinstance(error, self._backend.errors):
                if self._backend.fault(error) not in _OWN_FAULTS:
                    raise
                failure = self._failure(waiting.name, error, committing=False)
            elif isinstance(error, UnicodeEncodeError):
                failure = InvalidError()
                failure.__cause__ = error
            cursor.execute("ROLLBACK TO unit")
            cursor.execute("RELEASE unit")
            return Outcome(waiting, failure=failure)
        cursor.execute("RELEASE unit")
        return Outcome(waiting, result, changes=tuple(unit.changes.values()), steps=steps)

    def _failure(self, name: str, error: Exception, *, committing: bool) -> BaseException:
        try:
            self._translate(name, error, committing=committing)
        except (UMError, _RunAgainError) as failure:
            return failure
        except self._backend.errors as failure:
            return failure

    def _retried(self, name: str, work: Callable[[Unit], T], writes: bool) -> T:
        result, changes = self._run_again(name, work, writes=writes)
        if changes:
            self._tell(changes)
        return result

    def _run_again(
        self, name: str, work: Callable[[Unit], T], *, writes: bool
    ) -> tuple[T, tuple[Change, ...]]:
        for attempt in range(1, TRIES + 1):
            try:
                return self._once(name, work, writes=writes)
            except _RunAgainError as again:
                log.info("transaction runs again", transaction=name, attempt=attempt)
                self._metrics.count("storage_retries")
                cause = again.__cause__
        raise UnavailableError from cause

    def _once(
        self, name: str, work: Callable[[Unit], T], *, writes: bool
    ) -> tuple[T, tuple[Change, ...]]:
        steps = self._steps if name == "deliver" and writes else no_steps
        committing = False
        cursor: Any = None
        try:
            cursor = self._connection(writes=writes).cursor()
            self._backend.begin(cursor, writes=writes)
            steps("transaction.begun")
            unit = Unit(
                cursor, self._backend.dialect, clock=self._clock, steps=steps, writes=writes
            )
            result = work(unit)
            if unit.changes:
                unit.write_changes(self._origin)
                self._backend.tell_others(cursor, self._origin)
            steps("transaction.before-commit")
            committing = True
            self._backend.commit(cursor)
        except self._backend.errors as error:
            self._end(cursor)
            self._translate(name, error, committing=committing)
        except UnicodeEncodeError as error:  # a lone surrogate is no text (IMAP names can hold one)
            self._end(cursor)
            raise InvalidError from error
        except BaseException:
            self._end(cursor)
            raise
        steps("transaction.committed")
        return result, tuple(unit.changes.values())

    def _translate(self, name: str, error: Exception, *, committing: bool) -> NoReturn:
        """Raise what the driver's error means to the caller."""
        fault = self._backend.fault(error)
        if fault is Fault.MISSING:
            raise NotFoundError from error
        if fault is Fault.TAKEN:
            raise AlreadyExistsError from error
        if fault is Fault.INVALID:
            raise InvalidError from error
        if fault is Fault.NONE:
            raise error
        if fault is Fault.GONE:
            fresh = getattr(self._local, "fresh", False)
            self._drop()
            if not committing and not fresh:
                # An old connection died while it lay idle; nothing was done on it.
                raise _RunAgainError from error
        if fault is Fault.RETRY:
            raise _RunAgainError from error
        log.warning(
            "database unavailable",
            transaction=name,
            error=str(error).strip(),
            outcome="unknown" if committing and fault is Fault.GONE else "nothing done",
        )
        raise UnavailableError from error

    def _connection(self, *, writes: bool) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        self._local.fresh = connection is None
        if connection is None:
            connection = self._backend.connect(writes=writes)
            self._local.connection = connection
            with self._lock:
                self._connections.add(connection)
        return connection

    def _end(self, cursor: Any) -> None:
        """Roll back; a connection that cannot is dropped."""
        if cursor is None:
            return
        try:
            self._backend.rollback(cursor)
        except self._backend.errors:
            self._drop()

    def _drop(self) -> None:
        connection: Connection | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            with self._lock:
                self._connections.discard(connection)
            with suppress(*self._backend.errors):
                connection.close()

    def _compact(self) -> None:
        try:
            self._backend.compact()
        except self._backend.errors as error:
            raise UnavailableError("The database could not be compacted now") from error

    def _tell(self, events: Iterable[Change]) -> bool:
        loop = self._loop
        if loop is None:
            return False
        try:
            loop.call_soon_threadsafe(self._publish, events)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return False
        return True

    def _shut(self) -> None:
        self._follower.stop()
        self._threads.shutdown()
        if self._writer is not None:
            self._writer.shut()
        for connection in self._connections:
            with suppress(*self._backend.errors):
                connection.close()
        self._connections.clear()

    def _new_follower(self) -> SqliteFollower | PostgresFollower:
        kind = {SqliteBackend: SqliteFollower, PostgresBackend: PostgresFollower}
        make: Callable[..., SqliteFollower | PostgresFollower] = kind[type(self._backend)]
        return make(self._backend, origin=self._origin, publish=self._tell)


def open_store(
    database: str | Path,
    *,
    publish: Callable[[Iterable[Event]], None],
    clock: Clock,
    steps: Steps = no_steps,
    metrics: Metrics | None = None,
) -> DatabaseStore:
    """Open the store; the schema must be there (`storage.migrate.upgrade`).

    Args:
        database: a path, `sqlite:///path` or `postgresql+psycopg://user@host/name`.
        publish: told of every change, own and foreign, on the loop of the last call.
        clock: stamps the changes and seeds UIDVALIDITY.
        steps: announced in transactions named `deliver` only.
        metrics: counts failures and measures the units of work.

    Raises UnavailableError if it cannot be reached, WrongRevisionError if it wants a migration.
    """
    url = database_url(database)
    backend: Backend = (
        SqliteBackend(url) if url.get_backend_name() == "sqlite" else PostgresBackend(url)
    )
    try:
        check_revision(backend)
        return DatabaseStore(
            backend, publish=publish, clock=clock, steps=steps, metrics=metrics or NoMetrics()
        )
    except backend.errors as error:
        raise UnavailableError("The database cannot be opened") from error

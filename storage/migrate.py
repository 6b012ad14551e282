"""Brings a database to the present schema: at the first start of `serve`, and for `um migrate`.

Laws:
- All revisions run in one transaction: a process killed at any instant leaves the old schema whole.
- A database without tables is filled under the database's own lock, so two may start at once;
  a real migration wants the data folder (and, on PostgreSQL, every node) for itself.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config

from storage import locks, schema
from storage.backend import Backend, database_url
from storage.postgres import LIVE_LOCK, PostgresBackend
from storage.revision import revision_of
from storage.sqlite import SqliteBackend
from um.core.errors import UnavailableError

log = structlog.get_logger(__name__)


def upgrade(database: str | Path, *, data_dir: Path | None = None) -> bool:
    """Upgrade the schema if it is not the present one; returns whether anything was done.

    Args:
        database: as for `open_store`; the folder of an SQLite file is made.
        data_dir: the folder whose lock a migration of existing tables takes; for SQLite the
            folder of the file, if left out. The caller must not hold that lock itself.

    Raises DataFolderBusyError if other um processes live, UnavailableError if it cannot be reached.
    """
    url = database_url(database)
    backend: Backend
    if url.get_backend_name() == "sqlite":
        backend = SqliteBackend(url)
        backend.path.parent.mkdir(parents=True, exist_ok=True)
        data_dir = data_dir or backend.path.parent
    else:
        backend = PostgresBackend(url)
    try:
        found = revision_of(backend)
        if found == schema.REVISION:
            return False
        alone = locks.hold(data_dir, exclusive=True) if found and data_dir else nullcontext()
        with alone:
            return _run(url, backend, real=found is not None)
    except (sa.exc.OperationalError, sqlite3.Error, psycopg.Error) as error:
        raise UnavailableError("The database cannot be reached for the migration") from error


def configuration(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, without a file: for `upgrade` and for writing a new revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _run(url: sa.URL, backend: Backend, *, real: bool) -> bool:
    with _transaction(url, backend, real=real) as connection:
        before = _revision(connection)
        if before == schema.REVISION:
            return False  # another process did it while this one waited
        command.upgrade(configuration(connection), "head")
        _after_revisions(before)
        return True


def _after_revisions(before: str | None) -> None:
    """Where a fault test may stop: all revisions have run and none is committed."""
    log.info("schema upgraded", before=before, after=schema.REVISION)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return version


@contextmanager
def _transaction(url: sa.URL, backend: Backend, *, real: bool) -> Iterator[sa.Connection]:
    """One transaction that nothing else can enter, committed only at its end."""
    engine = sa.create_engine(
        url,
        creator=lambda: backend.connect(writes=True),
        poolclass=sa.NullPool,
        isolation_level="AUTOCOMMIT",
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_sqlite(url) else "BEGIN")
        try:
            if not _is_sqlite(url):
                _lock_server(connection, real=real)
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _is_sqlite(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _lock_server(connection: sa.Connection, *, real: bool) -> None:
    """Keep other nodes out until the transaction ends; a first start waits, a migration does not."""
    if not real:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LIVE_LOCK})")
        return
    free = connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({LIVE_LOCK})").scalar()
    if not free:
        raise locks.DataFolderBusyError("Other um processes use the database: stop them first")

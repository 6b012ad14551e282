"""Migrations on SQLite; `tests/contract/test_schema.py` compares both databases with the schema."""

import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa

from storage import locks, migrate, schema
from storage.backend import DatabaseUrlError, database_url
from storage.database import open_store
from storage.migrate import upgrade
from storage.revision import WrongRevisionError
from tests.support.clock import FakeClock
from um.core.errors import UnavailableError


def tables(path):
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    return {name for (name,) in rows if not name.startswith("sqlite_")}


def test_an_empty_folder_is_filled_once(tmp_path):
    """The first call makes everything, folder included; the second finds nothing to do."""
    path = tmp_path / "new" / "um.db"
    assert upgrade(path) is True
    assert upgrade(f"sqlite:///{path}") is False
    assert tables(path) == {*schema.metadata.tables, "alembic_version"}


def test_a_migration_that_fails_leaves_nothing(tmp_path, monkeypatch):
    """Half a migration is rolled back whole, and the next run does it all."""
    path = tmp_path / "um.db"

    def fail(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(migrate, "_after_revisions", fail)
    with pytest.raises(KeyboardInterrupt):
        upgrade(path)
    assert tables(path) == set()
    monkeypatch.undo()
    assert upgrade(path) is True


def test_a_migration_that_is_killed_runs_again(tmp_path):
    """A SIGKILL between the last revision and the commit leaves the old schema whole."""
    path = tmp_path / "um.db"
    code = (
        "import os, signal, sys\nfrom storage import migrate\n"
        "migrate._after_revisions = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "migrate.upgrade(sys.argv[1])\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60)
    assert killed.returncode == -9
    assert upgrade(path) is True


def test_a_real_migration_wants_the_folder_for_itself(tmp_path):
    """Tables that exist are changed only while no other um process lives."""
    path = tmp_path / "um.db"
    upgrade(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    with locks.hold(tmp_path), pytest.raises(locks.DataFolderBusyError):
        upgrade(path)


def test_a_store_opens_only_at_its_own_revision(tmp_path):
    """An empty database and one of another version are refused with what to do about it."""
    path = tmp_path / "um.db"
    with pytest.raises(WrongRevisionError, match="um migrate"):
        open_store(path, publish=print, clock=FakeClock())
    upgrade(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(WrongRevisionError, match="9999"):
        open_store(path, publish=print, clock=FakeClock())


def test_what_cannot_be_opened_is_unavailable(tmp_path):
    """A folder that is missing, a file that is no database, a server that is not there."""
    with pytest.raises(UnavailableError):
        open_store(tmp_path / "missing" / "um.db", publish=print, clock=FakeClock())
    garbage = tmp_path / "um.db"
    garbage.write_bytes(b"no database at all" * 100)
    for attempt in (
        lambda: open_store(garbage, publish=print, clock=FakeClock()),
        lambda: upgrade(garbage),
        lambda: upgrade(f"postgresql+psycopg://um@/um?host={tmp_path}"),
    ):
        with pytest.raises(UnavailableError):
            attempt()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "://", "postgresql+asyncpg://x/y"])
def test_an_unknown_database_is_named(url):
    """Only the two kinds of database are taken."""
    with pytest.raises(DatabaseUrlError):
        database_url(url)


def test_a_plain_postgresql_url_uses_psycopg():
    """`postgresql://` means the one driver that is there."""
    assert database_url("postgresql://um@/um").drivername == "postgresql+psycopg"
    assert isinstance(database_url("um.db"), sa.URL)

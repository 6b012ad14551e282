"""What the store asks of a database, whichever it is."""

from enum import Enum, auto
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from storage.unit import Cursor
from um.core.errors import UMError


class Fault(Enum):
    """What a failure of the database means to a transaction."""

    NONE = auto()
    """Not the database's: it goes to the caller as it is."""
    RETRY = auto()
    """Lost against another transaction and rolled back: run it again."""
    TEMPORARY = auto()
    """Refused for now (locked, disk full); the connection is good."""
    GONE = auto()
    """The connection cannot be trusted any more: open another."""
    MISSING = auto()
    """A row that this one hangs on is not there."""
    TAKEN = auto()
    """A unique value is taken."""
    INVALID = auto()
    """A value that the database cannot keep (NUL in a text, a text too long)."""


class Connection(Protocol):
    """The part of a DB-API connection (PEP 249) that is used."""

    def cursor(self) -> Any: ...

    def close(self) -> None: ...


class Backend(Protocol):
    """SQLite or PostgreSQL. Every method is called on the thread that owns the connection."""

    dialect: sa.Dialect
    writer_threads: int
    reader_threads: int
    """0: the writers read as well."""
    errors: tuple[type[Exception], ...]
    """The base of what its driver raises."""

    def connect(self, *, writes: bool) -> Connection: ...

    def begin(self, cursor: Cursor, *, writes: bool) -> None: ...

    def commit(self, cursor: Any) -> None: ...

    def rollback(self, cursor: Any) -> None: ...

    def tell_others(self, cursor: Cursor, origin: int) -> None:
        """Wake the other processes when this transaction commits."""
        ...

    def fault(self, error: Exception) -> Fault: ...

    def compact(self) -> None:
        """Leave nothing readable of what was deleted, over a connection of its own.

        Raises UnavailableError while the database is used in a way that forbids it.
        """
        ...


class DatabaseUrlError(UMError):
    """The database named in the configuration is of no known kind."""

    code = "database-url"
    default = "The database must be a path, sqlite:///path or postgresql+psycopg://user@host/db"


def database_url(database: str | Path) -> sa.URL:
    """The URL of a path, `sqlite:///path` or `postgresql+psycopg://user@host/name`.

    Raises DatabaseUrlError for any other.
    """
    text = str(database)
    if "://" not in text:
        return sa.URL.create("sqlite", database=text)
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise DatabaseUrlError from error
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise DatabaseUrlError
    if url.get_backend_name() == "sqlite" and not url.database:
        raise DatabaseUrlError
    return url

"""The adapters behind the ports, opened as the configuration says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from storage import locks
from storage.backend import database_url
from storage.blobs import FileBlobStore
from storage.database import open_store
from storage.exports import FileExports
from storage.greetings import FileGreetings
from storage.postgres import PostgresBackend
from storage.quarantine import FileQuarantine
from storage.revision import revision_of
from storage.spool import FileSpool
from storage.sqlite import SqliteBackend
from um.clock import SystemClock
from um.config import Config, masked
from um.core.errors import UnavailableError
from um.core.ports import (
    BlobStore,
    Clock,
    EventBus,
    Exports,
    Greetings,
    Metrics,
    NoMetrics,
    Quarantine,
    Spool,
    Store,
)
from um.core.steps import Steps, no_steps
from um.service.events import LocalEventBus


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that the services reach."""

    config: Config
    clock: Clock
    bus: EventBus
    store: Store
    blobs: BlobStore
    spool: Spool
    quarantine: Quarantine
    greetings: Greetings
    exports: Exports
    metrics: Metrics
    steps: Steps


@asynccontextmanager
async def opened_ports(
    config: Config,
    *,
    steps: Steps = no_steps,
    metrics: Metrics | None = None,
    serving: bool = False,
) -> AsyncIterator[Ports]:
    """Open everything in data_dir, making what is missing; close it at the end.

    `serving`: this process is to be a server; over SQLite there is one.
    Raises UnavailableError, DataFolderBusyError, WrongRevisionError.
    """
    folder = config.server.data_dir
    clock, bus = SystemClock(), LocalEventBus()
    metrics = metrics or NoMetrics()
    make_private(folder)
    database = database_of(config)
    with ExitStack() as held:
        if serving and database_url(database).get_backend_name() == "sqlite":
            held.enter_context(locks.serve_alone(folder))
        await asyncio.to_thread(make_tables_if_empty, database)
        held.enter_context(locks.hold(folder))
        store = await asyncio.to_thread(
            open_store, database, publish=bus.publish, clock=clock, steps=steps, metrics=metrics
        )
        spool = FileSpool(folder / "spool", steps=steps)
        try:
            yield Ports(
                config=config,
                clock=clock,
                bus=bus,
                store=store,
                blobs=FileBlobStore(folder / "blobs", steps=steps),
                spool=spool,
                quarantine=FileQuarantine(folder / "quarantine", clock),
                greetings=FileGreetings(folder / "greetings"),
                exports=FileExports(folder / "exports"),
                metrics=metrics,
                steps=steps,
            )
        finally:
            await spool.close()
            await store.close()


def database_of(config: Config) -> str | Path:
    """The SQLite file's path, or the URL of PostgreSQL."""
    url = config.storage.database.value
    return config.server.data_dir / "um.db" if url == "sqlite" else url


def make_tables_if_empty(database: str | Path) -> None:
    """Fill a new database, so that nobody has to run `um migrate` first.

    An older schema is left to the operator: after a migration there is no way back.
    """
    url = database_url(database)
    backend = SqliteBackend(url) if url.get_backend_name() == "sqlite" else PostgresBackend(url)
    try:
        found = revision_of(backend)
    except backend.errors as error:
        raise UnavailableError(f"The database cannot be opened: {masked(str(database))}") from error
    if found is None:
        from storage import migrate  # Alembic takes a third of a second to load

        migrate.upgrade(database)


def make_private(folder: Path) -> None:
    """Make data_dir if it is missing, for nobody else to look into. Raises UnavailableError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(f"{folder}: {error.strerror}") from error

"""Work on the store as a whole: migrating its schema, checking and mending it."""

import asyncio
from collections.abc import Callable

from storage import migrate
from storage.blobs import FileBlobStore
from storage.fsck import Finding, fsck
from storage.greetings import FileGreetings
from um.app.ports import database_of, make_private
from um.clock import SystemClock
from um.config import Config


async def migrate_store(config: Config) -> bool:
    """Bring the schema up to date; returns whether anything was done.

    Raises DataFolderBusyError while other um processes work, UnavailableError.
    """
    folder = config.server.data_dir
    make_private(folder)
    return await asyncio.to_thread(migrate.upgrade, database_of(config), data_dir=folder)


async def check_store(
    config: Config, *, repair: bool, progress: Callable[[str], None]
) -> list[Finding]:
    """Check the store, and with `repair` mend what can be; raises as `migrate_store`."""
    folder = config.server.data_dir
    make_private(folder)
    return await fsck(
        database_of(config),
        FileBlobStore(folder / "blobs"),
        clock=SystemClock(),
        repair=repair,
        data_dir=folder,
        greetings=FileGreetings(folder / "greetings"),
        progress=progress,
    )

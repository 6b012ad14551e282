"""The spool as folders: what a call brings is on disk before the call is over.

    ROOT/PROCESS/.lock         held by flock while the process lives
    ROOT/PROCESS/ENTRY/        one entry: facts.json and its data files
    ROOT/damaged/ENTRY/        an entry whose facts cannot be read, for a person to look at

Laws:
- A process writes only in its own folder; it takes entries over (by rename) from folders whose
  lock it can get, so two processes never replay the same entry.
- An entry leaves by one rename to a hidden name, so no half of one is ever replayed.
"""

import asyncio
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from storage import files
from storage.spool_entry import DamagedEntryError, FileSpoolEntry, read_facts
from um.core.errors import UnavailableError
from um.core.ids import AccountId
from um.core.ports import SpoolEntry
from um.core.steps import Steps, no_steps

log = structlog.get_logger(__name__)
T = TypeVar("T")

THREADS = 4
LOCK = ".lock"
DAMAGED = "damaged"
_ID = re.compile(r"[0-9a-f]{32}")
_TRIES = 5


class FileSpool:
    """`um.core.ports.Spool` below the folder `root`.

    The lock belongs to the open file: a child made by a bare fork would keep it alive, one that is
    started by exec does not. Raises UnavailableError if the folder cannot be made.
    """

    def __init__(self, root: Path, *, steps: Steps = no_steps) -> None:
        self._root = root
        self._steps = steps
        root.mkdir(parents=True, exist_ok=True)
        with files.refusals():
            self._folder, self._lock = _own_folder(root)
        self._pool = ThreadPoolExecutor(THREADS, "um-spool")

    @property
    def folder(self) -> Path:
        """This process's own folder."""
        return self._folder

    async def open(self, facts: Mapping[str, str]) -> SpoolEntry:
        entry = await self._on_thread(lambda: self._open(facts))
        self._steps("spool.opened")
        return entry

    async def abandoned(self) -> Sequence[SpoolEntry]:
        return await self._on_thread(self._take_all)

    async def delete_of(self, account_id: AccountId) -> int:
        """In all folders, those of live processes and damaged entries included."""
        return await self._on_thread(lambda: self._delete_of(account_id))

    async def close(self) -> None:
        """Let go of the folder; entries that are left in it are abandoned."""
        self._pool.shutdown(wait=True)
        _remove_if_empty(self._folder)
        os.close(self._lock)

    def _open(self, facts: Mapping[str, str]) -> FileSpoolEntry:
        with files.refusals():
            return FileSpoolEntry.make(self._folder, facts, self._on_thread, self._steps)

    def _take_all(self) -> list[FileSpoolEntry]:
        taken: list[FileSpoolEntry] = []
        for folder in sorted(self._root.iterdir()):
            if folder != self._folder and _is_process(folder):
                taken += self._take(folder)
        return taken

    def _take(self, folder: Path) -> list[FileSpoolEntry]:
        """The entries of one folder, if nobody holds it."""
        lock = _try_lock(folder)
        if lock is None:
            return []
        try:
            taken = [entry for path in _entries(folder) if (entry := self._adopt(path))]
            files.sync_directory(self._folder)
            _remove_if_empty(folder)
            return taken
        finally:
            os.close(lock)

    def _adopt(self, path: Path) -> FileSpoolEntry | None:
        try:
            read_facts(path)
        except DamagedEntryError as error:
            self._put_aside(path, error)
            return None
        own = self._folder / path.name
        path.rename(own)
        return FileSpoolEntry(own, self._on_thread, self._steps)

    def _put_aside(self, path: Path, error: DamagedEntryError) -> None:
        if error.empty:
            shutil.rmtree(path, ignore_errors=True)  # killed while it was opened: nothing was taken
            return
        damaged = self._root / DAMAGED
        damaged.mkdir(exist_ok=True)
        path.rename(damaged / path.name)
        log.error("spool entry is damaged", entry=path.name, reason=str(error), folder=str(damaged))

    def _delete_of(self, account_id: AccountId) -> int:
        deleted = 0
        for folder in list(self._root.iterdir()):
            if _is_process(folder) or folder.name == DAMAGED:
                mine = [path for path in _entries(folder) if _belongs(path, account_id)]
                for path in mine:
                    shutil.rmtree(path, ignore_errors=True)
                    deleted += 1
                if mine:
                    with suppress(FileNotFoundError):
                        files.sync_directory(folder)
        return deleted

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except RuntimeError as error:  # the pool was shut down
            raise UnavailableError from error
        return await future


def _own_folder(root: Path) -> tuple[Path, int]:
    """A new folder, locked before others can see it under a name that they would look at."""
    for _ in range(_TRIES):
        name = uuid.uuid4().hex
        hidden = root / f".{name}"
        hidden.mkdir(mode=0o700)
        lock = _try_lock(hidden, create=True)
        if lock is not None:
            hidden.rename(root / name)
            files.sync_directory(root)
            return root / name, lock
    raise UnavailableError("The spool folder could not be locked")


def _try_lock(folder: Path, *, create: bool = False) -> int | None:
    """The lock of `folder`, or None while another process has it (or the folder is gone)."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(folder / LOCK, flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not (folder / LOCK).exists():
        os.close(descriptor)  # its last holder removed it meanwhile
        return None
    return descriptor


def _is_process(folder: Path) -> bool:
    return bool(_ID.fullmatch(folder.name)) and folder.is_dir()


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            if _ID.fullmatch(path.name) and path.is_dir():
                yield path
            elif path.name != LOCK:
                shutil.rmtree(path, ignore_errors=True)  # a discarded entry, half unlinked


def _belongs(path: Path, account_id: AccountId) -> bool:
    try:
        facts, _ = read_facts(path)
    except DamagedEntryError as error:
        return account_id.encode() in error.raw
    return facts.get("account") == account_id


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {LOCK}:
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()

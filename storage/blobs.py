"""Message bodies as files: one a message, in 256 folders, never changed once there.

Laws:
- `put` is temp file, rename, and then fsync of the file and of the directory side by side, for the
  disk does both in the time of one. When it returns, a power cut cannot take the blob.
- A blob that a row names is whole: rows come after `put`. Killed before it returns, it may leave a
  temporary file or a blob that no row names, and a power cut may leave that torn; the sweep takes it.
- The folders are made once, and stay: a new one for a blob would cost two fsyncs more. They go by
  the last digits of the key, because the first are the same for all of an account.
- Several `put`s run side by side in a few threads, so that their fsyncs overlap.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from storage import files
from um.core.errors import InvalidError, NotFoundError, UnavailableError
from um.core.ids import OWNER_DIGITS, BlobKey
from um.core.steps import Steps, no_steps

T = TypeVar("T")

THREADS = 4
"""Measured: 4 threads write twice as many 300 kB blobs a second as one; 16 add latency."""
AT_ONCE_OCTETS = 128 * 1024
"""The most that is read without a thread, from memory: about 20 microseconds."""
_KEY = re.compile(r"[0-9a-f]{32}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_FOLDERS = frozenset(f"{number:02x}" for number in range(256))
_TEMPORARY = re.compile(r"\.([0-9a-f]{32})-[0-9a-f]{16}\.tmp")


class FileBlobStore:
    """`um.core.ports.BlobStore` below the folder `root`."""

    def __init__(self, root: Path, *, steps: Steps = no_steps) -> None:
        self._root = root
        self._steps = steps
        self._prefix = f"{root}/"
        self._root.mkdir(parents=True, exist_ok=True)
        with files.refusals():
            _make_folders(root)
        self._pool = ThreadPoolExecutor(THREADS, "um-blobs")
        self._syncing = ThreadPoolExecutor(THREADS, "um-blob-folders")
        self._space = memoryview(bytearray(AT_ONCE_OCTETS))

    async def put(self, key: BlobKey, data: bytes) -> None:
        await self._on_thread(lambda: self._put(key, data))

    async def get(self, key: BlobKey, start: int = 0, length: int | None = None) -> bytes:
        return await self._on_thread(lambda: self._get(key, start, length))

    def get_at_once(self, key: BlobKey, start: int, length: int) -> bytes | None:
        """`um.core.at_once.BlobsAtOnce`: by RWF_NOWAIT, which reads no disk."""
        if length > AT_ONCE_OCTETS:
            return None
        try:
            descriptor = os.open(self._name(key), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            count = os.preadv(descriptor, [self._space[:length]], start, os.RWF_NOWAIT)
        except OSError:  # it is not in memory, or the file system does not know
            return None
        finally:
            os.close(descriptor)
        return bytes(self._space[:length]) if count == length else None

    async def delete(self, keys: Collection[BlobKey]) -> int:
        wanted = list(keys)
        return await self._on_thread(lambda: self._delete(wanted))

    async def scan(self) -> AsyncIterator[tuple[BlobKey, int, datetime]]:
        """All blobs, a folder at a time; what is put or deleted meanwhile may or may not appear."""
        for folder in await self._on_thread(lambda: _folders(self._root)):
            for found in await self._on_thread(partial(_blobs, folder)):
                yield found

    async def sweep_temporary(self, before: datetime, *, owners: Collection[str] = ()) -> int:
        return await self._on_thread(lambda: self._sweep(before, frozenset(owners)))

    async def close(self) -> None:
        """End the threads after what they were given."""
        self._pool.shutdown(wait=True)
        self._syncing.shutdown(wait=True)

    def _path(self, key: BlobKey) -> Path:
        if not _KEY.fullmatch(key):
            raise InvalidError("The key of a blob is 32 hexadecimal digits")
        return self._root / key[-2:] / key

    def _name(self, key: BlobKey) -> str:
        """As `_path`, in a tenth of the time."""
        if not _KEY.fullmatch(key):
            raise InvalidError("The key of a blob is 32 hexadecimal digits")
        return f"{self._prefix}{key[-2:]}/{key}"

    def _put(self, key: BlobKey, data: bytes) -> None:
        path = self._path(key)
        with files.refusals():
            try:
                self._write(path, data)
            except FileNotFoundError:
                # Someone took the folder away, or a purge the half of a body that nobody shall have.
                _make_folders(self._root)
                self._write(path, data)

    def _write(self, path: Path, data: bytes) -> None:
        temporary = files.write_new(path.parent, data, prefix=f".{path.name}-")
        self._steps("blob.written")
        temporary.replace(path)
        self._steps("blob.renamed")
        folder = self._syncing.submit(files.sync_directory, path.parent)
        files.sync_file(path)
        self._steps("blob.synced")
        folder.result()
        self._steps("blob.directory-synced")

    def _get(self, key: BlobKey, start: int, length: int | None) -> bytes:
        try:
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFoundError("The message body is not there") from error
        except OSError as error:
            raise UnavailableError from error
        try:
            size = os.fstat(descriptor).st_size
            end = size if length is None else min(size, start + length)
            return _read(descriptor, start, end)
        except OSError as error:
            raise UnavailableError from error
        finally:
            os.close(descriptor)

    def _delete(self, keys: list[BlobKey]) -> int:
        octets = 0
        touched: set[Path] = set()
        for path in map(self._path, keys):
            with suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                octets += size
                touched.add(path.parent)
        for folder in touched:
            files.sync_directory(folder)
        return octets

    def _sweep(self, before: datetime, owners: frozenset[str]) -> int:
        swept = 0
        for path, key, at in _leftovers(self._root):
            if at < before or key[:OWNER_DIGITS] in owners:
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        except RuntimeError as error:  # the pool was shut down
            raise UnavailableError from error
        return await future


def _read(descriptor: int, start: int, end: int) -> bytes:
    """All octets of the range: a read that was cut short goes on."""
    parts = []
    while start < end:
        part = os.pread(descriptor, end - start, start)
        if not part:
            raise OSError(f"the blob ends at {start}, before {end}")
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _make_folders(root: Path) -> None:
    """Those that are missing, durably: all at the first start, none later."""
    missing = _FOLDERS.difference(folder.name for folder in root.iterdir())
    for name in missing:
        with suppress(FileExistsError):
            (root / name).mkdir(mode=0o700)
    if missing:
        files.sync_directory(root)


def _folders(root: Path) -> list[Path]:
    return sorted(folder for folder in root.iterdir() if _FOLDER.fullmatch(folder.name))


def _blobs(folder: Path) -> list[tuple[BlobKey, int, datetime]]:
    blobs = []
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for each in found:
            if _KEY.fullmatch(each.name):
                with suppress(FileNotFoundError):
                    facts = each.stat()
                    blobs.append((BlobKey(each.name), facts.st_size, _instant(facts)))
    return blobs


def _leftovers(root: Path) -> Iterator[tuple[Path, str, datetime]]:
    """What is half written: the file, the key it was to have, and when it was written to last."""
    for folder in _folders(root):
        for path in folder.glob(".*.tmp"):
            if match := _TEMPORARY.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    yield path, match[1], _instant(path.stat())


def _instant(facts: os.stat_result) -> datetime:
    return datetime.fromtimestamp(facts.st_mtime, UTC)

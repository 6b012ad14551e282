"""Exports as files: `<root>/<account>.zip`, and `.part` while one is being written.

Not in the mailbox and not counted: each is removed after a day, by its date on the disk.
"""

import asyncio
import os
import re
import secrets
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TypeVar

from storage import files
from um.core.errors import InvalidError
from um.core.ids import AccountId
from um.core.ports import Exported, ExportFile

T = TypeVar("T")
_ACCOUNT = re.compile(r"[0-9a-f]{32}")
_LEVEL = 1
"""Recordings stand there as base64, which the quickest compression takes a quarter from."""


class FileExports:
    """`um.core.ports.Exports` below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def open(self, account_id: AccountId) -> ExportFile:
        target = self._path(account_id)

        def begin() -> _ZipFile:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._root.glob(f"{account_id}.*.part"):  # by a process that was killed
                left.unlink(missing_ok=True)
            return _ZipFile(target)

        return await _on_thread(begin)

    async def find(self, account_id: AccountId) -> Exported | None:
        path = self._path(account_id)

        def find() -> Exported | None:
            try:
                found = path.stat()
            except FileNotFoundError:
                return None
            return Exported(path, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

        return await _on_thread(find)

    async def sweep(self, before: datetime) -> int:
        def sweep() -> int:
            count = 0
            for path in self._root.glob("*.*"):
                with suppress(FileNotFoundError):  # another node swept it, or it was finished
                    if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                        path.unlink()
                        count += 1
            return count

        return await _on_thread(sweep)

    async def delete_of(self, account_id: AccountId) -> int:
        self._path(account_id)

        def delete() -> int:
            found = list(self._root.glob(f"{account_id}.*"))
            for path in found:
                path.unlink(missing_ok=True)
            if found:
                files.sync_directory(self._root)
            return len(found)

        return await _on_thread(delete)

    def _path(self, account_id: AccountId) -> Path:
        if not _ACCOUNT.fullmatch(account_id):
            raise InvalidError("An account's id is 32 hexadecimal digits")
        return self._root / f"{account_id}.zip"


class _ZipFile:
    """`um.core.ports.ExportFile`."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._part = target.with_suffix(f".{secrets.token_hex(8)}.part")
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._stream = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._member: IO[bytes] | None = None

    async def begin(self, name: str) -> None:
        def begin() -> None:
            self._end_member()
            self._member = self._zip.open(name, "w", force_zip64=True)

        await _on_thread(begin)

    async def write(self, data: bytes) -> None:
        member = self._member
        if member is not None:
            await _on_thread(lambda: member.write(data))

    async def finish(self) -> None:
        def finish() -> None:
            self._end_member()
            self._zip.close()
            self._stream.flush()
            files.sync(self._stream.fileno())
            self._stream.close()
            self._part.replace(self._target)
            files.sync_directory(self._target.parent)

        await _on_thread(finish)

    async def abandon(self) -> None:
        def abandon() -> None:
            # A full disk may refuse the last octets of what is thrown away anyhow.
            with suppress(OSError, ValueError):
                self._end_member()
                self._zip.close()
            with suppress(OSError):
                self._stream.close()
            self._part.unlink(missing_ok=True)

        await _on_thread(abandon)

    def _end_member(self) -> None:
        if self._member is not None:
            self._member.close()
            self._member = None


async def _on_thread(work: Callable[[], T]) -> T:
    with files.refusals():
        return await asyncio.to_thread(work)

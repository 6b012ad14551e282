"""Originals that did not decode whole, as files by account: outside the mailbox and its quota.

`sweep` goes by when a document was put, which its name tells: the file's own time may be touched
by a backup.
"""

import asyncio
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from storage import files
from storage.instants import from_micros, to_micros
from um.core.errors import InvalidError
from um.core.ids import AccountId
from um.core.ports import Clock

_ACCOUNT = re.compile(r"[0-9a-f]{32}")
_PLACE = re.compile(r"(\d{16})-[0-9a-f]{16}(-.*)?")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH = 80


class FileQuarantine:
    """`um.core.ports.Quarantine` below the folder `root`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._root.mkdir(parents=True, exist_ok=True)

    async def put(self, account_id: AccountId, name: str, data: bytes) -> str:
        return await asyncio.to_thread(self._put, account_id, name, data)

    async def delete_of(self, account_id: AccountId) -> int:
        return await asyncio.to_thread(self._delete_of, account_id)

    async def accounts(self) -> set[AccountId]:
        return await asyncio.to_thread(self._accounts)

    async def sweep(self, before: datetime, *, sparing: Collection[AccountId] = ()) -> int:
        return await asyncio.to_thread(self._sweep, before, frozenset(sparing))

    def _put(self, account_id: AccountId, name: str, data: bytes) -> str:
        folder = self._folder(account_id)
        at = to_micros(self._clock.now())
        path = folder / f"{at:016d}-{secrets.token_hex(8)}-{safe_name(name)}"
        with files.refusals():
            files.make_folder(folder, within=self._root)
            files.replace_durably(path, data)
        return str(path)

    def _delete_of(self, account_id: AccountId) -> int:
        folder = self._folder(account_id)
        count = sum(1 for _ in _documents(folder))
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise OSError(f"{folder} could not be removed")
        files.sync_directory(self._root)
        return count

    def _accounts(self) -> set[AccountId]:
        names = (folder.name for folder in self._root.iterdir())
        return {AccountId(name) for name in names if _ACCOUNT.fullmatch(name)}

    def _sweep(self, before: datetime, sparing: frozenset[str]) -> int:
        swept = 0
        for folder in [each for each in self._root.iterdir() if each.name not in sparing]:
            for path, at in list(_documents(folder)):
                if at < before:
                    path.unlink(missing_ok=True)
                    swept += 1
            for path in folder.glob(".*.tmp"):  # a `put` that was killed
                with suppress(FileNotFoundError):
                    if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                        path.unlink()
            with suppress(OSError):  # others are in it
                folder.rmdir()
        return swept

    def _folder(self, account_id: AccountId) -> Path:
        if not _ACCOUNT.fullmatch(account_id):
            raise InvalidError("An account's id is 32 hexadecimal digits")
        return self._root / account_id


def safe_name(name: str) -> str:
    """What is left of a stranger's file name: letters, digits, `.`, `_` and `-`; never a path."""
    return _UNSAFE.sub("_", name).lstrip(".")[-_NAME_LENGTH:] or "document"


def _documents(folder: Path) -> Iterator[tuple[Path, datetime]]:
    if folder.is_dir():
        for path in folder.iterdir():
            match = _PLACE.fullmatch(path.name)
            if match:
                yield path, from_micros(int(match[1]))

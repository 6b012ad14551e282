"""Greetings as files by account: outside the mailbox and its quota.

`<root>/<account>/<kind>.wav`, written whole or not at all. With several nodes `data_dir` is shared.
"""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from storage import files
from um.core.account import GreetingKind
from um.core.errors import InvalidError
from um.core.ids import AccountId

T = TypeVar("T")

_ACCOUNT = re.compile(r"[0-9a-f]{32}")


class FileGreetings:
    """`um.core.ports.Greetings` below the folder `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._root.mkdir(parents=True, exist_ok=True)

    async def put(self, account_id: AccountId, kind: GreetingKind, data: bytes) -> None:
        def put() -> None:
            folder = self._folder(account_id)
            files.make_folder(folder, within=self._root)
            files.replace_durably(folder / _name(kind), data)

        await _on_thread(put)

    async def get(self, account_id: AccountId, kind: GreetingKind) -> bytes | None:
        def get() -> bytes | None:
            try:
                return (self._folder(account_id) / _name(kind)).read_bytes()
            except FileNotFoundError:
                return None

        return await _on_thread(get)

    async def kinds(self, account_id: AccountId) -> set[GreetingKind]:
        def kinds() -> set[GreetingKind]:
            folder = self._folder(account_id)
            return {kind for kind in GreetingKind if (folder / _name(kind)).is_file()}

        return await _on_thread(kinds)

    async def delete(self, account_id: AccountId, kind: GreetingKind) -> None:
        def delete() -> None:
            path = self._folder(account_id) / _name(kind)
            if path.exists():
                path.unlink(missing_ok=True)
                files.sync_directory(path.parent)

        await _on_thread(delete)

    async def delete_of(self, account_id: AccountId) -> int:
        def delete_of() -> int:
            folder = self._folder(account_id)
            if not folder.exists():
                return 0
            count = sum(1 for path in folder.iterdir() if path.suffix == ".wav")
            shutil.rmtree(folder)
            files.sync_directory(self._root)
            return count

        return await _on_thread(delete_of)

    async def accounts(self) -> set[AccountId]:
        def accounts() -> set[AccountId]:
            names = (path.name for path in self._root.iterdir() if path.is_dir())
            return {AccountId(name) for name in names if _ACCOUNT.fullmatch(name)}

        return await _on_thread(accounts)

    def _folder(self, account_id: AccountId) -> Path:
        if not _ACCOUNT.fullmatch(account_id):
            raise InvalidError("An account's id is 32 hexadecimal digits")
        return self._root / account_id


def _name(kind: GreetingKind) -> str:
    return f"{kind.value}.wav"


async def _on_thread(work: Callable[[], T]) -> T:
    with files.refusals():
        return await asyncio.to_thread(work)

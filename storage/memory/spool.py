"""`Spool` for tests: folders in a temporary place, nothing synced, no locks."""

import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from um.core.errors import UnavailableError
from um.core.ids import AccountId
from um.core.ports import SpoolEntry
from um.core.steps import Steps, no_steps


class MemorySpoolEntry:
    """`um.core.ports.SpoolEntry`; `synced` and `sealed` tell a test what was promised."""

    def __init__(self, spool: "MemorySpool", facts: Mapping[str, str]) -> None:
        self._spool = spool
        self._id = uuid.uuid4().hex
        self._facts = dict(facts)
        self._folder = spool.root / self._id
        self._folder.mkdir()
        self.synced = 0
        self.sealed = False

    @property
    def id(self) -> str:
        return self._id

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def facts(self) -> dict[str, str]:
        return dict(self._facts)

    def append(self, name: str, data: bytes) -> None:
        if self._spool.unavailable:
            raise UnavailableError
        with (self._folder / name).open("ab") as file:
            file.write(data)

    async def sync(self) -> None:
        if self._spool.unavailable:
            raise UnavailableError
        self.synced += 1
        self._spool.steps("spool.synced")

    async def seal(self, facts: Mapping[str, str]) -> None:
        await self.sync()
        self._facts |= facts
        self.sealed = True
        self._spool.steps("spool.sealed")

    def read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def names(self) -> list[str]:
        return sorted(file.name for file in self._folder.iterdir() if file.is_file())

    async def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._spool.entries.pop(self._id, None)
        self._spool.steps("spool.unlinked")


class MemorySpool:
    """`um.core.ports.Spool`. `abandon` is what the death of the process would do to its entries."""

    def __init__(self, root: Path | None = None, *, steps: Steps = no_steps) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="um-spool-") if root is None else None
        self.root = Path(self._temporary.name) if self._temporary is not None else Path(root or "")
        self.root.mkdir(parents=True, exist_ok=True)
        self.steps = steps
        self.unavailable = False
        self.entries: dict[str, MemorySpoolEntry] = {}
        self._abandoned: list[MemorySpoolEntry] = []

    async def open(self, facts: Mapping[str, str]) -> SpoolEntry:
        if self.unavailable:
            raise UnavailableError
        entry = MemorySpoolEntry(self, facts)
        self.entries[entry.id] = entry
        self.steps("spool.opened")
        return entry

    async def abandoned(self) -> Sequence[SpoolEntry]:
        taken, self._abandoned = self._abandoned, []
        return taken

    async def delete_of(self, account_id: AccountId) -> int:
        mine = [each for each in self.entries.values() if each.facts.get("account") == account_id]
        for entry in mine:
            await entry.discard()
        self._abandoned = [each for each in self._abandoned if each not in mine]
        return len(mine)

    def abandon(self) -> None:
        """Every entry that is open now will be given out by `abandoned` once."""
        self._abandoned = list(self.entries.values())

"""One spool entry: a folder with `facts.json` and the media of one call."""

import json
import os
import re
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from storage import files
from um.core.errors import InvalidError, NotFoundError
from um.core.steps import Steps

FACTS = "facts.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")

OnThread = Callable[[Callable[[], None]], Awaitable[None]]


class DamagedEntryError(Exception):
    """The facts of an entry cannot be read. `raw` is what there is of them."""

    def __init__(self, reason: str, *, raw: bytes = b"", empty: bool = False) -> None:
        super().__init__(reason)
        self.raw = raw
        self.empty = empty
        """Nothing but facts was ever written: no call was taken yet."""


class FileSpoolEntry:
    """`um.core.ports.SpoolEntry` in a folder of its process.

    Writes are not buffered: a kill loses nothing, a power cut only what was not synced.
    """

    def __init__(
        self, folder: Path, on_thread: Callable[..., Awaitable[Any]], steps: Steps
    ) -> None:
        self._folder = folder
        self._facts, self._sealed = read_facts(folder)
        self._on_thread: OnThread = on_thread
        self._steps = steps
        self._open: dict[str, int] = {}

    @classmethod
    def make(
        cls,
        within: Path,
        facts: Mapping[str, str],
        on_thread: Callable[..., Awaitable[Any]],
        steps: Steps,
    ) -> "FileSpoolEntry":
        """A new entry in a process's folder, its facts durable."""
        folder = within / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        _write_facts(folder, dict(facts), sealed=False)
        files.sync_directory(within)
        return cls(folder, on_thread, steps)

    @property
    def id(self) -> str:
        return self._folder.name

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def facts(self) -> dict[str, str]:
        return dict(self._facts)

    @property
    def sealed(self) -> bool:
        """Whether the recording was completed, or cut short by a crash."""
        return self._sealed

    def append(self, name: str, data: bytes) -> None:
        """Write to the end of a file. Raises UnavailableError if the disk is full.

        Then nothing of `data` is there, so that samples stay whole.
        """
        with files.refusals(), _while_there():
            descriptor = self._descriptor(name)
            size = os.fstat(descriptor).st_size
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(descriptor, left) :]
            except OSError:
                os.ftruncate(descriptor, size)
                raise

    async def sync(self) -> None:
        await self._on_thread(self._sync)
        self._steps("spool.synced")

    async def seal(self, facts: Mapping[str, str]) -> None:
        merged = self._facts | dict(facts)

        def seal() -> None:
            self._sync()
            with files.refusals():
                _write_facts(self._folder, merged, sealed=True)

        await self._on_thread(seal)
        self._facts, self._sealed = merged, True
        self._steps("spool.sealed")

    def read(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError("There is no such file in the spool entry") from error

    def names(self) -> list[str]:
        """The data files, those that another process wrote into the folder included."""
        return sorted(
            path.name
            for path in self._folder.iterdir()
            if path.is_file() and path.name != FACTS and not path.name.startswith(".")
        )

    async def discard(self) -> None:
        self._close()
        await self._on_thread(self._unlink)
        self._steps("spool.unlinked")

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name) or name == FACTS:
            raise InvalidError(f"{name!r} is no name for a file in the spool")
        return self._folder / name

    def _descriptor(self, name: str) -> int:
        descriptor = self._open.get(name)
        if descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = self._open[name] = os.open(self._path(name), flags, 0o600)
        return descriptor

    def _sync(self) -> None:
        """All files and the folder itself; fsync works on the file, whoever holds it open."""
        with files.refusals(), _while_there():
            for name in self.names():
                files.sync_file(self._folder / name)
            files.sync_directory(self._folder)

    def _unlink(self) -> None:
        """One rename hides it; what a kill leaves behind after that is swept with the folder."""
        hidden = self._folder.with_name(f".gone-{self._folder.name}")
        try:
            self._folder.rename(hidden)
        except FileNotFoundError:
            return
        shutil.rmtree(hidden, ignore_errors=True)

    def _close(self) -> None:
        while self._open:
            _, descriptor = self._open.popitem()
            os.close(descriptor)


@contextmanager
def _while_there() -> Iterator[None]:
    """A purge may take the folder away under a call in progress. Raises NotFoundError then."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError("The spool entry was removed") from error


def read_facts(folder: Path) -> tuple[dict[str, str], bool]:
    """The facts of an entry and whether it is sealed. Raises DamagedEntryError."""
    try:
        raw = (folder / FACTS).read_bytes()
    except FileNotFoundError as error:
        empty = not any(not path.name.startswith(".") for path in folder.iterdir())
        raise DamagedEntryError("there are no facts", empty=empty) from error
    except OSError as error:
        raise DamagedEntryError(str(error)) from error
    try:
        stored = json.loads(raw)
        facts, sealed = stored["facts"], stored["sealed"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedEntryError(f"the facts are not readable: {error}", raw=raw) from error
    if not isinstance(facts, dict) or not all(isinstance(each, str) for each in facts.values()):
        raise DamagedEntryError("the facts are not text", raw=raw)
    return facts, bool(sealed)


def _write_facts(folder: Path, facts: dict[str, str], *, sealed: bool) -> None:
    text = json.dumps({"facts": facts, "sealed": sealed}, ensure_ascii=False)
    files.replace_durably(folder / FACTS, text.encode())

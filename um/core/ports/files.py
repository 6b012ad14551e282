"""Ports of what is kept in files: bodies, spool, quarantine, greetings, exports."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from um.core.account import (
    GreetingKind,
)
from um.core.ids import (
    AccountId,
    BlobKey,
)


class BlobStore(Protocol):
    """Message bodies, immutable, by key."""

    async def put(self, key: BlobKey, data: bytes) -> None:
        """Store durably: when this returns, a power cut cannot take it. Idempotent.

        Raises UnavailableError if the disk is full; an fsync error ends the process.
        """
        ...

    async def get(self, key: BlobKey, start: int = 0, length: int | None = None) -> bytes:
        """The octets from `start`. Raises NotFoundError; never returns fewer than are there."""
        ...

    async def delete(self, keys: Collection[BlobKey]) -> int:
        """Remove those that exist, durably; returns how many octets went."""
        ...

    async def sweep_temporary(self, before: datetime, *, owners: Collection[str] = ()) -> int:
        """Remove what a killed `put` left half done before that instant; returns how many.

        What begins with one of `owners` (`um.core.ids.owner_digits`) goes whatever its age.
        """
        ...

    def scan(self) -> AsyncIterator[tuple[BlobKey, int, datetime]]:
        """All blobs: key, size in octets, when written."""
        ...


class SpoolEntry(Protocol):
    """One call's captured media in a folder of its own, until the delivery has committed.

    `append` is called on the loop and only buffers and writes; `sync` and `seal` make durable,
    off the loop. After `seal` a replay delivers it; before, a replay delivers what was synced.
    """

    @property
    def id(self) -> str:
        """The UUID (32 hexadecimal digits) that begins the ingest key."""
        ...

    @property
    def folder(self) -> Path: ...

    @property
    def facts(self) -> dict[str, str]:
        """What was said at `open` and `seal`: kind, account, caller, number, start and so on."""
        ...

    def append(self, name: str, data: bytes) -> None: ...

    async def sync(self) -> None: ...

    async def seal(self, facts: Mapping[str, str]) -> None:
        """Sync everything and durably add `facts`; the recording is complete."""
        ...

    def read(self, name: str) -> bytes: ...

    def names(self) -> list[str]: ...

    async def discard(self) -> None:
        """Unlink the entry: delivered, or nothing worth keeping."""
        ...


class Spool(Protocol):
    """The spool folders; each process has one of its own and holds its lock while it lives."""

    async def open(self, facts: Mapping[str, str]) -> SpoolEntry:
        """Begin an entry; its facts are durable when this returns."""
        ...

    async def abandoned(self) -> Sequence[SpoolEntry]:
        """Take over the entries of processes that no longer live, into this one's folder."""
        ...

    async def delete_of(self, account_id: AccountId) -> int: ...


class Quarantine(Protocol):
    """Originals of documents that did not decode whole, apart from the mailbox and its quota."""

    async def put(self, account_id: AccountId, name: str, data: bytes) -> str:
        """Keep `data` durably under a safe name derived from `name`; returns where."""
        ...

    async def delete_of(self, account_id: AccountId) -> int: ...

    async def accounts(self) -> set[AccountId]:
        """Whose documents are kept."""
        ...

    async def sweep(self, before: datetime, *, sparing: Collection[AccountId] = ()) -> int:
        """Remove what was put before that instant, but nothing of the accounts `sparing`."""
        ...


class Greetings(Protocol):
    """Recordings that callers hear, outside the mailbox and its quota; at most one of each kind."""

    async def put(self, account_id: AccountId, kind: GreetingKind, data: bytes) -> None:
        """Keep `data` (WAV, linear, mono, 8000 a second) durably in place of an earlier one.

        Raises UnavailableError.
        """
        ...

    async def get(self, account_id: AccountId, kind: GreetingKind) -> bytes | None: ...

    async def kinds(self, account_id: AccountId) -> set[GreetingKind]:
        """Which are recorded."""
        ...

    async def delete(self, account_id: AccountId, kind: GreetingKind) -> None:
        """Remove one; harmless if it is not there."""
        ...

    async def delete_of(self, account_id: AccountId) -> int:
        """Remove all of an account (purge); returns how many went."""
        ...

    async def accounts(self) -> set[AccountId]:
        """Whose greetings are kept, for those who look for strays."""
        ...


class AudioFiles(Protocol):
    """Audio files of any format as the telephone plays them; the files may be hostile."""

    async def for_telephone(self, data: bytes, *, longest_seconds: int) -> bytes:
        """A WAV file: linear, mono, 8000 a second.

        Raises RefusedDocumentError (no audio, broken, too long), UnavailableError.
        """
        ...


class ExportFile(Protocol):
    """A zip file that is being written; nobody finds it before it is finished."""

    async def begin(self, name: str) -> None:
        """Begin a file in it; what is written goes there."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises UnavailableError."""
        ...

    async def finish(self) -> None:
        """Complete it durably, in place of an earlier one of the account."""
        ...

    async def abandon(self) -> None:
        """Remove what there is of it; harmless after `finish`."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export."""

    path: Path
    size_octets: int
    made_at: datetime


class Exports(Protocol):
    """Exports of whole accounts, at most one of each, beside the mailbox and its quota."""

    async def open(self, account_id: AccountId) -> ExportFile:
        """Begin one. Raises UnavailableError."""
        ...

    async def find(self, account_id: AccountId) -> Exported | None:
        """The finished one."""
        ...

    async def sweep(self, before: datetime) -> int:
        """Remove what was written before that instant, finished or not; returns how many."""
        ...

    async def delete_of(self, account_id: AccountId) -> int:
        """Remove an account's (purge), finished or not; returns how many files went."""
        ...

"""`BlobStore`, `Quarantine` and `Greetings` in memory."""

import uuid
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime

from um.core.account import GreetingKind
from um.core.errors import NotFoundError, UnavailableError
from um.core.ids import AccountId, BlobKey
from um.core.ports import Clock
from um.core.steps import Steps, no_steps

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MemoryBlobStore:
    """`um.core.ports.BlobStore`; a test sets `unavailable` to refuse every `put` (disk full)."""

    def __init__(self, clock: Clock | None = None, *, steps: Steps = no_steps) -> None:
        self.unavailable = False
        self.blobs: dict[BlobKey, tuple[bytes, datetime]] = {}
        self._clock = clock
        self._steps = steps

    async def put(self, key: BlobKey, data: bytes) -> None:
        if self.unavailable:
            raise UnavailableError
        now = _EPOCH if self._clock is None else self._clock.now()
        self.blobs[key] = (bytes(data), now)
        for step in ("written", "renamed", "synced", "directory-synced"):
            self._steps(f"blob.{step}")

    async def get(self, key: BlobKey, start: int = 0, length: int | None = None) -> bytes:
        if key not in self.blobs:
            raise NotFoundError("The message body is not there")
        data, _ = self.blobs[key]
        return data[start:] if length is None else data[start : start + length]

    async def delete(self, keys: Collection[BlobKey]) -> int:
        gone = [self.blobs.pop(key)[0] for key in list(keys) if key in self.blobs]
        return sum(len(data) for data in gone)

    async def sweep_temporary(self, before: datetime, *, owners: Collection[str] = ()) -> int:  # noqa: ARG002 - the port's names
        """Nothing is ever half done here."""
        return 0

    async def scan(self) -> AsyncIterator[tuple[BlobKey, int, datetime]]:
        for key, (data, at) in list(self.blobs.items()):
            yield key, len(data), at


class MemoryQuarantine:
    """`um.core.ports.Quarantine`."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.documents: dict[str, tuple[AccountId, bytes, datetime]] = {}
        self._clock = clock

    async def put(self, account_id: AccountId, name: str, data: bytes) -> str:
        now = _EPOCH if self._clock is None else self._clock.now()
        place = f"{account_id}/{uuid.uuid4().hex}-{name}"
        self.documents[place] = (account_id, bytes(data), now)
        return place

    async def delete_of(self, account_id: AccountId) -> int:
        mine = [place for place, (owner, *_) in self.documents.items() if owner == account_id]
        for place in mine:
            del self.documents[place]
        return len(mine)

    async def accounts(self) -> set[AccountId]:
        return {owner for owner, *_ in self.documents.values()}

    async def sweep(self, before: datetime, *, sparing: Collection[AccountId] = ()) -> int:
        old = [
            place
            for place, (owner, _, at) in self.documents.items()
            if at < before and owner not in sparing
        ]
        for place in old:
            del self.documents[place]
        return len(old)


class MemoryGreetings:
    """`um.core.ports.Greetings`; a test sets `unavailable` to refuse every `put` (disk full)."""

    def __init__(self) -> None:
        self.unavailable = False
        self.recordings: dict[AccountId, dict[GreetingKind, bytes]] = {}

    async def put(self, account_id: AccountId, kind: GreetingKind, data: bytes) -> None:
        if self.unavailable:
            raise UnavailableError
        self.recordings.setdefault(account_id, {})[kind] = bytes(data)

    async def get(self, account_id: AccountId, kind: GreetingKind) -> bytes | None:
        return self.recordings.get(account_id, {}).get(kind)

    async def kinds(self, account_id: AccountId) -> set[GreetingKind]:
        return set(self.recordings.get(account_id, {}))

    async def delete(self, account_id: AccountId, kind: GreetingKind) -> None:
        self.recordings.get(account_id, {}).pop(kind, None)

    async def delete_of(self, account_id: AccountId) -> int:
        return len(self.recordings.pop(account_id, {}))

    async def accounts(self) -> set[AccountId]:
        return set(self.recordings)

"""A recording as it grows in the spool.

Laws:
- `append` never waits and never raises: what comes before the spool entry is open is kept, and a
  failure is told once through `on_failure`, after which nothing more is taken.
- Audio is handed to the entry in half seconds and synced every `sync_seconds` of audio, off the
  loop; a sync that is still running is not joined by a second one.
- The file holds little-endian 16-bit samples, mono, 8000 a second, whatever the machine.
"""

import asyncio
import sys
from array import array
from collections.abc import Callable, Collection, Mapping

import structlog

from um.core.errors import UMError
from um.core.ports import SpoolEntry
from voicemail.audio import from_little_endian, little_endian
from voicemail.level import SAMPLE_RATE

log = structlog.get_logger(__name__)

SPOOL_ERRORS = (UMError, OSError)
"""What an entry may raise: the disk is full, or a purge has taken its folder away."""
AUDIO_FILE = "audio.s16le"
SAMPLE_FORMAT = "s16le/8000/1"
"""Said in the facts, so that a replay by a later version knows what it reads."""
BATCH_OCTETS = SAMPLE_RATE
"""Half a second: fifty small writes a second and call would cost more than the codec."""


MOST_TAKE_FILES = 9


def take_file(take: int) -> str:
    """The file of the first, second … take of a call."""
    return AUDIO_FILE if take == 1 else f"audio-{take}.s16le"


def take_files(names: Collection[str]) -> list[str]:
    """Those of `names` that are takes, the latest first."""
    every = [take_file(take) for take in range(MOST_TAKE_FILES, 0, -1)]
    return [name for name in every if name in names]


class Recorder:
    """One call's recording.

    Args:
        sync_seconds: how much audio may be unsynced.
        on_failure: told once, on the loop, when the spool takes no more.
    """

    def __init__(self, *, sync_seconds: float, on_failure: Callable[[], None]) -> None:
        self._sync_octets = round(sync_seconds * SAMPLE_RATE) * 2
        self._on_failure = on_failure
        self._entry: SpoolEntry | None = None
        self._batch = bytearray()
        self._unsynced = 0
        self._syncing: asyncio.Task[None] | None = None
        self._failed = False
        self._take = 1

    @property
    def entry(self) -> SpoolEntry | None:
        """The spool entry, once it is open."""
        return self._entry

    @property
    def failed(self) -> bool:
        return self._failed

    def begin(self, entry: SpoolEntry) -> None:
        """The entry is open: write what has come so far."""
        self._entry = entry
        self._flush(BATCH_OCTETS)

    def append(self, samples: bytes) -> None:
        """Take linear samples, native order."""
        if self._failed:
            return
        if sys.byteorder == "big":
            samples = little_endian(array("h", samples)).tobytes()
        self._batch += samples
        self._flush(BATCH_OCTETS)

    def pause(self) -> None:
        """Write and sync what there is: the caller looks back at it."""
        self._flush(1)
        if self._entry is not None and not self._failed and self._syncing is None:
            self._unsynced = 0
            self._syncing = asyncio.ensure_future(self._sync(self._entry))

    def again(self) -> None:
        """What comes from now on is another take; the earlier ones stay."""
        self._flush(1)
        self._take += 1

    def latest(self) -> bytes:
        """The present take so far, as samples in native order; empty if it cannot be read."""
        if self._entry is None:
            return b""
        self._flush(1)
        try:
            return from_little_endian(self._entry.read(take_file(self._take))).tobytes()
        except (*SPOOL_ERRORS, KeyError) as error:
            log.warning("recording.unreadable", error=repr(error))
            return b""

    async def seal(self, facts: Mapping[str, str]) -> None:
        """Make the whole recording durable. Raises UnavailableError."""
        entry = self._entry
        if entry is None:
            raise RuntimeError("sealed before it was begun")
        if self._syncing is not None:
            await asyncio.wait([self._syncing])
        if self._batch:
            entry.append(take_file(self._take), bytes(self._batch))
            self._batch.clear()
        await entry.seal(facts)

    async def let_go(self) -> None:
        """Nothing more comes, and what there is will be thrown away: wait until it is not in use."""
        self._batch.clear()
        if self._syncing is not None:
            await asyncio.wait([self._syncing])

    def fail(self, error: Exception) -> None:
        """The spool takes no more; tell it once."""
        if not self._failed:
            self._failed = True
            log.error("recording.failed", error=repr(error), cause=repr(error.__cause__))
            self._on_failure()

    def _flush(self, at_least: int) -> None:
        if self._entry is None or self._failed or len(self._batch) < at_least:
            return
        try:
            self._entry.append(take_file(self._take), bytes(self._batch))
        except SPOOL_ERRORS as error:
            self.fail(error)
            return
        self._unsynced += len(self._batch)
        self._batch.clear()
        if self._unsynced >= self._sync_octets and self._syncing is None:
            self._unsynced = 0
            self._syncing = asyncio.ensure_future(self._sync(self._entry))

    async def _sync(self, entry: SpoolEntry) -> None:
        try:
            await entry.sync()
        except SPOOL_ERRORS as error:
            self.fail(error)
        finally:
            self._syncing = None

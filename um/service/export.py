"""Everything of an account as one zip file: a background job with progress, kept for a day.

Laws:
- An mbox file for each folder with the flags of its messages, the greetings as they are heard, the
  history as JSON.
- One job of an account, a few at a time. It is written down (`um.service.export_jobs`): a process that
  starts goes on with what another left, and a finished file is fetched whoever made it.
- Reading is all it does: a suspended owner may take everything along.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog

from um.core.account import CallRecord
from um.core.errors import NotFoundError, UMError
from um.core.ids import AccountId
from um.core.ports import Clock, Exported, ExportFile, Exports, Greetings, Store
from um.mime.clean import clean_filename
from um.mime.mbox import mbox_entry
from um.service.export_jobs import ExportJobs
from um.service.mailbox_view import MailboxView

log = structlog.get_logger(__name__)

KEPT = timedelta(days=1)
AT_ONCE = 2
MAX_CALLS = 100_000
HEARD_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ExportState:
    """What an owner is told about theirs."""

    running: bool = False
    failed: bool = False
    done: int = 0
    """In messages."""
    total: int = 0
    """0 until they are counted."""
    file: Exported | None = None
    """The latest that was finished, until its day is over."""


@dataclass(slots=True)
class _Progress:
    """How far a job of this process is."""

    done: int = 0
    total: int = 0


class Exporter:
    """One object serves a process."""

    def __init__(
        self,
        store: Store,
        mailboxes: MailboxView,
        greetings: Greetings,
        exports: Exports,
        clock: Clock,
    ) -> None:
        self._store = store
        self._mailboxes = mailboxes
        self._greetings = greetings
        self._exports = exports
        self._clock = clock
        self._jobs = ExportJobs(store, clock)
        self._running: dict[AccountId, _Progress] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._looked = False

    async def start(self, account_id: AccountId) -> None:
        """Begin, unless one is running. Raises NotFoundError, UnavailableError."""
        if account_id not in self._running and await self._jobs.claim(account_id) is not None:
            self._begin(account_id)

    async def resume(self, *, alone: bool = False) -> int:
        """Go on with what other processes left behind; returns how many jobs that are.

        `alone`: no other process makes exports here, so that at the first look all are left behind.
        """
        first, self._looked = not self._looked, True
        adopted = await self._jobs.adopt(alone=alone and first)
        for account_id in adopted:
            log.info("export resumed", account=account_id)
            if account_id not in self._running:
                self._begin(account_id)
        return len(adopted)

    async def state(self, account_id: AccountId) -> ExportState:
        """How the account's export stands."""
        job, file = await self._jobs.find(account_id), await self._find(account_id)
        own = self._running.get(account_id)
        if own is not None:
            return ExportState(running=True, done=own.done, total=own.total, file=file)
        if job is None:
            return ExportState(file=file)
        running = job.is_running(self._clock.now())
        return ExportState(running, not running, job.done, job.total, file)

    async def find(self, account_id: AccountId) -> Exported:
        """The finished export, until its day is over. Raises NotFoundError."""
        found = await self._find(account_id)
        if found is None:
            raise NotFoundError("There is no export")
        return found

    async def sweep(self) -> int:
        """Remove those whose day is over; returns how many."""
        return await self._exports.sweep(self._clock.now() - KEPT)

    async def settled(self) -> None:
        """Wait for the jobs that run now."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Leave what is running to the next process."""
        for task in self._tasks:
            task.cancel()
        await self.settled()

    async def _find(self, account_id: AccountId) -> Exported | None:
        found = await self._exports.find(account_id)
        return found if found and found.made_at + KEPT > self._clock.now() else None

    def _begin(self, account_id: AccountId) -> None:
        progress = self._running[account_id] = _Progress()
        task = asyncio.ensure_future(self._run(account_id, progress))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, account_id: AccountId, progress: _Progress) -> None:
        try:
            async with self._heard(account_id, progress), self._room:
                await self._make(account_id, progress)
            await self._end(account_id)
        except asyncio.CancelledError:
            await self._noted(self._jobs.leave(account_id))
            raise
        except UMError as error:
            log.warning("export not made", account=account_id, error=error.code)
            await self._noted(self._jobs.fail(account_id))
        except Exception:
            log.exception("export failed", account=account_id)
            await self._noted(self._jobs.fail(account_id))
        finally:
            self._running.pop(account_id, None)

    @asynccontextmanager
    async def _heard(self, account_id: AccountId, progress: _Progress) -> AsyncIterator[None]:
        """Say every few seconds that it is worked at, also while it waits for its turn."""

        async def say() -> None:
            while True:
                await asyncio.sleep(HEARD_EVERY_SECONDS)
                await self._noted(self._hear(account_id, progress))

        saying = asyncio.create_task(say())
        try:
            yield
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)

    async def _hear(self, account_id: AccountId, progress: _Progress) -> None:
        await self._jobs.hear(account_id, done=progress.done, total=progress.total)

    async def _noted(self, work: Awaitable[None]) -> None:
        """Write it down if it can be: one that is not heard of is taken over later."""
        try:
            await work
        except UMError as error:
            log.warning("export not noted", error=error.code)

    async def _make(self, account_id: AccountId, progress: _Progress) -> None:
        file = await self._opened(account_id)
        try:
            await self._write(account_id, progress, file)
            await self._hear(account_id, progress)  # an account that goes gets no file
            await file.finish()
        finally:
            await file.abandon()

    async def _opened(self, account_id: AccountId) -> ExportFile:
        """A new file; none is left behind by who is stopped while it is opened on its thread."""
        opening = asyncio.ensure_future(self._exports.open(account_id))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await (await opening).abandon()
            raise

    async def _end(self, account_id: AccountId) -> None:
        try:
            await self._jobs.end(account_id)
        except (
            NotFoundError
        ):  # it went while the file was finished, which its purge may have missed
            await self._exports.delete_of(account_id)
            raise

    async def _write(self, account_id: AccountId, progress: _Progress, file: ExportFile) -> None:
        folders = [each.mailbox.name for each in await self._mailboxes.folders(account_id)]
        for name in folders:
            progress.total += (await self._mailboxes.status(account_id, name)).messages
        names: set[str] = set()
        for name in folders:
            await file.begin(_member(name, names))
            await self._write_folder(account_id, name, progress, file)
        for kind in await self._greetings.kinds(account_id):
            if recording := await self._greetings.get(account_id, kind):
                await file.begin(f"greetings/{kind}.wav")
                await file.write(recording)
        await file.begin("history.json")
        await file.write(await self._history(account_id))

    async def _write_folder(
        self, account_id: AccountId, name: str, progress: _Progress, file: ExportFile
    ) -> None:
        try:
            snapshot = await self._mailboxes.open(account_id, name)
        except NotFoundError:  # removed meanwhile
            return
        for entry in snapshot.entries:
            content = (await self._mailboxes.contents([entry])).get(entry.content_id)
            try:
                data = await self._mailboxes.octets(content) if content else None
            except NotFoundError:  # expunged meanwhile
                data = None
            if data is not None:
                await file.write(
                    await asyncio.to_thread(
                        mbox_entry, data, entry.internal_date, flags=entry.flags
                    )
                )
            progress.done += 1

    async def _history(self, account_id: AccountId) -> bytes:
        calls = await self._store.read(
            "export-calls", lambda tx: tx.records.calls_of(account_id, limit=MAX_CALLS)
        )
        return json.dumps([_call(each) for each in calls], indent=1).encode()


def _call(call: CallRecord) -> dict[str, object]:
    return {
        "at": call.at.isoformat(),
        "kind": call.kind,
        "number": call.number,
        "caller": call.caller,
        "duration_seconds": call.duration_seconds,
        "detail": call.detail,
    }


def _member(folder: str, taken: set[str]) -> str:
    """A name in the zip file for a folder: no path leads out, and no two are the same."""
    stem = "/".join(clean_filename(each) for each in folder.split("/"))
    name, count = f"{stem}.mbox", 1
    while name.casefold() in taken:
        count += 1
        name = f"{stem} {count}.mbox"
    taken.add(name.casefold())
    return name

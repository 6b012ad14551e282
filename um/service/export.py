"""Everything of an account as one zip file: a background job with progress, kept for a day.

Laws:
- An mbox file for each folder, the greetings as they are heard, the history as JSON.
- One job of an account, a few at a time; a job that dies with the process is begun again by its owner.
- Reading is all it does: a suspended owner may take everything along.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta

import structlog

from um.core.account import CallRecord
from um.core.errors import NotFoundError, UMError
from um.core.ids import AccountId
from um.core.ports import Clock, Exported, ExportFile, Exports, Greetings, Store
from um.mime.clean import clean_filename
from um.mime.mbox import mbox_entry
from um.service.mailbox_view import MailboxView

log = structlog.get_logger(__name__)

KEPT = timedelta(days=1)
AT_ONCE = 2
MAX_CALLS = 100_000


@dataclass(slots=True)
class Job:
    """How far an export is, in messages."""

    done: int = 0
    total: int = 0
    running: bool = True
    failed: bool = False


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
        self._jobs: dict[AccountId, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)

    def start(self, account_id: AccountId) -> Job:
        """Begin, unless one is running. Call it on the loop's thread."""
        job = self._jobs.get(account_id)
        if job is None or not job.running:
            job = self._jobs[account_id] = Job()
            task = asyncio.ensure_future(self._run(account_id, job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return job

    def job(self, account_id: AccountId) -> Job | None:
        """The latest job that this process knows of."""
        return self._jobs.get(account_id)

    async def find(self, account_id: AccountId) -> Exported | None:
        """The finished export, until its day is over."""
        found = await self._exports.find(account_id)
        return found if found and found.made_at + KEPT > self._clock.now() else None

    async def sweep(self) -> int:
        """Remove those whose day is over; returns how many."""
        self._jobs = {each: job for each, job in self._jobs.items() if job.running}
        return await self._exports.sweep(self._clock.now() - KEPT)

    async def settled(self) -> None:
        """Wait for the jobs that run now."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop(self) -> None:
        """Give up what is running."""
        for task in self._tasks:
            task.cancel()
        await self.settled()

    async def _run(self, account_id: AccountId, job: Job) -> None:
        try:
            async with self._room:
                file = await self._exports.open(account_id)
                try:
                    await self._write(account_id, job, file)
                    await file.finish()
                finally:
                    await file.abandon()
        except UMError as error:
            job.failed = True
            log.warning("export not made", account=account_id, error=error.code)
        except Exception:
            job.failed = True
            log.exception("export failed", account=account_id)
        finally:
            job.running = False

    async def _write(self, account_id: AccountId, job: Job, file: ExportFile) -> None:
        folders = [each.mailbox.name for each in await self._mailboxes.folders(account_id)]
        for name in folders:
            job.total += (await self._mailboxes.status(account_id, name)).messages
        names: set[str] = set()
        for name in folders:
            await file.begin(_member(name, names))
            await self._write_folder(account_id, name, job, file)
        for kind in await self._greetings.kinds(account_id):
            if recording := await self._greetings.get(account_id, kind):
                await file.begin(f"greetings/{kind}.wav")
                await file.write(recording)
        await file.begin("history.json")
        await file.write(await self._history(account_id))

    async def _write_folder(
        self, account_id: AccountId, name: str, job: Job, file: ExportFile
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
                await file.write(await asyncio.to_thread(mbox_entry, data, entry.internal_date))
            job.done += 1

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

"""What the house does by itself: ends terms every hour, and at night the long work.

At night, or at the first tick after it: what retention rules say, purges of what is due, the sweep
of the whole blob store. By the hour: the rest, and purges that were interrupted.

Laws:
- Each job stands alone: one that fails is logged and tried again at the next tick.
- Every job may run at once in several processes.
- Nothing of an account that is not active is swept: it may be reopened with everything in place.
  Nor of one that is under a legal hold.
- What goes by its age waits while the clock is not trusted (`um.policy.lifecycle`).
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from um.core.errors import UMError
from um.core.ids import AccountId, MailboxId, Uid
from um.core.ports import BlobStore, Clock, Metrics, NoMetrics, Quarantine, Store, Transaction
from um.policy import lockout, sessions
from um.policy.calendar import latest_hour
from um.policy.retention import (
    MAIL_INGEST_AGE,
    QUARANTINE_DAYS,
    may_expire,
    trash_cutoff,
)
from um.service.forward.queue import OutboxQueue
from um.service.purge import Purge
from um.service.retention import Retention
from um.service.sweep import delete_discarded, sweep_orphans

log = structlog.get_logger(__name__)

BATCH = 500
"""Messages that leave Trash in one transaction."""
NIGHT_MARK = "night"
"""When the last nightly round was made whole, in ISO 8601."""
CHANGES_AGE = timedelta(hours=24)
"""A follower of changes that slept longer re-reads everything."""
DISCARDED_AGE = timedelta(minutes=5)
"""A session that is sending a message just expunged may still read its body so long."""


@dataclass(frozen=True, slots=True)
class HousekeepingSettings:
    """Terms that the operator sets."""

    trash_days: int = 7
    """0 switches the rule off."""
    quarantine_days: int = QUARANTINE_DAYS
    night_hour: int = 3
    """0 to 23, on the clocks of `timezone`."""
    timezone: str = "UTC"


class Housekeeping:
    """The hourly round, and the nightly one."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        quarantine: Quarantine,
        purge: Purge,
        clock: Clock,
        settings: HousekeepingSettings,
        *,
        outbox: OutboxQueue | None = None,
        retention: Retention | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._quarantine = quarantine
        self._purge = purge
        self._clock = clock
        self._settings = settings
        self._outbox = outbox
        self._retention = retention
        self._metrics = metrics or NoMetrics()

    async def tick(self) -> dict[str, int]:
        """Do every job once; returns how many things each one ended. Raises nothing of storage's."""
        now = self._clock.now()
        started = self._clock.monotonic()
        night = await self._is_night(now)
        ended = {
            name: await self._attempt(name, job, now) for name, job in self._jobs(night).items()
        }
        if night:
            await self._attempt("night", self._end_night, now)
        seconds = self._clock.monotonic() - started
        self._metrics.observe(
            "housekeeping_night_seconds" if night else "housekeeping_seconds", seconds
        )
        return ended

    def _jobs(self, night: bool) -> dict[str, Callable[[datetime], Awaitable[int]]]:
        by_hour: dict[str, Callable[[datetime], Awaitable[int]]] = {
            "trash": self._empty_trash,
            "reservations": self._expire_reservations,
            "ingests": self._forget_ingests,
            "lockouts": self._forget_failures,
            "sessions": self._forget_sessions,
            "numbers": self._free_numbers,
            "quarantine": self._sweep_quarantine,
            "changes": self._trim_changes,
            "outbox": self._forget_outbox,
        }
        if not night:
            return by_hour | {
                "purge": self._finish_purges,
                "discarded": self._delete_discarded,
            }
        return by_hour | {
            "retention": self._run_retention,
            "purge": self._run_purge,
            "discarded": self._delete_discarded,
            "blobs": self._sweep_blobs,
        }

    async def discard(self) -> int:
        """Delete the bodies that were discarded; costs one short query when there are none.

        For every minute between the ticks. Raises nothing of storage's; returns how many went.
        """
        return await self._attempt("discarded", self._delete_discarded, self._clock.now())

    async def _attempt(
        self, name: str, job: Callable[[datetime], Awaitable[int]], now: datetime
    ) -> int:
        started = self._clock.monotonic()
        try:
            ended = await job(now)
        except UMError as error:
            self._metrics.count("housekeeping_failures")
            log.warning("job failed", job=name, reason=error.code)
            return 0
        finally:
            seconds = self._clock.monotonic() - started
            self._metrics.observe(f"housekeeping_{name}_seconds", seconds)
        if ended:
            self._metrics.count(f"housekeeping_{name}", ended)
            log.info("job done", job=name, ended=ended)
        return ended

    async def _empty_trash(self, now: datetime) -> int:
        cutoff = trash_cutoff(now, self._settings.trash_days)
        if cutoff is None or not await self._purge.clock_trusted():
            return 0

        def empty_trash_txn(tx: Transaction) -> int:
            old = defaultdict[MailboxId, list[Uid]](list)
            for entry in tx.messages.trashed_before(cutoff, BATCH):
                old[entry.mailbox_id].append(entry.uid)
            return sum(
                len(tx.messages.expunge(folder, uids))
                for folder, uids in old.items()
                if _may_expire_txn(tx, folder)
            )

        emptied = 0
        while went := await self._store.run("empty-trash", empty_trash_txn):
            emptied += went
        return emptied

    async def _run_retention(self, _: datetime) -> int:
        if self._retention is None or not await self._purge.clock_trusted():
            return 0
        return sum(each.messages for each in await self._retention.run())

    async def _free_numbers(self, now: datetime) -> int:
        return await self._store.run("free-numbers", lambda tx: tx.numbers.free_held(now))

    async def _expire_reservations(self, now: datetime) -> int:
        return await self._store.run("expire", lambda tx: tx.reservations.expire(now))

    async def _forget_ingests(self, now: datetime) -> int:
        # Voice and fax keys carry a later date, for replays (um.service.delivery).
        before = now - MAIL_INGEST_AGE
        return await self._store.run(
            "forget-ingests", lambda tx: tx.messages.forget_ingests(before)
        )

    async def _forget_failures(self, now: datetime) -> int:
        before = now - lockout.WINDOW
        return await self._store.run("forget-failures", lambda tx: tx.lockouts.forget(before))

    async def _forget_sessions(self, now: datetime) -> int:
        def forget_txn(tx: Transaction) -> int:
            ended = tx.credentials.forget_sessions(
                used_before=now - sessions.IDLE, opened_before=now - sessions.LONGEST
            )
            return ended + tx.credentials.forget_links(now)

        return await self._store.run("forget-sessions", forget_txn)

    async def _sweep_quarantine(self, now: datetime) -> int:
        owners = await self._quarantine.accounts()

        def spared_txn(tx: Transaction) -> list[AccountId]:
            known = [account for each in owners if (account := tx.accounts.get(each)) is not None]
            return [account.id for account in known if not may_expire(account)]

        spared = await self._store.read("quarantine", spared_txn)
        before = now - timedelta(days=self._settings.quarantine_days)
        return await self._quarantine.sweep(before, sparing=spared)

    async def _trim_changes(self, now: datetime) -> int:
        return await self._store.trim_changes(now - CHANGES_AGE)

    async def _forget_outbox(self, now: datetime) -> int:
        return await self._outbox.forget(now) if self._outbox else 0

    async def _run_purge(self, _: datetime) -> int:
        report = await self._purge.run()
        return len(report.records)

    async def _finish_purges(self, _: datetime) -> int:
        """What was interrupted; and so the clock is read every hour."""
        return len((await self._purge.run(begin=False)).records)

    async def _delete_discarded(self, now: datetime) -> int:
        before = now - DISCARDED_AGE
        return await delete_discarded(self._store, self._blobs, before=before)

    async def _sweep_blobs(self, now: datetime) -> int:
        return await sweep_orphans(self._store, self._blobs, now)

    async def _is_night(self, now: datetime) -> bool:
        """Whether the nightly round has not been made since the hour came, by its mark."""
        hour = latest_hour(now, self._settings.night_hour, self._settings.timezone)
        try:
            text = await self._store.read("night", lambda tx: tx.records.mark(NIGHT_MARK))
        except UMError:
            return False
        # A mark of the time to come was made by a clock that was wrong.
        return text is None or not hour <= datetime.fromisoformat(text) <= now

    async def _end_night(self, now: datetime) -> int:
        await self._store.run("night", lambda tx: tx.records.set_mark(NIGHT_MARK, now.isoformat()))
        return 0


def _may_expire_txn(tx: Transaction, folder: MailboxId) -> bool:
    """Whether the owner's account is still one to sweep: a hold may have come since it was listed."""
    mailbox = tx.mailboxes.get(folder)
    account = tx.accounts.lock(mailbox.account_id) if mailbox is not None else None
    return account is not None and may_expire(account)

"""What the house does by itself every hour: ends terms, sweeps leftovers, purges what is due.

Laws:
- Each job stands alone: one that fails is logged and tried again at the next tick.
- Every job may run at once in several processes.
- Nothing of an account that is not active is swept: it may be reopened with everything in place.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from um.core.account import AccountState
from um.core.errors import UMError
from um.core.ids import MailboxId, Uid
from um.core.ports import BlobStore, Clock, Metrics, NoMetrics, Quarantine, Store, Transaction
from um.policy import lockout, sessions
from um.policy.retention import MAIL_INGEST_AGE, QUARANTINE_DAYS, trash_cutoff
from um.service.forward.queue import OutboxQueue
from um.service.purge import Purge
from um.service.sweep import delete_discarded, sweep_orphans

log = structlog.get_logger(__name__)

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


class Housekeeping:
    """The hourly round."""

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
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._quarantine = quarantine
        self._purge = purge
        self._clock = clock
        self._settings = settings
        self._outbox = outbox
        self._metrics = metrics or NoMetrics()

    async def tick(self) -> dict[str, int]:
        """Do every job once; returns how many things each one ended. Raises nothing of storage's."""
        now = self._clock.now()
        jobs: dict[str, Callable[[datetime], Awaitable[int]]] = {
            "trash": self._empty_trash,
            "reservations": self._expire_reservations,
            "ingests": self._forget_ingests,
            "lockouts": self._forget_failures,
            "sessions": self._forget_sessions,
            "quarantine": self._sweep_quarantine,
            "changes": self._trim_changes,
            "outbox": self._forget_outbox,
            "purge": self._run_purge,
            "discarded": self._delete_discarded,
            "blobs": self._sweep_blobs,
        }
        return {name: await self._attempt(name, job, now) for name, job in jobs.items()}

    async def discard(self) -> int:
        """Delete the bodies that were discarded; costs one short query when there are none.

        For every minute between the ticks. Raises nothing of storage's; returns how many went.
        """
        return await self._attempt("discarded", self._delete_discarded, self._clock.now())

    async def _attempt(
        self, name: str, job: Callable[[datetime], Awaitable[int]], now: datetime
    ) -> int:
        try:
            ended = await job(now)
        except UMError as error:
            self._metrics.count("housekeeping_failures")
            log.warning("job failed", job=name, reason=error.code)
            return 0
        if ended:
            self._metrics.count(f"housekeeping_{name}", ended)
            log.info("job done", job=name, ended=ended)
        return ended

    async def _empty_trash(self, now: datetime) -> int:
        cutoff = trash_cutoff(now, self._settings.trash_days)
        if cutoff is None:
            return 0

        def empty_trash_txn(tx: Transaction) -> int:
            old = defaultdict[MailboxId, list[Uid]](list)
            for entry in tx.messages.trashed_before(cutoff):
                account = tx.accounts.get(entry.account_id)
                if account is not None and account.state is AccountState.ACTIVE:
                    old[entry.mailbox_id].append(entry.uid)
            return sum(len(tx.messages.expunge(folder, uids)) for folder, uids in old.items())

        return await self._store.run("empty-trash", empty_trash_txn)

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
        return await self._quarantine.sweep(now - timedelta(days=self._settings.quarantine_days))

    async def _trim_changes(self, now: datetime) -> int:
        return await self._store.trim_changes(now - CHANGES_AGE)

    async def _forget_outbox(self, now: datetime) -> int:
        return await self._outbox.forget(now) if self._outbox else 0

    async def _run_purge(self, _: datetime) -> int:
        report = await self._purge.run()
        return len(report.records)

    async def _delete_discarded(self, now: datetime) -> int:
        before = now - DISCARDED_AGE
        return await delete_discarded(self._store, self._blobs, before=before)

    async def _sweep_blobs(self, now: datetime) -> int:
        return await sweep_orphans(self._store, self._blobs, now)

"""Jobs of exports as they are written down, so that one outlives the process that began it.

Laws:
- One job of an account, whatever asks for it, on whichever node: who begins claims it in one transaction.
- A job that runs says so every few seconds. One that has been silent for SILENT is nobody's, and
  whoever looks next goes on with it; after MOST_TRIES it has failed.
- It is written as a preference, and so goes with the account. A finished one leaves nothing but its file.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from um.core.account import AccountState
from um.core.errors import NotFoundError
from um.core.ids import AccountId
from um.core.ports import Clock, Store, Transaction

KEY = "export.job"
SILENT = timedelta(seconds=60)
MOST_TRIES = 3
"""What ends the process three times will do so a fourth time."""
FAILED_KEPT = timedelta(days=1)
"""So long the owner is told of a failure."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """How far an export is, in messages."""

    began_at: datetime
    heard_at: datetime
    """When it was last heard of."""
    done: int = 0
    total: int = 0
    tries: int = 1
    failed: bool = False

    def is_silent(self, now: datetime) -> bool:
        """Whether nobody works at it (any more)."""
        return not self.failed and now - self.heard_at >= SILENT

    def is_running(self, now: datetime) -> bool:
        """Whether somebody works at it, or will go on with it in a moment."""
        return not self.failed and not (self.is_silent(now) and self.tries >= MOST_TRIES)


class ExportJobs:
    """One object serves a process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find(self, account_id: AccountId) -> Job | None:
        """The job that is written down: running, or failed."""
        return await self._store.read("export-job", lambda tx: _job_txn(tx, account_id))

    async def claim(self, account_id: AccountId) -> Job | None:
        """Begin anew; None if one is running. Raises NotFoundError without such an account."""
        now = self._clock.now()

        def claim_txn(tx: Transaction) -> Job | None:
            _locked_txn(tx, account_id)
            job = _job_txn(tx, account_id)
            if job is not None and not job.failed and not job.is_silent(now):
                return None
            return _write_txn(tx, account_id, Job(now, now))

        return await self._store.run("export-claim", claim_txn)

    async def adopt(self, *, alone: bool) -> list[AccountId]:
        """Claim what nobody works at; returns whose. What was tried too often has failed.

        Args:
            alone: nobody else works here, so that all that is not failed is nobody's.
        """
        found = await self._store.read("export-jobs", lambda tx: tx.accounts.choosing([KEY]))
        return [
            each
            for each in found
            if await self._store.run("export-adopt", self._adopting(each, alone=alone))
        ]

    def _adopting(self, account_id: AccountId, *, alone: bool) -> Callable[[Transaction], bool]:
        now = self._clock.now()

        def adopt_txn(tx: Transaction) -> bool:
            account, job = tx.accounts.lock(account_id), _job_txn(tx, account_id)
            if account is None or account.state is AccountState.PURGING or job is None:
                return False
            if job.failed:
                if now - job.heard_at >= FAILED_KEPT:
                    tx.accounts.set_preference(account_id, KEY, None)
                return False
            if not alone and not job.is_silent(now):
                return False
            failed = job.tries >= MOST_TRIES
            again = Job(job.began_at, now, tries=job.tries if failed else job.tries + 1)
            _write_txn(tx, account_id, replace(again, failed=failed))
            return not failed

        return adopt_txn

    async def hear(self, account_id: AccountId, *, done: int, total: int) -> None:
        """Say how far it is. Raises NotFoundError when the account is going, or the job ended."""
        now = self._clock.now()

        def hear_txn(tx: Transaction) -> None:
            _locked_txn(tx, account_id)
            job = _job_txn(tx, account_id)
            if job is None or job.failed:
                raise NotFoundError("The export is nobody's any more")
            _write_txn(tx, account_id, replace(job, heard_at=now, done=done, total=total))

        await self._store.run("export-progress", hear_txn)

    async def end(self, account_id: AccountId) -> None:
        """It is finished. Raises NotFoundError when the account is going."""

        def end_txn(tx: Transaction) -> None:
            _locked_txn(tx, account_id)
            tx.accounts.set_preference(account_id, KEY, None)

        await self._store.run("export-end", end_txn)

    async def fail(self, account_id: AccountId) -> None:
        """It cannot be made, and its owner is told so."""
        now = self._clock.now()
        await self._change(account_id, lambda job: replace(job, heard_at=now, failed=True))

    async def leave(self, account_id: AccountId) -> None:
        """The process stops: whoever comes next goes on at once. That was no failed try."""
        await self._change(
            account_id, lambda job: replace(job, heard_at=_NEVER, tries=max(0, job.tries - 1))
        )

    async def _change(self, account_id: AccountId, change: Callable[[Job], Job]) -> None:
        def change_txn(tx: Transaction) -> None:
            job = _job_txn(tx, account_id)
            if job is not None:
                _write_txn(tx, account_id, change(job))

        await self._store.run("export-state", change_txn)


def _locked_txn(tx: Transaction, account_id: AccountId) -> None:
    account = tx.accounts.lock(account_id)
    if account is None or account.state is AccountState.PURGING:
        raise NotFoundError("There is no such account")


def _job_txn(tx: Transaction, account_id: AccountId) -> Job | None:
    """The job; None if there is none, or what stands there cannot be read."""
    text = tx.accounts.preferences(account_id).get(KEY)
    if text is None:
        return None
    try:
        values = json.loads(text)
        for name in ("began_at", "heard_at"):
            values[name] = datetime.fromisoformat(values[name])
        return Job(**values)
    except (ValueError, TypeError, KeyError):
        return None


def _write_txn(tx: Transaction, account_id: AccountId, job: Job) -> Job:
    tx.accounts.set_preference(account_id, KEY, json.dumps(asdict(job), default=str))
    return job

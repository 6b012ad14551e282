"""The end of closed accounts: everything goes but a record that it went.

Laws:
- Only an account that is closed, past its fixed purge date and under no legal hold is begun; one
  that is PURGING is always finished. No step touches another account.
- Accounts go in groups, step by step, so that a thousand cost little more than their messages.
- Each step may be interrupted at any instant and is repeated by the next run: the mark hides the
  account first; bodies go while their rows still name them; the row that names the account goes
  last of all. The record is finished only after the bodies that were expunged meanwhile or never
  had a row (their keys tell whose they are) went too, and the database was compacted.
- A delivery that races the mark either committed before it, so that its rows are found here, or
  sees PURGING under the account's lock and deletes its own blob. (Killed in between it leaves an
  orphan; one that is put after this purge has swept goes with the sweep of the next day.)
- Without an operator's word on the time nothing begins unless two readings of the clock agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from um.core.account import Account, AccountState, PurgeRecord
from um.core.ids import AccountId
from um.core.ports import (
    BlobStore,
    Clock,
    Exports,
    Greetings,
    Metrics,
    NoMetrics,
    Quarantine,
    Spool,
    Store,
    Transaction,
)
from um.core.steps import Steps, no_steps
from um.policy import lockout
from um.policy.lifecycle import LifeEvent, clock_trusted, move
from um.service.sweep import delete_discarded, sweep_orphans

log = structlog.get_logger(__name__)

BATCH = 200
"""Messages deleted in one transaction, so that others can write in between."""
GROUP = 50
"""Accounts that go together: tables without an index by account are read once a group."""
CLOCK_MARK = "clock"
"""The last reading of the clock that was trusted, in ISO 8601."""


@dataclass(frozen=True, slots=True)
class PurgeProgress:
    """How far a run is: accounts done, of how many, and what is being done to which."""

    done: int
    total: int
    account_name: str
    step: str


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What a run did or, if dry, would do."""

    records: list[PurgeRecord]
    """Of each account, with what was found when its purge began."""
    held: bool = False
    """The clock is not trusted: accounts that became due were left alone."""
    trusted_at: datetime | None = None
    """When the clock was last trusted, if ever."""
    on_legal_hold: Sequence[Account] = ()
    """Due, and kept."""


class Purge:
    """Runs purges. Any number may run at once, in any processes."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        spool: Spool,
        quarantine: Quarantine,
        greetings: Greetings,
        exports: Exports,
        clock: Clock,
        *,
        steps: Steps = no_steps,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._spool = spool
        self._quarantine = quarantine
        self._greetings = greetings
        self._exports = exports
        self._clock = clock
        self._steps = steps
        self._metrics = metrics or NoMetrics()

    async def due(self, at: datetime) -> list[Account]:
        """Accounts whose purge may begin at that instant, or has begun already."""
        return [each for each in await self._past(at) if is_due(each, at)]

    async def clock_trusted(self) -> bool:
        """Whether the clock agrees with its last trusted reading; changes nothing."""
        _, trusted = await self._read_clock(self._clock.now(), confirmed=False, dry=True)
        return trusted

    async def run(
        self,
        *,
        dry_run: bool = False,
        begin: bool = True,
        at: datetime | None = None,
        progress: Callable[[PurgeProgress], None] = lambda _: None,
    ) -> PurgeReport:
        """Purge every account that is due.

        Args:
            dry_run: only tell.
            begin: begin new ones too; else only finish those that had begun, and read the clock.
            at: the time to go by, on the operator's word; also says that the clock is right.
            progress: told before each step of each account.

        Raises UnavailableError; run again then.
        """
        now = self._clock.now()
        trusted_at, trusted = await self._read_clock(now, confirmed=at is not None, dry=dry_run)
        past = await self._past(at or now)
        due = [each for each in past if is_due(each, at or now)]
        kept = [each for each in past if each.legal_hold_at is not None and each not in due]
        if not trusted or not begin:
            due = [each for each in due if each.state is AccountState.PURGING]
        self._metrics.gauge("purge_held", 0 if trusted else 1)
        self._metrics.gauge("purge_on_legal_hold", len(kept))
        if dry_run:
            records = [await self._store.read("purge-dry", _counted(each, now)) for each in due]
            return PurgeReport(records, not trusted, trusted_at, kept)
        for done in range(0, len(due), GROUP):
            group = due[done : done + GROUP]

            def tell(step: str, *, done: int = done, name: str = _named(group)) -> None:
                progress(PurgeProgress(done, len(due), name, step))

            await self._purge(group, at or now, tell)
        records = await self._finish([each.id for each in due], now)
        progress(PurgeProgress(len(due), len(due), "", "done"))
        return PurgeReport(records, not trusted, trusted_at, kept)

    async def _past(self, at: datetime) -> list[Account]:
        return await self._store.read("purge-due", lambda tx: tx.accounts.due(at))

    async def _read_clock(
        self, now: datetime, *, confirmed: bool, dry: bool
    ) -> tuple[datetime | None, bool]:
        """The last trusted reading, and whether `now` may be trusted, which makes it the last.

        A reading after a jump is not kept: when the clock comes back the hold ends by itself,
        and otherwise an operator ends it.
        """

        def read_clock_txn(tx: Transaction) -> tuple[datetime | None, bool]:
            text = tx.records.mark(CLOCK_MARK)
            last = datetime.fromisoformat(text) if text else None
            trusted = confirmed or clock_trusted(last, now)
            if not dry and (trusted or last is None):
                tx.records.set_mark(CLOCK_MARK, now.isoformat())
            return last, trusted

        if dry:
            last, trusted = await self._store.read("read-clock", read_clock_txn)
        else:
            last, trusted = await self._store.run("read-clock", read_clock_txn)
        if not trusted and last is not None:
            log.warning(
                "purge held: the clock jumped",
                trusted_at=last.isoformat(),
                now=now.isoformat(),
                to_confirm=f"um purge --at {now.isoformat(timespec='seconds')}",
            )
        return last, trusted

    async def _purge(
        self, group: Sequence[Account], at: datetime, tell: Callable[[str], None]
    ) -> None:
        tell("mark")
        ids = [each.id for each in group if await self._mark(each.id, at)]
        if not ids:
            return
        self._steps("purge.marked")
        tell("blobs")
        found = await self._store.read(
            "purge-blobs", lambda tx: [key for each in ids for key in tx.messages.blobs_of(each)]
        )
        keys = sorted(found)
        for start in range(0, len(keys), BATCH):
            await self._blobs.delete(keys[start : start + BATCH])
        self._steps("purge.blobs-deleted")
        tell("messages")
        for account_id in ids:
            await self._delete_messages(account_id)
        self._steps("purge.messages-deleted")
        tell("spool")
        for account_id in ids:
            await self._spool.delete_of(account_id)
        self._steps("purge.spool-deleted")
        for account_id in ids:
            await self._quarantine.delete_of(account_id)
        self._steps("purge.quarantine-deleted")
        for account_id in ids:
            await self._greetings.delete_of(account_id)
            await self._exports.delete_of(account_id)
        self._steps("purge.greetings-deleted")
        tell("account")
        await self._store.run("purge-accounts", lambda tx: _delete_accounts_txn(tx, ids, at))
        self._steps("purge.account-deleted")
        for account_id in ids:
            log.info("account purged", account=account_id)
        self._metrics.count("accounts_purged", len(ids))

    async def _mark(self, account_id: AccountId, at: datetime) -> bool:
        """Hide the account and write down what it holds; False if it may not be purged now."""
        started_at = self._clock.now()

        def mark_txn(tx: Transaction) -> bool:
            account = tx.accounts.lock(account_id)
            if account is None or not is_due(account, at):
                return False  # gone, reopened or put under a hold since it was listed
            if account.state is not AccountState.PURGING:
                tx.records.save_purge(_counted(account, started_at)(tx))
                state = move(account.state, LifeEvent.PURGE)
                tx.accounts.save(replace(account, state=state))
            return True

        return await self._store.run("purge-mark", mark_txn)

    async def _delete_messages(self, account_id: AccountId) -> None:
        """Thin a large mailbox out; the last of it goes with the rows of the account."""
        while await self._store.run("purge-messages", _delete_some(account_id)):
            pass

    async def _finish(self, purged: list[AccountId], now: datetime) -> list[PurgeRecord]:
        """Compact, then close the records of all accounts that are gone, earlier runs' too."""

        def open_txn(tx: Transaction) -> list[PurgeRecord]:
            return [
                record
                for record in tx.records.purges()
                if record.finished_at is None and tx.accounts.get(record.account_id) is None
            ]

        unfinished = await self._store.read("purge-unfinished", open_txn)
        if unfinished:
            await self._sweep([record.account_id for record in unfinished], now)
            await self._sweep_greetings()
            await self._store.compact()
            self._steps("purge.vacuumed")

            def finish_txn(tx: Transaction) -> None:
                for record in unfinished:
                    tx.records.save_purge(replace(record, finished_at=now))

            await self._store.run("purge-finish", finish_txn)
            self._steps("purge.recorded")
        finished = {record.account_id for record in unfinished} | set(purged)
        records = await self._store.read("purge-records", lambda tx: tx.records.purges())
        return [record for record in records if record.account_id in finished]

    async def _sweep(self, gone: list[AccountId], now: datetime) -> None:
        """Delete bodies that no row of these accounts names any more, or never did."""
        await delete_discarded(self._store, self._blobs, of=gone)
        await sweep_orphans(self._store, self._blobs, now, gone=gone)

    async def _sweep_greetings(self) -> None:
        """Remove what a call in progress recorded after its account's greetings had gone."""
        kept = await self._greetings.accounts()

        def strays_txn(tx: Transaction) -> list[AccountId]:
            return [each for each in kept if tx.accounts.get(each) is None]

        for account_id in await self._store.read("purge-greetings", strays_txn):
            await self._greetings.delete_of(account_id)


def is_due(account: Account, at: datetime) -> bool:
    """Whether the account's purge may begin at that instant, or has begun."""
    if account.state is AccountState.PURGING:
        return True
    closed = account.state is AccountState.CLOSED and account.legal_hold_at is None
    return closed and account.purge_at is not None and account.purge_at <= at


def _named(group: Sequence[Account]) -> str:
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return group[0].name + more


def _counted(account: Account, now: datetime) -> Callable[[Transaction], PurgeRecord]:
    """What the account holds now, as a record that is not finished."""

    def counted_txn(tx: Transaction) -> PurgeRecord:
        return PurgeRecord(
            account_id=account.id,
            started_at=now,
            finished_at=None,
            messages=sum(tx.accounts.counts(account.id).values()),
            octets=tx.accounts.usage(account.id, now).used_octets,
            blobs=len(tx.messages.blobs_of(account.id)),
        )

    return counted_txn


def _delete_some(account_id: AccountId) -> Callable[[Transaction], bool]:
    """Delete a batch of messages if the account has more than one; True if that may be so still."""

    def delete_some_txn(tx: Transaction) -> bool:
        if sum(tx.accounts.counts(account_id).values()) <= BATCH:
            return False
        for folder in tx.mailboxes.of_account(account_id):
            uids = [entry.uid for entry in tx.messages.entries(folder.id)[:BATCH]]
            if uids:
                tx.messages.expunge(folder.id, uids)
                return True
        return False

    return delete_some_txn


def _delete_accounts_txn(tx: Transaction, account_ids: Sequence[AccountId], at: datetime) -> None:
    for account_id in sorted(account_ids):
        if tx.accounts.lock_state(account_id) is None:
            continue  # another node was quicker: its numbers may be another's by now
        for number in tx.numbers.of_account(account_id):
            if number.hold_until is not None and number.hold_until > at:
                tx.numbers.hold(number.e164, number.hold_until)
            else:
                tx.numbers.free(number.e164)
        tx.lockouts.clear(lockout.pin_subject(account_id))
    tx.accounts.delete(*account_ids)

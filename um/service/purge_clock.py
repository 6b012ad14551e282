"""Whether new purges are held because of the clock, what they wait for, and the operator's word on it.

Laws:
- Looking changes nothing; only a confirmation writes a reading of the clock down.
- A confirmation is a time that the operator's side read from its own clock: one that differs from
  ours by more than CLOSE proves that one of the two is wrong, and ends no hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from um.core.account import Account, AuditRecord
from um.core.errors import InvalidError
from um.core.ports import Clock, Metrics, NoMetrics, Store, Transaction
from um.policy.lifecycle import clock_trusted
from um.service.purge import CLOCK_MARK, is_due

CLOSE = timedelta(minutes=5)
"""Two clocks that are right differ by less, with the time that a request takes."""


@dataclass(frozen=True, slots=True)
class PurgeOutlook:
    """What the next purge finds."""

    now: datetime
    """As this server's clock says."""
    trusted_at: datetime | None
    """When the clock was last trusted; None: never read yet."""
    held: bool
    """The clock jumped: nothing is begun before an operator confirms the time."""
    due: Sequence[Account]
    """Past their date, by name."""
    on_legal_hold: Sequence[Account]
    """Past their date too, and kept."""


class PurgeClock:
    """One object serves a process."""

    def __init__(self, store: Store, clock: Clock, *, metrics: Metrics | None = None) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics or NoMetrics()

    async def held_since(self) -> datetime | None:
        """The last trusted reading if the clock jumped since; None if nothing is held."""
        now = self._clock.now()
        last = await self._store.read("purge-clock", _last_txn)
        return last if last is not None and not clock_trusted(last, now) else None

    async def outlook(self) -> PurgeOutlook:
        """What a purge would find now."""
        now = self._clock.now()

        def outlook_txn(tx: Transaction) -> tuple[datetime | None, list[Account]]:
            return _last_txn(tx), tx.accounts.due(now)

        last, past = await self._store.read("purge-outlook", outlook_txn)
        past = sorted(past, key=lambda each: each.name)
        due = [each for each in past if is_due(each, now)]
        return PurgeOutlook(
            now=now,
            trusted_at=last,
            held=not clock_trusted(last, now),
            due=due,
            on_legal_hold=[each for each in past if each.legal_hold_at and each not in due],
        )

    async def confirm(self, right_time: datetime, *, actor: str = "operator") -> datetime:
        """Trust the clock as it is now; what is due goes with the next purge.

        Args:
            right_time: what the operator's own clock says now, aware.
            actor: for the audit log.

        Returns the reading that is trusted. Raises InvalidError if the two clocks differ.
        """
        now = self._clock.now()
        if abs(now - right_time) > CLOSE:
            ours = now.isoformat(timespec="seconds")
            raise InvalidError(f"This server's clock says {ours}: set right the one that is wrong")

        def confirm_txn(tx: Transaction) -> None:
            last = _last_txn(tx)
            tx.records.set_mark(CLOCK_MARK, now.isoformat())
            detail = f"last trusted {last.isoformat() if last else 'never'}"
            tx.records.audit(AuditRecord(now, actor, "purge-clock", None, detail))

        await self._store.run("purge-confirm", confirm_txn)
        self._metrics.gauge("purge_held", 0)
        return now


def _last_txn(tx: Transaction) -> datetime | None:
    text = tx.records.mark(CLOCK_MARK)
    return datetime.fromisoformat(text) if text else None

"""`MemoryStore`: units of work on a copy of the tables, so that a failed one leaves no trace."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

from storage.memory.accounts import MemoryAccounts, MemoryNumbers
from storage.memory.annotations import MemoryAnnotations
from storage.memory.credentials import MemoryCredentials
from storage.memory.forwarding import MemoryForwardAddresses, MemoryOutbox
from storage.memory.mailboxes import MemoryMailboxes
from storage.memory.messages import MemoryMessages
from storage.memory.records import MemoryLockouts, MemoryRecords, MemoryReservations
from storage.memory.tables import Tables, Unit
from um.core.errors import UnavailableError
from um.core.events import Event
from um.core.ports import Clock, Transaction
from um.core.steps import Steps, no_steps

T = TypeVar("T")

_START = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


class MemoryTransaction:
    """The repositories on one copy of the tables."""

    def __init__(self, unit: Unit) -> None:
        self.accounts = MemoryAccounts(unit)
        self.numbers = MemoryNumbers(unit)
        self.mailboxes = MemoryMailboxes(unit)
        self.messages = MemoryMessages(unit)
        self.reservations = MemoryReservations(unit)
        self.lockouts = MemoryLockouts(unit)
        self.records = MemoryRecords(unit)
        self.credentials = MemoryCredentials(unit)
        self.addresses = MemoryForwardAddresses(unit)
        self.outbox = MemoryOutbox(unit)
        self.annotations = MemoryAnnotations(unit)


class MemoryStore:
    """`um.core.ports.Store` on dictionaries; needs no loop and no threads.

    Args:
        publish: told of the changes of each commit, e.g. `LocalEventBus().publish`.
        clock: seeds UIDVALIDITY; without it the folders of an account count from 1.
        steps: announced in the delivery as the real stores do.

    A test sets `unavailable` to have every call raise UnavailableError, as with a full disk.
    """

    def __init__(
        self,
        publish: Callable[[Iterable[Event]], None] | None = None,
        *,
        clock: Clock | None = None,
        steps: Steps = no_steps,
    ) -> None:
        self.unavailable = False
        self._tables = Tables()
        self._publish = publish
        self._clock = clock
        self._steps = steps

    async def run(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` on a copy; it becomes the store's state only if `work` returns."""
        steps = self._steps if name == "deliver" else no_steps
        unit = self._begin(steps)
        steps("transaction.begun")
        result = work(MemoryTransaction(unit))
        steps("transaction.before-commit")
        self._tables = unit.tables
        steps("transaction.committed")
        if self._publish is not None and unit.changes:
            self._publish(list(unit.changes.values()))
        return result

    async def read(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` on a copy that is dropped. Raises RuntimeError if it noted a change."""
        unit = self._begin(no_steps)
        result = work(MemoryTransaction(unit))
        if unit.changes:
            raise RuntimeError(f"the read {name} wrote")
        return result

    async def compact(self) -> None:
        """Nothing lingers here."""

    async def trim_changes(self, before: datetime) -> int:  # noqa: ARG002 - the port's name
        """No change is kept after it was published."""
        return 0

    async def close(self) -> None:
        """Nothing is open."""

    def _begin(self, steps: Steps) -> Unit:
        if self.unavailable:
            raise UnavailableError
        return Unit(
            self._tables.copy(), steps, _START if self._clock is None else self._clock.now()
        )

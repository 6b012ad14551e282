"""Ports of the database: units of work and what they can reach."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from um.core.ports.accounts import Accounts, Lockouts, Numbers, Records
from um.core.ports.annotations import Annotations
from um.core.ports.credentials import Credentials
from um.core.ports.forwarding import ForwardAddresses, Outbox
from um.core.ports.mailboxes import Mailboxes, Messages, Reservations

T = TypeVar("T")


class Transaction(Protocol):
    """The repositories, bound to one transaction."""

    @property
    def accounts(self) -> Accounts: ...
    @property
    def numbers(self) -> Numbers: ...
    @property
    def mailboxes(self) -> Mailboxes: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def reservations(self) -> Reservations: ...
    @property
    def lockouts(self) -> Lockouts: ...
    @property
    def records(self) -> Records: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def addresses(self) -> ForwardAddresses: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def annotations(self) -> Annotations: ...


class Store(Protocol):
    """Units of work. `name` is for logs and metrics; the function is named `…_txn` by custom."""

    async def run(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` in one transaction that may write, and commit it durably."""
        ...

    async def read(self, name: str, work: Callable[[Transaction], T]) -> T:
        """Do `work` on one consistent view; it must not write."""
        ...

    async def compact(self) -> None:
        """Leave nothing readable of what was deleted. Raises UnavailableError if it is in use."""
        ...

    async def trim_changes(self, before: datetime) -> int:
        """Drop the change hints older than that instant (housekeeping); returns how many."""
        ...

    async def close(self) -> None: ...

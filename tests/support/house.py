"""The services of one process over the memory store, with a clock that stands still."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.exports import FileExports
from storage.memory import (
    MemoryBlobStore,
    MemoryGreetings,
    MemoryQuarantine,
    MemorySpool,
    MemoryStore,
)
from tests.support.clock import FakeClock
from um.core.account import Account, NumberUse, Usage
from um.core.events import Event, MessageStored
from um.core.ids import AccountId, IngestKey
from um.core.message import MessageKind
from um.core.steps import Steps, no_steps
from um.service.accounts import AccountService, NewAccount
from um.service.authentication import Authenticator
from um.service.delivery import Delivery, Incoming
from um.service.events import LocalEventBus
from um.service.house_records import HouseRecords
from um.service.numbering import NumberService
from um.service.purge import Purge
from um.service.settings import AccountSettings

DOMAIN = "um.example.net"
NUMBER = "+15551230001"
PASSWORD = "correct horse"
PIN = "280519"


class PlainHasher:
    """`PasswordHasher` that costs nothing and counts its checks."""

    def __init__(self) -> None:
        self.checks: list[str] = []

    async def hash(self, secret: str) -> str:
        return f"plain${secret}"

    async def verify(self, secret: str, stored: str) -> bool:
        self.checks.append(stored)
        return stored == f"plain${secret}"


@dataclass
class House:
    """Everything that a service test needs; `stored` collects the deliveries told on the bus."""

    clock: FakeClock = field(default_factory=FakeClock)
    settings: AccountSettings = field(
        default_factory=lambda: AccountSettings(DOMAIN, timezone="America/Toronto")
    )
    steps: Steps = no_steps
    store_of: Callable[["House"], Any] | None = None
    """Opens another store than the memory store."""

    def __post_init__(self) -> None:
        self.bus = LocalEventBus()
        self.stored: list[Event] = []
        self.bus.subscribe(MessageStored, self.stored.append)
        self.store: Any = (
            self.store_of(self)
            if self.store_of
            else MemoryStore(self.bus.publish, clock=self.clock, steps=self.steps)
        )
        self.blobs = MemoryBlobStore(self.clock, steps=self.steps)
        self.spool = MemorySpool()
        self.quarantine = MemoryQuarantine(self.clock)
        self.greetings = MemoryGreetings()
        self.exports = FileExports(Path("/nonexistent"))
        self.hasher = PlainHasher()
        self.delivery = Delivery(self.store, self.blobs, self.bus, self.clock, steps=self.steps)
        self.accounts = AccountService(self.store, self.clock, self.hasher, self.settings)
        self.records = HouseRecords(self.store, self.settings)
        self.numbers = NumberService(self.store, self.clock, self.settings)
        self.authenticator = Authenticator(self.store, self.clock, self.hasher, self.settings)

    def delivery_over(self, store: Any) -> Delivery:
        """A second write path, over a store that misbehaves."""
        return Delivery(store, self.blobs, self.bus, self.clock)

    def purge(self, steps: Steps = no_steps) -> Purge:
        return Purge(
            self.store,
            self.blobs,
            self.spool,
            self.quarantine,
            self.greetings,
            self.exports,
            self.clock,
            steps=steps,
        )

    async def add(
        self, name: str = "alice", number: str | None = NUMBER, **more: object
    ) -> Account:
        numbers = [(number, NumberUse.BOTH)] if number else []
        new = NewAccount(name, numbers, **more)  # type: ignore[arg-type]
        return await self.accounts.add(new, password=PASSWORD, pin=PIN)

    async def usage(self, account_id: AccountId) -> Usage:
        now = self.clock.now()
        return await self.store.read("usage", lambda tx: tx.accounts.usage(account_id, now))


def mail(size_octets: int = 1000, *, subject: str = "Hello") -> bytes:
    """A message of exactly that size."""
    head = (
        f"From: bob@example.org\r\nTo: alice@{DOMAIN}\r\nSubject: {subject}\r\n"
        "Message-ID: <1@example.org>\r\nDate: Wed, 04 Mar 2026 12:00:00 +0000\r\n\r\n"
    ).encode()
    line = b"x" * 70 + b"\r\n"
    body = (line * (size_octets // len(line) + 1))[: size_octets - len(head) - 2] + b"\r\n"
    return head + body


def incoming(
    account: Account,
    key: str = "key-1",
    *,
    kind: MessageKind = MessageKind.VOICE,
    size_octets: int = 1000,
    **more: object,
) -> Incoming:
    """A delivery to the account's INBOX."""
    data = mail(size_octets)
    return Incoming(account.id, kind, data, IngestKey(key), **more)  # type: ignore[arg-type]

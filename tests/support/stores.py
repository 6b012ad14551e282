"""A store with a loop, a clock and a list of what it published: what store tests begin with."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.database import open_store
from tests.support.clock import FakeClock
from um.core.account import Account
from um.core.message import Content, Entry, Mailbox, MessageKind


class House:
    """A store with one loop, what it published, and the few rows that every story begins with."""

    def __init__(self, make: Callable[[Callable[..., None], FakeClock, Any], Any]) -> None:
        self.clock = FakeClock()
        self.events: list[Any] = []
        self.steps: list[str] = []
        self.changed = asyncio.Event()
        self.runner = asyncio.Runner()
        self.url = ""
        self.store = make(self._publish, self.clock, self.steps.append)

    def _publish(self, events: Any) -> None:
        self.events.extend(events)
        self.changed.set()

    def now(self) -> datetime:
        return self.clock.now()

    def run(self, work: Callable[[Any], Any], name: str = "test") -> Any:
        return self.runner.run(self.store.run(name, work))

    def read(self, work: Callable[[Any], Any]) -> Any:
        return self.runner.run(self.store.read("test", work))

    def account(self, name: str = "alice", **fields: Any) -> Account:
        account = Account(uuid.uuid4().hex, name, "um.example.net", self.now(), **fields)
        self.run(lambda tx: tx.accounts.add(account))
        return account

    def folder(self, account: Account, name: str = "INBOX", **options: Any) -> Mailbox:
        return self.run(lambda tx: tx.mailboxes.create(account.id, name, **options))

    def content(self, account: Account, size: int = 1000, **fields: Any) -> Content:
        return Content(
            id=uuid.uuid4().hex,
            account_id=account.id,
            blob=uuid.uuid4().hex,
            kind=fields.pop("kind", MessageKind.MAIL),
            size_octets=size,
            envelope=b'("x\x00\xff")',
            body=b"(b)",
            bodystructure=b"(bs)",
            structure=b"\x00\x01",
            header=b"Subject: x\r\n\r\n",
            **fields,
        )

    def deliver(self, account: Account, mailbox: Mailbox, size: int = 1000, **fields: Any) -> Entry:
        flags = fields.pop("flags", ())
        content = self.content(account, size, **fields)

        def deliver_txn(tx: Any) -> Entry:
            tx.messages.add_content(content)
            return tx.messages.add_entry(
                mailbox.id,
                content.id,
                flags=flags,
                internal_date=self.now(),
                saved_at=self.now(),
            )

        return self.run(deliver_txn)

    def used(self, account: Account) -> int:
        return self.read(lambda tx: tx.accounts.usage(account.id, self.now())).used_octets

    def entries(self, mailbox: Mailbox, **options: Any) -> list[Entry]:
        return self.read(lambda tx: tx.messages.entries(mailbox.id, **options))

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


def on_database(url: str | Path) -> House:
    """A house on a migrated database."""
    house = House(
        lambda publish, clock, steps: open_store(url, publish=publish, clock=clock, steps=steps)
    )
    house.url = str(url)
    return house

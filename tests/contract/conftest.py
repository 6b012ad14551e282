"""Every store the product has, behind one fixture: `house` runs a test on each of them."""

import asyncio
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storage import schema
from storage.database import open_store
from storage.memory import MemoryStore
from storage.migrate import upgrade
from tests.support.clock import FakeClock
from tests.support.postgres import Postgres, postgres
from um.core.account import Account
from um.core.message import Content, Entry, Mailbox, MessageKind

KINDS = ("memory", "sqlite", "postgresql")


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


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_url(server: Postgres) -> str:
    """A migrated database; the fixture that uses it empties it first."""
    url = server.create()
    upgrade(url)
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "um.db"
    upgrade(path)
    return path


@pytest.fixture(params=KINDS)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    if request.param == "memory":
        made = House(lambda publish, clock, steps: MemoryStore(publish, clock=clock, steps=steps))
    else:
        made = _on_database(request)
    yield made
    made.close()


@pytest.fixture(params=KINDS[1:])
def persistent(request: pytest.FixtureRequest) -> Iterator[House]:
    """A store on a database; `house.url` names it for another process."""
    made = _on_database(request)
    yield made
    made.close()


def _on_database(request: pytest.FixtureRequest) -> House:
    if request.param == "sqlite":
        path = request.getfixturevalue("tmp_path") / "um.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        url = str(path)
    else:
        url = request.getfixturevalue("postgres_url")
        tables = ", ".join(table.name for table in schema.metadata.sorted_tables)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
    house = House(
        lambda publish, clock, steps: open_store(url, publish=publish, clock=clock, steps=steps)
    )
    house.url = url
    return house

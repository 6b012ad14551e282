"""The same mailboxes in several shapes of server: one process, two over one PostgreSQL, one a client.

All run at once and are asked in turn; every account has as many messages, and a folder for new ones.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import message
from bench.imap_at_once import drive
from bench.imap_wire import Wire
from bench.peers.dovecot import Dovecot
from bench.processes import cpu_seconds
from tests.support.postgres import Postgres, postgres
from tests.support.server import Server
from um.app.services import Services
from um.cli.run import with_services
from um.service.accounts import NewAccount

SHARED = "shared"
FOLDER = b"New"
MESSAGE_OCTETS = 8000
SECRET = "bench bench bench"
LIMITS = {
    "imap": {
        "allow_plaintext_login": True,
        "max_connections_per_account": 200,
        "max_connections_per_address": 2000,
    },
    "policy": {"quota_octets": 2**40},
}


@dataclass(frozen=True, slots=True)
class House:
    """One shape of server."""

    title: str
    ports: Sequence[int]
    """Of its processes: clients are spread over them."""
    password: bytes
    pids: Sequence[int]
    commits: Callable[[], int] | None = None
    """How many transactions it has committed, where that can be counted."""

    def wires(self, accounts: Sequence[str]) -> list[Wire]:
        """A connection for each of `accounts`, with INBOX selected."""
        return [self._wire(number, account) for number, account in enumerate(accounts)]

    def cpu_seconds(self) -> float:
        """Of all its processes, the database's too."""
        return sum(map(cpu_seconds, self.pids))

    def _wire(self, number: int, account: str) -> Wire:
        wire = Wire(self.ports[number % len(self.ports)])
        wire.ask(b"LOGIN %b %b" % (account.encode(), self.password))
        wire.ask(b"SELECT INBOX")
        return wire


def own(count: int) -> list[str]:
    """The accounts of so many clients."""
    return [f"client{number}" for number in range(count)]


def fill(house: House, *, clients: int, messages: int) -> None:
    """Put so many messages into every account, and make the folder for new ones."""
    body = message(1, octets=MESSAGE_OCTETS)
    command = b"APPEND INBOX {%d+}\r\n%b" % (len(body), body)
    wires = house.wires([*own(clients), SHARED])
    drive(wires, [lambda _: command] * len(wires), most=messages)
    for wire in wires:
        wire.ask(b"CREATE " + FOLDER)
        wire.close()


@contextmanager
def running_houses(folder: Path, *, clients: int) -> Iterator[list[House]]:
    """um on SQLite, um on PostgreSQL, two of um on PostgreSQL, Dovecot in both ways of syncing."""
    folder.chmod(0o755)
    with ExitStack() as stack:
        base = stack.enter_context(postgres(durable=True))
        houses = [
            _um(stack, folder / "sqlite", clients=clients),
            _um(stack, folder / "one", clients=clients, base=base),
            _um(stack, folder / "two", clients=clients, base=base, processes=2),
        ]
        for fsync in ("always", "optimized"):
            dovecot = stack.enter_context(Dovecot(folder / fsync, fsync=fsync))
            title = f"Dovecot {dovecot.version()}, a process a client, mail_fsync={fsync}"
            houses.append(House(title, [dovecot.imap], b"bench", [dovecot.process.pid]))
        yield houses


def _um(
    stack: ExitStack,
    folder: Path,
    *,
    clients: int,
    base: Postgres | None = None,
    processes: int = 1,
) -> House:
    database = base.create() if base else None
    shared = {"data_dir": str(folder / "data"), "domain": "um.example.net"}
    servers = []
    for number in range(processes):
        # The second one and those after it are what an operator would add: workers for IMAP alone.
        roles = {"roles": ["imap"]} if number else {}
        overrides = LIMITS | {"server": shared | roles}
        server = Server(folder / f"node{number}", database=database, overrides=overrides)
        servers.append(stack.enter_context(server))
        if not number:
            _add_accounts(server, [*own(clients), SHARED])
    pids = [server.pid for server in servers]
    where = "PostgreSQL" if base else "SQLite"
    title = f"um, {processes} {'process' if processes == 1 else 'processes'}, {where}"
    return House(
        title,
        [server.address("imap").port for server in servers],
        b'"%b"' % SECRET.encode(),
        [*pids, base.pid] if base else pids,
        None if base else _commits_of(folder / "data" / "um.db-shm"),
    )


def _add_accounts(server: Server, names: Sequence[str]) -> None:
    async def add(services: Services) -> None:
        for name in names:
            await services.accounts.add(NewAccount(name=name), password=SECRET)

    with_services(server.config_file, add)


def _commits_of(index: Path) -> Callable[[], int]:
    """SQLite's own count of transactions: iChange in the header of its WAL index (wal.c)."""

    def commits() -> int:
        with index.open("rb") as file:
            return int(struct.unpack_from("=I", file.read(12), 8)[0])

    return commits

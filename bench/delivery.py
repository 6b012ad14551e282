"""Durable deliveries of 80 kB a second: the service alone, and over LMTP beside Dovecot."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from bench.corpus import message
from bench.lmtp_load import load
from bench.peers.dovecot import Dovecot
from bench.report import report
from storage.blobs import FileBlobStore
from storage.database import open_store
from storage.migrate import upgrade
from tests.support.server import Server
from um.clock import SystemClock
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.service.accounts import AccountService, NewAccount
from um.service.delivery import Delivery, Incoming
from um.service.events import LocalEventBus
from um.service.passwords import Argon2Hasher
from um.service.settings import AccountSettings

OCTETS = 80_000
PARALLEL = (1, 8, 16)


async def service_rates(folder: Path, count: int) -> dict[int, float]:
    """`Delivery.deliver` on SQLite and files, without any protocol in front."""
    folder.mkdir()
    database = f"sqlite:///{folder}/um.db"
    upgrade(database)
    bus, clock = LocalEventBus(), SystemClock()
    store = open_store(database, publish=bus.publish, clock=clock)
    delivery = Delivery(store, FileBlobStore(folder / "blobs"), bus, clock)
    settings = AccountSettings(domain="um.example.net", quota_octets=2**40)
    accounts = AccountService(store, clock, Argon2Hasher(clock), settings)
    account = await accounts.add(NewAccount(name="bench"))

    async def one(data: bytes) -> None:
        key = IngestKey(uuid4().hex)
        await delivery.deliver(Incoming(account.id, MessageKind.MAIL, data, key))

    async def worker(waiting: list[bytes]) -> None:
        while waiting:
            await one(waiting.pop())

    rates = {}
    for parallel in PARALLEL:
        waiting = [message(number, octets=OCTETS) for number in range(count)]
        start = time.perf_counter()
        await asyncio.gather(*(worker(waiting) for _ in range(parallel)))
        rates[parallel] = count / (time.perf_counter() - start)
    await store.close()
    return rates


def lmtp_rates(port: int, recipient: str, count: int) -> dict[int, float]:
    return {
        parallel: asyncio.run(
            load(
                port, recipient, count=count, connections=parallel, octets=OCTETS, first=count * at
            )
        )
        for at, parallel in enumerate(PARALLEL)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="messages for each row")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        service = asyncio.run(service_rates(folder / "service", count))
        with Dovecot(folder / "dovecot") as dovecot:
            theirs = lmtp_rates(dovecot.lmtp, "bench@example.net", count)
            version = dovecot.version()
        overrides = {"policy": {"quota_octets": 2**40}}
        with Server(folder / "um", overrides=overrides) as server:
            server.add_account("bench", password="bench bench bench")
            ours = lmtp_rates(server.address("lmtp").port, "bench@um.example.net", count)
    report(
        "Durable deliveries of 80 kB",
        command="python -m bench.delivery",
        head=(
            "at once",
            "um, the service alone (messages/s)",
            "um over LMTP (messages/s)",
            f"Dovecot {version} over LMTP, mail_fsync=always (messages/s)",
            "um / Dovecot over LMTP",
        ),
        rows=[
            (
                parallel,
                f"{service[parallel]:.0f}",
                f"{ours[parallel]:.0f}",
                f"{theirs[parallel]:.0f}",
                f"{ours[parallel] / theirs[parallel]:.2f}",
            )
            for parallel in PARALLEL
        ],
        notes="One account, SQLite with synchronous=FULL, every body and folder synced before the reply. The "
        "client that hands over the mail shares the two cores.",
    )


if __name__ == "__main__":
    main()

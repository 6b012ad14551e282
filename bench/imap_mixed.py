"""Many IMAP clients at once, on shared mailboxes, while mail comes in: nothing may be said wrong.

Each client does what mail programs do, at random, and believes what it is told. At every checkpoint
all of them stop, and what each believes is compared with what a session sees that has just begun. At
the end the server is killed, and all is compared once more with what it has kept on disk: what lies
in its memory would tell both sides the same mistake.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.corpus import message
from bench.imap_client import Belief, Client, ProtocolError
from bench.processes import cpu_seconds, pss_octets
from bench.report import percentile, report
from tests.support.server import Server

PASSWORD = "mixed mixed mixed"
MAILBOXES = ("INBOX", "Trash", "Work")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Forwarded", "Junk")
CLIENTS_AN_ACCOUNT = 5
KEPT = 120
"""Mailboxes are thinned out above so many messages."""
CHECK_SECONDS = 30.0


@dataclass
class Outcome:
    """What came of a run."""

    seconds: float = 0.0
    times: dict[str, list[float]] = field(default_factory=dict)
    delivered: int = 0
    checkpoints: int = 0
    views: int = 0
    """Views that were compared."""
    errors: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    """What the client had heard that met the first error."""
    cpu_seconds: float = 0.0
    grown_octets: int = 0


class Player:
    """One client and its chances."""

    def __init__(self, load: "Load", account: str, number: int) -> None:
        self.load, self.account, self.number = load, account, number
        self.random = random.Random(f"{load.seed}-{account}-{number}")
        self.qresync = number % 2 == 1
        self.client = Client(load.imap_port, load.outcome.times)
        self.left: dict[str, Belief] = {}

    async def begin(self) -> None:
        """Log in and select INBOX."""
        await self.client.connect(self.account, PASSWORD, qresync=self.qresync)
        await self.client.select("INBOX")

    async def turn(self) -> None:
        """Do one thing."""
        do = self.random.choices(list(TURNS), weights=list(TURNS.values()))[0]
        await getattr(self, do)()
        await self.client.learn()

    def some(self, most: int = 4) -> str:
        """A few UIDs that the client believes in, or one that never was."""
        uids = [uid for uid in self.client.belief.uids if uid]
        if not uids or self.random.random() < 0.03:
            return "999999"
        chosen = self.random.sample(uids, min(len(uids), self.random.randint(1, most)))
        return ",".join(map(str, sorted(chosen)))

    def numbers(self) -> str | None:
        """A range of message numbers."""
        count = len(self.client.belief.uids)
        if not count:
            return None
        first = self.random.randint(1, count)
        return f"{first}:{min(count, first + self.random.randint(0, 5))}"

    async def fetch(self) -> None:
        items = self.random.choice(
            (
                "(UID FLAGS)",
                "(UID FLAGS ENVELOPE BODYSTRUCTURE)",
                "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])",
                "(UID RFC822.SIZE BODY.PEEK[])",
                "(UID FLAGS BODY[1])",
                "(UID BODY.PEEK[2]<0.1000>)",
            )
        )
        if self.random.random() < 0.5:
            await self.client.ask(f"UID FETCH {self.some()} {items}")
        elif numbers := self.numbers():
            await self.client.ask(f"FETCH {numbers} {items}")

    async def store(self) -> None:
        flags = " ".join(self.random.sample(FLAGS, self.random.randint(1, 2)))
        sign = self.random.choice("+-")
        if self.random.random() < 0.5:
            await self.client.ask(f"UID STORE {self.some()} {sign}FLAGS ({flags})")
        elif numbers := self.numbers():
            await self.client.ask(f"STORE {numbers} {sign}FLAGS ({flags})")

    async def store_silently(self) -> None:
        chosen, flag = self.some(), self.random.choice(FLAGS)
        belief = self.client.belief
        for uid in map(int, chosen.split(",")):
            if uid in belief.flags:
                belief.flags[uid] |= {flag.encode()}
        await self.client.ask(f"UID STORE {chosen} +FLAGS.SILENT ({flag})")

    async def search(self) -> None:
        key = self.random.choice(
            ('SUBJECT "message 7"', "UNSEEN", 'BODY "number 7"', "FLAGGED SMALLER 20000", "1:*")
        )
        if self.client.belief.uids:
            await self.client.ask(f"{self.random.choice(('', 'UID '))}SEARCH {key}")

    async def append(self) -> None:
        number, octets = self.load.next_number(), self.random.choice((2_000, 20_000))
        mailbox = self.random.choice(MAILBOXES)
        await self.client.ask(f"APPEND {mailbox} (\\Seen)", message(number, octets=octets))

    async def idle(self) -> None:
        await self.client.idle(self.random.uniform(0.05, 1.5))

    async def copy(self) -> None:
        await self.client.ask(f"UID COPY {self.some()} {self.random.choice(MAILBOXES)}")

    async def move(self) -> None:
        await self.client.ask(f"UID MOVE {self.some()} {self.random.choice(MAILBOXES)}")

    async def expunge(self) -> None:
        most = 40 if len(self.client.belief.uids) > KEPT else 3
        await self.client.ask(f"UID STORE {self.some(most)} +FLAGS (\\Deleted)")
        await self.client.ask("EXPUNGE")

    async def select(self) -> None:
        self.leave()
        mailbox = self.random.choice(MAILBOXES)
        await self.client.select(mailbox, self.left.get(mailbox) if self.qresync else None)

    def leave(self) -> None:
        """Keep what is known for a later QRESYNC."""
        belief = self.client.belief
        self.left[belief.name] = belief

    async def noop(self) -> None:
        await self.client.ask("NOOP")

    async def status(self) -> None:
        await self.client.ask('LIST "" * RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))')

    async def reconnect(self) -> None:
        """Lose the connection and come back: with QRESYNC in one answer."""
        self.leave()
        mailbox = self.client.belief.name
        self.client.close()
        self.client = Client(self.load.imap_port, self.load.outcome.times)
        await self.client.connect(self.account, PASSWORD, qresync=self.qresync)
        await self.client.select(mailbox, self.left[mailbox] if self.qresync else None)


TURNS = {
    "fetch": 20,
    "store": 12,
    "store_silently": 4,
    "search": 8,
    "append": 5,
    "idle": 12,
    "copy": 4,
    "move": 6,
    "expunge": 5,
    "select": 8,
    "noop": 8,
    "status": 3,
    "reconnect": 5,
}


class Load:
    """All clients and the deliveries, with a stop at each checkpoint."""

    def __init__(self, *, imap: int, lmtp: int, accounts: Sequence[str], clients: int) -> None:
        self.seed = 1
        self.imap_port, self.lmtp_port, self.accounts = imap, lmtp, accounts
        self.outcome = Outcome()
        self.players = [
            Player(self, accounts[number % len(accounts)], number // len(accounts))
            for number in range(clients)
        ]
        self._number = 0
        self._random = random.Random(self.seed)

    def next_number(self) -> int:
        """Tells messages apart."""
        self._number += 1
        return self._number

    async def run(self, seconds: float, check_seconds: float) -> None:
        """Play for `seconds`, and compare every `check_seconds` and at the end."""
        began = time.monotonic()
        for account in self.accounts:
            await self._make_work(account)
        await asyncio.gather(*(player.begin() for player in self.players))
        while time.monotonic() - began < seconds and not self.outcome.errors:
            until = min(time.monotonic() + check_seconds, began + seconds)
            await asyncio.gather(
                *(self._play(player, until) for player in self.players), self._deliver(until)
            )
            if not self.outcome.errors:
                await self._guarded("checkpoint", self._check())
        for player in self.players:
            player.client.close()
        self.outcome.seconds = time.monotonic() - began

    async def _make_work(self, account: str) -> None:
        client = Client(self.imap_port, {})
        await client.connect(account, PASSWORD, qresync=False)
        await client.ask("CREATE Work")
        client.close()

    async def _play(self, player: Player, until: float) -> None:
        while time.monotonic() < until and not self.outcome.errors:
            who = f"{player.account}/{player.number}"
            before = len(self.outcome.errors)
            await self._guarded(who, player.turn())
            if len(self.outcome.errors) > before:
                self.outcome.heard += list(player.client.heard)
            await asyncio.sleep(player.random.uniform(0, 0.2))

    async def _guarded(self, who: str, work: "asyncio.Future[None] | object") -> None:
        try:
            await work  # type: ignore[misc]
        except (TimeoutError, ProtocolError, OSError) as error:
            self.outcome.errors.append(f"{who}: {type(error).__name__} {error}")

    async def _deliver(self, until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.lmtp_port)
        await reader.readline()
        writer.write(b"LHLO mixed\r\n")
        while (await reader.readline())[3:4] == b"-":
            pass
        while time.monotonic() < until and not self.outcome.errors:
            to = self._random.choice(self.accounts)
            octets = self._random.choice((2_000, 20_000, 200_000))
            head = f"MAIL FROM:<x@example.net>\r\nRCPT TO:<{to}@um.example.net>\r\nDATA\r\n"
            writer.write(head.encode())
            replies = [await reader.readline() for _ in range(3)]
            writer.write(message(self.next_number(), octets=octets) + b".\r\n")
            replies.append(await reader.readline())
            if not replies[-1].startswith(b"250"):
                self.outcome.errors.append(f"LMTP: {replies!r}")
            self.outcome.delivered += 1
            await asyncio.sleep(self._random.uniform(0, 0.3))
        writer.close()

    async def _check(self) -> None:
        """Compare what every client believes with what a new session is shown."""
        for player in self.players:
            await player.client.ask("NOOP")
            await player.client.learn()
        await self._compare_all()

    async def compare_afresh(self, imap_port: int) -> None:
        """Compare what was believed at the end with what a server tells that was killed then."""
        self.imap_port = imap_port
        if not self.outcome.errors:
            await self._guarded("after the kill", self._compare_all())

    async def _compare_all(self) -> None:
        self.outcome.checkpoints += 1
        for account in self.accounts:
            fresh = Client(self.imap_port, {})
            await fresh.connect(account, PASSWORD, qresync=False)
            players = [each for each in self.players if each.account == account]
            for mailbox in MAILBOXES:
                await fresh.select(mailbox)
                for player in players:
                    if player.client.belief.name == mailbox:
                        self._compare(player, fresh.belief)
            fresh.close()

    def _compare(self, player: Player, truth: Belief) -> None:
        self.outcome.views += 1
        belief = player.client.belief
        where = f"{player.account}/{player.number} {truth.name}"
        if belief.uids != truth.uids:
            self.outcome.differences.append(f"{where}: UIDs {belief.uids} are {truth.uids}")
        elif belief.flags != truth.flags:
            wrong = {uid for uid in truth.flags if belief.flags.get(uid) != truth.flags[uid]}
            self.outcome.differences.append(f"{where}: flags of {sorted(wrong)}")


def mixed(folder: Path, *, seconds: float, clients: int, check_seconds: float) -> Outcome:
    """Run the load on a server of its own."""
    limits = {"max_connections_per_account": 100, "max_connections_per_address": 500}
    overrides = {
        "imap": {"allow_plaintext_login": True, **limits},
        "policy": {"quota_octets": 2**40},
    }
    accounts = [f"user{number}" for number in range(-(-clients // CLIENTS_AN_ACCOUNT))]
    with Server(folder, overrides=overrides) as server:
        for account in accounts:
            server.add_account(account, password=PASSWORD)
        load = Load(
            imap=server.address("imap").port,
            lmtp=server.address("lmtp").port,
            accounts=accounts,
            clients=clients,
        )
        cpu, memory = cpu_seconds(server.pid), pss_octets(server.pid)
        asyncio.run(load.run(seconds, check_seconds))
        load.outcome.cpu_seconds = cpu_seconds(server.pid) - cpu
        load.outcome.grown_octets = pss_octets(server.pid) - memory
        server.restart()
        asyncio.run(load.compare_afresh(server.address("imap").port))
        faults = [line for line in server.log_text().splitlines() if "command failed" in line]
    load.outcome.errors += faults
    return load.outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--check-seconds", type=float, default=CHECK_SECONDS)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        outcome = mixed(
            Path(name) / "um",
            seconds=given.seconds,
            clients=given.clients,
            check_seconds=given.check_seconds,
        )
    rows = []
    for command, times in sorted(outcome.times.items(), key=lambda each: -len(each[1])):
        figures = [percentile(times, share) for share in (0.5, 0.95, 0.99)]
        cells = [f"{1000 * each:.1f}" for each in (*figures, max(times))]
        rows.append((command, len(times), *cells))
    commands = sum(map(len, outcome.times.values()))
    report(
        "IMAP under mixed load",
        command="python -m bench.imap_mixed --write",
        head=("command", "times", "median ms", "p95 ms", "p99 ms", "longest ms"),
        rows=rows,
        notes=f"""
{given.clients} clients on {-(-given.clients // CLIENTS_AN_ACCOUNT)} accounts for {outcome.seconds:.0f} s: {commands} commands ({commands / outcome.seconds:.0f}/s),
{outcome.delivered} messages by LMTP meanwhile, every second client with QRESYNC. **{len(outcome.errors)} protocol errors, {len(outcome.differences)} state
differences** in {outcome.views} views at {outcome.checkpoints} checkpoints, the last after `kill -9`. CPU of the server {outcome.cpu_seconds:.0f} s; it grew by
{outcome.grown_octets / 1e6:.0f} MB. The clients share the two cores with it; each pauses 0.1 s between two commands. Load average
at the end: {os.getloadavg()[0]:.0f}.""",
    )
    for problem in (outcome.errors + outcome.differences)[:20]:
        print(problem)
    for line in outcome.heard:
        print("   ", line.decode("ascii", "replace").rstrip())
    sys.exit(bool(outcome.errors or outcome.differences))


if __name__ == "__main__":
    main()

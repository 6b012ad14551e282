"""IMAP by many clients at once: one process of um, two over one PostgreSQL, and a Dovecot.

Every client waits for its answer before it sends the next command. The servers take turns in every
row, so that whatever else the machine does falls on all; the best of the rounds counts.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import message
from bench.imap_at_once import Commands, drive
from bench.imap_houses import FOLDER, MESSAGE_OCTETS, SHARED, House, fill, own, running_houses
from bench.report import report

MESSAGES = 96
"""In every INBOX; a multiple of any number of clients that is a power of two up to 32."""
NEW = message(2, octets=MESSAGE_OCTETS)
APPEND = b"APPEND %b {%d+}\r\n%b" % (FOLDER, len(NEW), NEW)
READS = ("SELECT", "SEARCH SUBJECT")
FLAGS_ONLY = "optimized"
"""Dovecot's default syncs APPEND as `always` does: it is asked where flags are changed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of command."""

    name: str
    shared: bool = False
    stores: bool = False

    def commands(self, client: int, clients: int) -> Commands:
        """What one of the clients sends."""
        if self.stores:
            share = MESSAGES // clients if self.shared else MESSAGES
            return store(client * share if self.shared else 0, share)
        fixed = {
            "APPEND": APPEND,
            "SELECT": b"SELECT INBOX",
            "SEARCH SUBJECT": b'SEARCH SUBJECT "number 77"',
        }
        return lambda _: fixed[self.name]


def store(first: int, share: int) -> Commands:
    """A flag set on one message after another, then taken away: every one is a change."""

    def command(number: int) -> bytes:
        turn, place = divmod(number, share)
        return b"STORE %d %bFLAGS (\\Flagged)" % (first + place + 1, b"-" if turn % 2 else b"+")

    return command


ROWS = [
    Row("APPEND"),
    Row("STORE, a mailbox each", stores=True),
    Row("STORE, one mailbox for all", stores=True, shared=True),
    Row("SELECT"),
    Row("SEARCH SUBJECT"),
]


@dataclass(frozen=True, slots=True)
class Figure:
    """What one house reached in one row."""

    rate: float
    """Commands a second, of all clients together."""
    cpu_us: float
    """Processor time of the servers, a command."""
    client_us: float
    """Processor time of the load generator, a command."""
    commits: float | None
    """Transactions a command."""


def measure(house: House, row: Row, *, clients: int, seconds: float) -> Figure:
    """One round."""
    wires = house.wires([SHARED] * clients if row.shared else own(clients))
    if row.stores:
        for wire in wires:  # so that every STORE changes something
            wire.ask(b"STORE 1:* -FLAGS.SILENT (\\Flagged)")
    before = house.commits() if house.commits else 0
    cpu = house.cpu_seconds()
    run = drive(wires, [row.commands(n, clients) for n in range(clients)], seconds=seconds)
    cpu = house.cpu_seconds() - cpu
    commits = (house.commits() - before) / run.commands if house.commits else None
    for wire in wires:
        wire.close()
    count = run.commands
    return Figure(count / run.seconds, 1e6 * cpu / count, 1e6 * run.client_seconds / count, commits)


def best(rounds: Sequence[Figure]) -> Figure:
    """The best rate and the least processor time: noise only ever adds."""
    rate = max(each.rate for each in rounds)
    cpu, client = min(each.cpu_us for each in rounds), min(each.client_us for each in rounds)
    commits = [each.commits for each in rounds if each.commits is not None]
    return Figure(rate, cpu, client, sum(commits) / len(commits) if commits else None)


def line(
    row: Row, houses: Sequence[House], *, clients: int, seconds: float, rounds: int
) -> list[Figure | None]:
    """What all houses reach; None where one was not asked."""
    asked = [row.stores or FLAGS_ONLY not in house.title for house in houses]
    found: list[list[Figure]] = [[] for _ in houses]
    for _ in range(rounds):
        for number, house in enumerate(houses):
            if asked[number]:
                found[number].append(measure(house, row, clients=clients, seconds=seconds))
    answer = [best(each) if each else None for each in found]
    print(clients, row.name, *answer, sep="\n  ", flush=True)
    return answer


def cell(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.rate:.0f} ({figure.cpu_us:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    arguments = parser.parse_args()
    most = max(arguments.clients)
    rows: list[list[str]] = []
    client_us: list[float] = []
    with (
        tempfile.TemporaryDirectory() as name,
        running_houses(Path(name), clients=most) as houses,
    ):
        for house in houses:
            fill(house, clients=most, messages=MESSAGES)
        for row in ROWS:
            for clients in arguments.clients:
                found = line(
                    row,
                    houses,
                    clients=clients,
                    seconds=arguments.seconds,
                    rounds=arguments.rounds,
                )
                client_us += [each.client_us for each in found if each is not None]
                commits = found[0].commits if found[0] is not None else None
                counted = f"{commits:.2f}" if commits and row.name not in READS else "-"
                rows.append([f"{row.name}, {clients}", *map(cell, found), counted])
    report(
        "IMAP by clients at once",
        command="python -m bench.imap_processes --write",
        head=("row, clients", *(each.title for each in houses), "SQLite transactions a command"),
        rows=rows,
        notes=NOTES.format(
            octets=MESSAGE_OCTETS,
            messages=MESSAGES,
            rounds=arguments.rounds,
            seconds=arguments.seconds,
            low=min(client_us),
            high=max(client_us),
            load=os.getloadavg()[0],
        ),
    )


NOTES = """
Commands a second of all clients together, and in brackets processor time a command in µs, of the server's processes and
PostgreSQL's. Loopback, the best of {rounds} rounds of {seconds:g} s, {messages} messages of {octets} octets in each INBOX; APPEND is of one
such message. Every write is on disk before its OK, but for flags with Dovecot's `mail_fsync=optimized` (its default).
The second um is a worker for IMAP alone (`roles = ["imap"]`) beside a whole one, with the same database and `data_dir`.
The load generator, one thread, takes {low:.0f} to {high:.0f} µs a command on the same two cores. Load average when it ended: {load:.0f}.
"""


if __name__ == "__main__":
    main()

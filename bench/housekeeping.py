"""What a night costs: `python -m bench.housekeeping [--write] [ACCOUNTS...]`, by default 1k, 10k, 100k.

Each house has so many active accounts with three messages each, of which one in a hundred goes by a
retention rule and one in a hundred from Trash, and besides 1,000 closed accounts. The night before
their day is measured, then the purge of all of them. The rows are inserted in bulk, the bodies
written without a sync: how they came there is measured elsewhere. The aim: a night under 60 s.
"""

import asyncio
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import log10
from pathlib import Path
from typing import Any

import structlog

from bench.report import report
from storage import schema
from storage.statement import Statement, insert
from um.app.ports import opened_ports
from um.app.services import Services
from um.config.load import parse
from um.core.ids import AccountId, blob_key
from um.core.ports import NoMetrics
from um.core.retention import parse_rule
from um.policy.retention import note_shown, shown_key
from um.service.housekeeping import NIGHT_MARK
from um.service.purge import CLOCK_MARK

SIZES = (1_000, 10_000, 100_000)
CLOSED = 1_000
MESSAGES = 3
BATCH = 2_000
RULE = "voice older than 60 days and heard -> Trash"
PICTURE = Path(__file__).parent.parent / "docs" / "benchmarks-housekeeping.svg"
BODY = b"Subject: x\r\n\r\n" + b"A line of a message that somebody left here.\r\n" * 40
NOW = datetime.now(UTC)
TABLES = ("accounts", "mailboxes", "subscriptions", "content", "entry", "numbers", "audit")
INSERTS = {name: Statement(insert(schema.metadata.tables[name])) for name in TABLES}
INSERTS["audit"] = Statement(insert(schema.audit, "at", "actor", "action", "account_id", "detail"))


class Stopwatch(NoMetrics):
    """Remembers the seconds of each job."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def observe(self, name: str, value: float) -> None:
        if name.startswith("housekeeping_"):
            self.seconds[name.removeprefix("housekeeping_").removesuffix("_seconds")] = value


def rows_of(index: int, *, closed: bool) -> dict[str, list[dict[str, Any]]]:
    """One account in every table."""
    account_id = AccountId(uuid.uuid4().hex)
    name, old = f"user{index:06}", NOW - timedelta(days=90)
    inbox, trash = uuid.uuid4().hex, uuid.uuid4().hex
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    rows["accounts"].append(
        {
            **dict.fromkeys(schema.accounts.columns.keys()),
            "id": account_id,
            "name": name,
            "domain": "um.example.net",
            "name_key": name,
            "domain_key": "um.example.net",
            "created_at": old,
            "state": "closed" if closed else "active",
            "full_name": "",
            "timezone": "UTC",
            "language": "en",
            "quota_octets": 100 * 2**20,
            "voicemail_enabled": True,
            "state_reason": "",
            "closed_at": old if closed else None,
            "purge_at": NOW + timedelta(days=1) if closed else None,
            "legal_hold_reason": "",
            "used_octets": MESSAGES * len(BODY),
            "last_uidvalidity": 2,
        }
    )
    rows["numbers"].append(
        {
            "e164": f"+1555{index:07}",
            "account_id": account_id,
            "use": "both",
            "state": "suspended" if closed else "active",
            "hold_until": old if closed else None,
        }
    )
    for mailbox, folder in ((inbox, "INBOX"), (trash, "Trash")):
        rows["mailboxes"].append(
            {
                "id": mailbox,
                "account_id": account_id,
                "name": folder,
                "uidvalidity": 1,
                "uidnext": MESSAGES + 1,
                "highest_modseq": MESSAGES + 1,
                "special_use": "\\Trash" if folder == "Trash" else None,
                "recent_floor": MESSAGES,
            }
        )
        rows["subscriptions"].append({"account_id": account_id, "name": folder})
    for uid in range(1, MESSAGES + 1):
        in_trash = uid == 2 and index % 100 == 0
        content_id = uuid.uuid4().hex
        rows["content"].append(
            {
                "id": content_id,
                "account_id": account_id,
                "blob": blob_key(account_id, uuid.uuid4().hex),
                "kind": "voice",
                "size_octets": len(BODY),
                "thread_id": content_id,
                "duration_seconds": 12,
                "pages": None,
                "envelope": b"e" * 300,
                "body": b"b" * 200,
                "bodystructure": b"s" * 300,
                "structure": b"t" * 100,
                "header": b"h" * 600,
            }
        )
        rows["entry"].append(
            {
                "mailbox_id": trash if in_trash else inbox,
                "uid": uid,
                "account_id": account_id,
                "content_id": content_id,
                "kind": "voice",
                "size_octets": len(BODY),
                "modseq": uid,
                "flags": 1 if uid == 1 and index % 100 == 0 else 0,  # \Seen
                "keywords": "",
                "internal_date": old,
                "saved_at": old,
                "trashed_at": NOW - timedelta(days=8) if in_trash else None,
            }
        )
    for action in ("add", "password"):
        rows["audit"].append(
            {"at": old, "actor": "op", "action": action, "account_id": account_id, "detail": ""}
        )
    return rows


def batches(count: int) -> Iterator[dict[str, list[dict[str, Any]]]]:
    every = [(index, False) for index in range(count)]
    every += [(count + index, True) for index in range(CLOSED)]
    for start in range(0, len(every), BATCH):
        together: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        for index, closed in every[start : start + BATCH]:
            for table, rows in rows_of(index, closed=closed).items():
                together[table] += rows
        yield together


async def fill(services: Services, count: int) -> None:
    store, blobs = services.ports.store, services.ports.config.server.data_dir / "blobs"
    written = (NOW - timedelta(days=2)).timestamp()
    for rows in batches(count):

        def fill_txn(tx: Any, rows: Any = rows) -> None:
            for table in TABLES:
                tx.accounts._unit.many(INSERTS[table], rows[table])

        await store.run("fill", fill_txn)
        for content in rows["content"]:
            path = blobs / content["blob"][-2:] / content["blob"]
            path.write_bytes(BODY)
            os.utime(path, (written, written))
    rule = parse_rule(RULE)

    def ready_txn(tx: Any) -> None:
        tx.records.set_mark(CLOCK_MARK, services.ports.clock.now().isoformat())
        tx.records.set_mark(shown_key(rule.kind), note_shown(rule, NOW - timedelta(days=2)))
        tx.records.set_mark(NIGHT_MARK, (NOW - timedelta(days=2)).isoformat())

    await store.run("ready", ready_txn)


async def measure(count: int, folder: Path) -> dict[str, float]:
    """Seconds of the night's jobs, of the purge, and how long it kept writers waiting."""
    config = parse(
        {"server": {"data_dir": str(folder), "timezone": "UTC"}, "policy": {"retention": [RULE]}},
        folder,
    )
    watch = Stopwatch()
    async with opened_ports(config, metrics=watch) as ports:
        services = Services(ports)
        began = time.perf_counter()
        await fill(services, count)
        found = {"filling": time.perf_counter() - began}
        began = time.perf_counter()
        ended = await services.housekeeping.tick()
        found["night"] = time.perf_counter() - began
        assert ended["retention"] == count // 100 + (0 if count % 100 == 0 else 1), ended
        assert ended["trash"] == ended["retention"], ended
        assert ended["purge"] == 0, ended
        found |= {name: watch.seconds[name] for name in ("retention", "trash", "blobs")}
        compact, compacting = ports.store.compact, []
        waits = [0.0]

        async def compact_timed() -> None:
            started = time.perf_counter()
            beside = asyncio.create_task(write_meanwhile(ports.store, waits))
            await compact()
            compacting.append(time.perf_counter() - started)
            beside.cancel()

        ports.store.compact = compact_timed  # type: ignore[method-assign]
        began = time.perf_counter()
        done = await services.purge.run(at=NOW + timedelta(days=2))
        found["purge"] = time.perf_counter() - began
        assert len(done.records) == CLOSED, len(done.records)
        assert all(record.messages == MESSAGES for record in done.records)
        found["compacting"] = sum(compacting)
        found["longest write"] = max(waits)
        found["p99 write"] = sorted(waits)[int(len(waits) * 0.99) - 1]
        found["octets"] = (folder / "um.db").stat().st_size
        services.close()
    return found


async def write_meanwhile(store: Any, waits: list[float]) -> None:
    """Small writes, one after another, as deliveries would; how long each took."""
    while True:
        started = time.perf_counter()
        await store.run("meanwhile", lambda tx: tx.records.set_mark("bench", uuid.uuid4().hex))
        waits.append(time.perf_counter() - started)
        await asyncio.sleep(0.02)


def picture(found: dict[int, dict[str, float]]) -> str:
    """Seconds against accounts, both axes logarithmic."""
    left, top, width, height = 70, 30, 480, 280
    sizes = sorted(found)
    low, high = log10(sizes[0]), log10(max(sizes[-1], sizes[0] * 10))

    def at(size: float, seconds: float) -> str:
        x = left + (log10(size) - low) / (high - low) * width
        y = top + height - (log10(max(seconds, 0.1)) + 1) / 3 * height
        return f"{x:.0f},{y:.0f}"

    parts = [
        (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 370" font-family="sans-serif" '
            'font-size="12">'
        ),
        '<rect width="600" height="370" fill="white"/>',
        f'<text x="{left}" y="18">Seconds of a night and of purging 1,000 accounts</text>',
    ]
    for seconds in (0.1, 1, 10, 60, 100):
        y = at(sizes[0], seconds).partition(",")[2]
        colour = "#c33" if seconds == 60 else "#ccc"
        parts.append(
            f'<path d="M{left},{y}h{width}" stroke="{colour}"/>'
            f'<text x="{left - 8}" y="{int(y) + 4}" text-anchor="end">{seconds:g} s</text>'
        )
    for size in sizes:
        x = at(size, 1).partition(",")[0]
        parts.append(f'<text x="{x}" y="{top + height + 20}" text-anchor="middle">{size:,}</text>')
    parts.append(
        f'<text x="{left + width // 2}" y="{top + height + 42}" text-anchor="middle">accounts</text>'
    )
    for name, colour in (("night", "#06c"), ("purge", "#080"), ("compacting", "#a60")):
        line = " ".join(at(size, found[size][name]) for size in sizes)
        x, y = at(sizes[-1], found[sizes[-1]][name]).split(",")
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{int(x) - 4}" y="{int(y) - 6}" text-anchor="end" fill="{colour}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(sizes: list[int]) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    found = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found[size] = asyncio.run(measure(size, Path(folder)))
            print(size, {name: round(value, 2) for name, value in found[size].items()}, flush=True)
    if "--write" in sys.argv:
        PICTURE.write_text(picture(found))
    report(
        "Housekeeping",
        command="python -m bench.housekeeping",
        head=(
            "accounts",
            "a night (s)",
            "of which retention (s)",
            "Trash (s)",
            "sweep of bodies (s)",
            "purge of 1,000 (s)",
            "of which scrubbing (s)",
            "a write meanwhile, p99 and longest (s)",
            "database (MiB)",
        ),
        rows=[
            (
                f"{size:,}",
                *(
                    f"{each[name]:.1f}"
                    for name in ("night", "retention", "trash", "blobs", "purge", "compacting")
                ),
                f"{each['p99 write']:.2f}, {each['longest write']:.2f}",
                f"{each['octets'] / 2**20:.0f}",
            )
            for size, each in found.items()
        ],
        notes=f"![seconds against accounts](benchmarks-housekeeping.svg)\n\n"
        f"SQLite; {MESSAGES} messages an account, one account in a hundred with one that goes by a rule "
        "and one that leaves Trash; 1,000 closed accounts besides. While the file is scrubbed somebody "
        f"writes every 20 ms. Load average when it ended: {os.getloadavg()[0]:.0f}, on two processors that "
        "others used as well.",
    )


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:] if each.isdigit()] or list(SIZES))

"""Faxes received at once over G.711 and over T.38, and how soon a fax is in the mailbox.

The senders are SpanDSP machines in processes of their own. A core's worth of calls is worked out from
the server's processor time (`um serve` and its fax child) while every call is in the middle of its page.
"""

import argparse
import asyncio
import datetime as dt
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.fax_senders import Sent, outcomes, start
from bench.peers.load import cpu_seconds
from bench.report import report
from tests.support.chroot import children
from tests.support.mail_program import MailProgram
from tests.support.server import Server
from tests.support.tiffs import FINE, dense_page, text_page, write_tiff

NUMBER, PASSWORD = "+15551230001", "bench bench bench"
SENDERS = 2
"""Processes that send."""
ROWS = 700
"""Of the dense page: about 50 s at 14400 bit/s."""
TRAINED_SECONDS = 18.0
"""After this all calls are in their page: CED, DIS, DCS, training, confirmation."""
NAMES = {"g711": "G.711", "t38": "T.38"}


@dataclass(frozen=True, slots=True)
class Load:
    """One run of many calls."""

    mode: str
    calls: int
    pages: int
    """Confirmed, as the senders count; one a call was sent."""
    cpu_per_call_second: float
    """In the middle of the page."""
    cpu_per_fax: float
    """From the first INVITE until the last fax is stored."""
    seconds_per_fax: float


def um(folder: Path) -> Server:
    """A server with room for everything, whose G.711 faxes stay in G.711."""
    overrides = {
        "policy": {"quota_octets": 2_000_000_000},
        "telephony": {"listen": ["udp:127.0.0.1:0"], "rtp_ports": [20_000, 22_998]},
        "fax": {"t38_offer_seconds": 0.0},
    }
    return Server(folder, overrides=overrides)


def server_cpu(server: Server) -> float:
    return sum(map(cpu_seconds, [server.pid, *children(server.pid)]))


def stored(server: Server) -> int:
    counts: dict[str, int] = server.um_json("account", "show", "bench")["counts"]
    return counts.get("fax", 0)


def load(folder: Path, mode: str, calls: int, *, window_seconds: float) -> Load:
    """`calls` faxes of one dense page at once."""
    file = write_tiff(folder / "dense.tif", [dense_page("bench", rows=ROWS)], dpi=FINE)
    with um(folder / "um") as server:
        server.add_account("bench", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
        begun = server_cpu(server)
        senders = [
            start(server.address("sip"), NUMBER, file, calls=calls // SENDERS, mode=mode)
            for _ in range(SENDERS)
        ]
        for sender in senders:
            assert sender.stdout is not None
            sender.stdout.readline()  # all its calls are up
        time.sleep(TRAINED_SECONDS)
        before, at = server_cpu(server), time.monotonic()
        time.sleep(window_seconds)
        used, window = server_cpu(server) - before, time.monotonic() - at
        sent: list[Sent] = []
        for sender in senders:
            out, _ = sender.communicate()
            sent += outcomes(out.splitlines())
        settle(server, sum(each.pages > 0 for each in sent))
        spent = server_cpu(server) - begun
    return Load(
        NAMES[mode],
        len(sent),
        sum(each.pages for each in sent),
        used / window / len(sent),
        spent / len(sent),
        statistics.mean(each.ended_at - each.up_at for each in sent),
    )


def settle(server: Server, faxes: int) -> None:
    """Wait until all are in the mailbox."""
    deadline = time.monotonic() + 60
    while stored(server) < faxes and time.monotonic() < deadline:
        time.sleep(0.5)


async def arrival(server: Server, file: Path, mode: str) -> float:
    """Milliseconds from the end of the fax to `* EXISTS` at an idling mail program.

    The end is the sender's DCN: the server says so in its log. BYE comes more than a second later.
    """
    imaps = server.address("imaps")

    def call() -> Sent:
        sender = start(server.address("sip"), NUMBER, file, calls=1, mode=mode)
        out, _ = sender.communicate()
        (sent,) = outcomes(out.splitlines()[1:])
        return sent

    async with MailProgram(imaps.host, imaps.port, "bench", PASSWORD) as program:
        before = program.exists
        await program.idle()

        async def arrived() -> float:
            await program.wait_for_more(before)
            return time.time()

        waiting = asyncio.create_task(arrived())
        sent = await asyncio.to_thread(call)
        if sent.code != 0:
            raise RuntimeError(f"the fax failed: {sent}")
        return 1000 * (await waiting - fax_ended_at(server))


def fax_ended_at(server: Server) -> float:
    """When the last fax was over, in seconds of the system clock."""
    lines = map(json.loads, server.log_text().splitlines())
    stamps = [line["timestamp"] for line in lines if line["event"] == "fax.ended"]
    return dt.datetime.fromisoformat(stamps[-1]).timestamp()


def arrivals(folder: Path, pages: int, count: int) -> list[float]:
    """That many faxes of `pages` pages, one after the other, over T.38."""
    sheets = [text_page(f"page {n}", rows=1100, spacing=60) for n in range(1, pages + 1)]
    file = write_tiff(folder / "five.tif", sheets)

    async def go(server: Server) -> list[float]:
        return [await arrival(server, file, "t38") for _ in range(count)]

    with um(folder / "um") as server:
        server.add_account("bench", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
        return asyncio.run(go(server))


def load_row(result: Load) -> Sequence[object]:
    return (
        result.mode,
        result.calls,
        result.pages,
        f"{100 * result.cpu_per_call_second:.2f} %",
        f"{1 / result.cpu_per_call_second:.0f}",
        f"{result.cpu_per_fax:.2f}",
        f"{result.seconds_per_fax:.0f}",
    )


def report_loads(loads: Sequence[Load]) -> None:
    """The first table."""
    report(
        "Fax: calls received at once",
        command="python -m bench.fax",
        head=(
            "line",
            "calls at once",
            "pages confirmed",
            "of a core a call",
            "calls a core",
            "CPU s a fax",
            "s a fax",
        ),
        rows=[load_row(result) for result in loads],
        notes="One dense fine page of 700 rows a call (80 kB in G4), ECM, V.17 at 14400 bit/s. The share of a core is that of `um serve` "
        "and its fax child while every call is in the middle of its page; CPU a fax is all there is, from the "
        "INVITE until the PDF is stored. The senders run on the same machine in processes of their own, not counted.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--g711", type=int, default=40, help="calls at once; 0: none")
    parser.add_argument("--t38", type=int, default=80)
    parser.add_argument("--window", type=float, default=15, help="seconds of measuring")
    parser.add_argument("--faxes", type=int, default=3, help="of 5 pages, for the time to EXISTS")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args()
    loads = []
    for mode, calls in (("g711", options.g711), ("t38", options.t38)):
        if calls:
            with tempfile.TemporaryDirectory(prefix="um-bench-") as folder:
                loads.append(load(Path(folder), mode, calls, window_seconds=options.window))
            print(*load_row(loads[-1]), sep=" | ", flush=True)
    if loads:
        report_loads(loads)
    if not options.faxes:
        return
    with tempfile.TemporaryDirectory(prefix="um-bench-") as folder:
        measured = arrivals(Path(folder), 5, options.faxes)
    report(
        "Fax: end to EXISTS, 5 pages",
        command="python -m bench.fax",
        head=("faxes", "median ms", "best ms", "worst ms"),
        rows=[
            (
                len(measured),
                f"{statistics.median(measured):.0f}",
                f"{min(measured):.0f}",
                f"{max(measured):.0f}",
            )
        ],
        notes="Five pages of text over T.38, without OCR. The clock starts at the sender's DCN; its BYE comes 1.3 s after "
        "the message is there. Sealing the spool, decoding every page again, PDF, MIME, "
        "blob, transaction, push over TLS.",
    )


if __name__ == "__main__":
    main()

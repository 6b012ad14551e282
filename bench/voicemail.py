"""From BYE to `* EXISTS` at an idling mail program, for a voice message of 30 s."""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import report
from tests.support.mail_program import MailProgram
from tests.support.server import Server
from tests.support.speech import say
from tests.support.telephone import HangUp, Press, Say, Silence, Telephone, WaitForBeep

NUMBER, PASSWORD = "+15551230001", "bench bench bench"


async def one(server: Server, seconds: float) -> float:
    """Milliseconds from the answer to our BYE until EXISTS was read."""
    imaps, sip = server.address("imaps"), server.address("sip")
    words = say(seconds=seconds)

    def call() -> float:
        steps = [Silence(1), Press("#"), WaitForBeep(10), Say(words), HangUp()]
        done = Telephone().call((sip.host, sip.port), f"sip:{NUMBER}@{sip.host}:{sip.port}", steps)
        if done.status != 200:
            raise RuntimeError(f"{done.status} {done.reason}")
        return time.monotonic()

    async with MailProgram(imaps.host, imaps.port, "bench", PASSWORD) as program:
        before = program.exists
        await program.idle()

        async def arrival() -> float:
            await program.wait_for_more(before)
            return time.monotonic()

        arrived = asyncio.create_task(arrival())
        ended = await asyncio.to_thread(call)
        return 1000 * (await arrived - ended)


async def runs(server: Server, count: int, seconds: float) -> list[float]:
    return [await one(server, seconds) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/benchmarks.md"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        server.add_account("bench", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        measured = asyncio.run(runs(server, options.calls, options.seconds))
    report(
        f"Voicemail: BYE to EXISTS, {options.seconds:g} s message",
        command="python -m bench.voicemail",
        head=("calls", "median ms", "best ms", "worst ms"),
        rows=[
            (
                len(measured),
                f"{statistics.median(measured):.0f}",
                f"{min(measured):.0f}",
                f"{max(measured):.0f}",
            )
        ],
        notes="Sealing the spool, levelling, MP3, MIME, blob, transaction, push over TLS; the clock starts when "
        "our BYE was answered. Peers have no figure: Asterisk's mailbox tells IMAP clients and lamps by polling "
        "(30 s by default).",
    )


if __name__ == "__main__":
    main()

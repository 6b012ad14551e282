"""The demonstration: a call, a fax and an invoice, sent by real peers, read back over IMAP.

Everything is checked: the recording against what was said, the fax against the sender's pages
pixel by pixel, the invoice octet by octet. Exit status 0 means that all three landed.
"""

import argparse
import asyncio
import smtplib
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.support.fax_call import send_fax
from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.mail_program import Mail, MailProgram
from tests.support.server import Server, ServerError
from tests.support.speech import correlates, decode_mp3, duration, say
from tests.support.telephone import HangUp, Press, Say, Silence, Telephone, WaitForBeep
from tests.support.tiffs import FINE, text_page, tiff

USER, PASSWORD = "demo", "demo on loopback"
VOICE, FAX = "+15551230001", "+15551230002"
CALLER, CALLER_NAME, FAX_CALLER = "+15559870001", "Alice Example", "+15550009999"
WORDS = (
    "Hello, this is Alice. The meeting is moved to nine o'clock on Thursday. Thank you, goodbye."
)
STANDARD_PORTS: dict[str, dict[str, list[str]]] = {
    "imap": {"listen": ["127.0.0.1:1143"], "listen_tls": ["127.0.0.1:1993"]},
    "smtp": {"listen_lmtp": ["127.0.0.1:1024"], "listen_smtp": ["127.0.0.1:1025"]},
    "telephony": {"listen": ["udp:127.0.0.1:5070"]},
    "web": {"listen": ["127.0.0.1:8080"]},
}


class DemoError(Exception):
    """Something did not work; the text says what."""


@dataclass
class Landed:
    """One line of the table."""

    what: str
    subject: str
    octets: int
    seconds: float
    """From the end of the sending to `* EXISTS` at the idling mail program."""
    proof: str


@dataclass
class Demo:
    """The run: server, mail program and what came of each part."""

    server: Server
    console: Console
    landed: list[Landed] = field(default_factory=list)

    def uri(self, number: str) -> str:
        sip = self.server.address("sip")
        return f"sip:{number}@{sip.host}:{sip.port}"

    async def receive(self, send: Callable[[], float]) -> tuple[Mail, float]:
        """Idle, send (in a thread; returns when the sending ended), wait for EXISTS, read."""
        imaps = self.server.address("imaps")
        async with MailProgram(imaps.host, imaps.port, USER, PASSWORD) as program:
            before = program.exists
            await program.idle()
            arrived = asyncio.create_task(program.wait_for_more(before))
            ended = await asyncio.to_thread(send)
            await arrived
            seconds = time.monotonic() - ended
            newest = (await program.read_all())[-1]
            return newest, seconds

    async def voicemail(self) -> None:
        """A caller hears a little of the greeting, skips it by `#` and speaks."""
        words = say(WORDS)
        sip = self.server.address("sip")

        def call() -> float:
            report = Telephone().call(
                (sip.host, sip.port),
                self.uri(VOICE),
                [Silence(2.5), Press("#"), WaitForBeep(), Say(words), HangUp()],
                caller=CALLER,
                caller_name=CALLER_NAME,
            )
            if report.status != 200 or not report.beeped:
                raise DemoError(f"the call was answered {report.status} {report.reason}")
            return time.monotonic()

        mail, seconds = await self.receive(call)
        heard = decode_mp3(mail.attachment("audio/mpeg"))
        likeness = correlates(words, heard)
        difference = abs(duration(words) - duration(heard))
        if likeness < 0.8 or difference > 0.75:
            raise DemoError(
                f"the recording is not what was said: likeness {likeness:.2f}, {difference:.2f} s off"
            )
        proof = (
            f"{duration(heard):.1f} s of {duration(words):.1f} s spoken, likeness {likeness:.2f}"
        )
        self.note("voicemail", mail, seconds, proof)

    async def fax(self) -> None:
        """A fax machine sends two pages over G.711."""
        sent = [text_page("First page", rows=900), text_page("Second page", rows=600)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "fax.tif"
            file.write_bytes(tiff(sent, dpi=FINE))
            sip = self.server.address("sip")

            def call() -> float:
                result = send_fax((sip.host, sip.port), self.uri(FAX), file, caller=FAX_CALLER)
                if result.code != 0 or result.pages_confirmed != len(sent):
                    raise DemoError(f"the fax machine says: {result}")
                return time.monotonic()

            mail, seconds = await self.receive(call)
        received = pages_of_pdf(mail.attachment("application/pdf"))
        if not same_pixels(sent, received):
            raise DemoError("the PDF is not what the fax machine sent")
        self.note("fax", mail, seconds, f"{len(received)} pages, every pixel as sent")

    async def invoice(self) -> None:
        """Billing hands an invoice over by LMTP."""
        pdf = invoice_pdf()
        recipient = f"{USER}@um.example.net"
        data = invoice_mail(recipient, pdf, when=datetime.now(UTC))
        lmtp = self.server.address("lmtp")

        def hand_over() -> float:
            with smtplib.LMTP(lmtp.host, lmtp.port, timeout=30) as client:
                client.sendmail("billing@example.net", [recipient], data)
            return time.monotonic()

        mail, seconds = await self.receive(hand_over)
        if mail.attachment("application/pdf") != pdf or mail.message["X-UM-Kind"] != "invoice":
            raise DemoError("the invoice is not what billing sent")
        self.note("invoice", mail, seconds, f"PDF of {len(pdf)} octets, octet by octet")

    def note(self, what: str, mail: Mail, seconds: float, proof: str) -> None:
        subject = str(mail.message["Subject"])
        self.landed.append(Landed(what, subject, len(mail.raw), max(seconds, 0.0), proof))

    def table(self) -> Table:
        """What landed."""
        table = Table(title=f"In the mailbox of {USER}@um.example.net", show_lines=False)
        for head in ("kind", "subject", "octets", "to EXISTS", "checked"):
            table.add_column(head, justify="right" if head in {"octets", "to EXISTS"} else "left")
        for row in self.landed:
            shown = f"{row.seconds * 1000:.0f} ms"
            table.add_row(row.what, row.subject, f"{row.octets:,}", shown, row.proof)
        return table

    def connect_help(self, *, kept: bool) -> str:
        """How to look with one's own mail program."""
        imap, imaps = self.server.address("imap"), self.server.address("imaps")
        first = "The server is up." if kept else "bin/demo --keep leaves the server up for this:"
        return (
            f"{first}\n"
            f"  mail program  IMAP {imaps.host}, port {imaps.port} with SSL/TLS "
            f"(or {imap.port} with STARTTLS)\n"
            f"  user name     {USER}\n  password      {PASSWORD}\n"
            "  certificate   self-signed: confirm the exception once\n"
            f"  telephone     call sip:{VOICE}@127.0.0.1:{self.server.address('sip').port} "
            f"(voice) or {FAX} (fax)"
        )


async def run(console: Console, folder: Path, *, keep: bool) -> None:
    """The whole demonstration. Raises DemoError, ServerError or what a peer raises."""
    server = Server(folder, overrides=STANDARD_PORTS if keep else None)
    demo = Demo(server, console)
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(
            Progress(
                SpinnerColumn(finished_text="[green]ok[/]"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                console=console,
            )
        )

        async def step(title: str, work: Coroutine[Any, Any, None]) -> None:
            task = progress.add_task(title, total=1)
            await work
            progress.update(task, completed=1)

        await step("server starts on an empty folder", asyncio.to_thread(server.start))
        stack.callback(server.kill9)
        numbers = (f"{VOICE}:voice", f"{FAX}:fax")
        await step(
            "account with a voice and a fax number",
            asyncio.to_thread(server.add_account, USER, password=PASSWORD, numbers=numbers),
        )
        await step("a caller leaves a voicemail (SIP, RTP)", demo.voicemail())
        await step("a fax machine sends two pages (T.30 over G.711)", demo.fax())
        await step("billing sends an invoice (LMTP)", demo.invoice())
        progress.stop()
        console.print(demo.table())
        console.print(demo.connect_help(kept=keep))
        if keep:
            console.print("Ctrl-C ends it.")
            await _until_interrupted()
        await asyncio.to_thread(server.stop)


async def _until_interrupted() -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


def main() -> int:
    """Returns 0 if everything landed and was right."""
    parser = argparse.ArgumentParser(prog="bin/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the server up, on fixed ports")
    parser.add_argument("--folder", type=Path, help="keep data and log here (default: temporary)")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="um-demo-") as temporary:
        folder = options.folder or Path(temporary)
        try:
            asyncio.run(run(console, folder, keep=options.keep))
        except KeyboardInterrupt:
            return 130
        except (DemoError, ServerError, OSError, RuntimeError, TimeoutError, AssertionError) as why:
            console.print(f"[red]failed:[/] {why}")
            log = folder / "serve.log"
            if log.exists():
                console.print("the server's last words:", log.read_text()[-3000:], markup=False)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

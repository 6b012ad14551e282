"""A fax call from a process of its own: SIP, RTP and T.30 as an independent machine does them.

`python -m tests.support.fax_call --sip HOST:PORT --to URI FILE.tif` prints a line of JSON for each page
that was confirmed to it, and the result as the last one: the SIP status and what the sending machine
thinks of its pages. `send_fax` runs that; `start` lets it run beside the test.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.fax_machine import SendingFax, Sent
from tests.support.priority import first
from tests.support.telephone import (
    Impairments,
    Machine,
    Press,
    Silence,
    Step,
    Telephone,
    WaitForBeep,
)

PROJECT = Path(__file__).resolve().parents[2]
FRAME_OCTETS = 320


@dataclass(frozen=True, slots=True)
class FaxCall:
    """How a fax call ended, in the caller's eyes."""

    status: int
    """Of the INVITE."""
    hung_up_by_server: bool
    pages_confirmed: int
    code: int | None
    """The sending SpanDSP's completion code; 0 is success, None: the call ended first."""
    text: str = ""
    bit_rate: int = 0
    ecm: bool = False


def place(
    server: tuple[str, int],
    to: str,
    file: Path,
    *,
    caller: str = "+15550009999",
    ecm: bool = True,
    loss: float = 0.0,
    after_beep: bool = False,
    on_page: Callable[[int], None] | None = None,
) -> FaxCall:
    """Call and send `file`; blocks until both are over. `on_page` hears of each confirmed page.

    `after_beep`: a person calls first, skips the greeting, and has the machine begin after the beep.
    """
    fax = SendingFax(file, ident=caller, ecm=ecm)
    heard = bytearray()
    told = 0

    def turn(samples: bytes) -> bytes:
        nonlocal told
        heard.extend(samples)
        while len(heard) >= FRAME_OCTETS:
            fax.hear(bytes(heard[:FRAME_OCTETS]))
            del heard[:FRAME_OCTETS]
        while on_page is not None and told < fax.pages_confirmed:
            told += 1
            on_page(told)
        return fax.say()

    person: list[Step] = [Silence(1), Press("#"), WaitForBeep(15), Silence(1)] if after_beep else []
    report = Telephone(impairments=Impairments(loss=loss)).call(
        server, to, [*person, Machine(turn, lambda: fax.result is not None)], caller=caller
    )
    for _ in range(100):  # hung up while the DCN was being sent: the machine may finish saying it
        if fax.result is None and report.hung_up_by_server:
            fax.say()
            fax.hear(bytes(FRAME_OCTETS))
    result: Sent | None = fax.result
    if result is None:
        return FaxCall(report.status, report.hung_up_by_server, fax.pages_confirmed, None)
    return FaxCall(
        report.status,
        report.hung_up_by_server,
        result.pages_confirmed,
        result.code,
        result.text,
        result.bit_rate,
        result.ecm,
    )


class RunningFax:
    """A fax call in a process of its own. It ends by itself, at the latest after five minutes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._end: FaxCall | None = None
        self.pages_confirmed = 0
        """As far as its lines have been read."""

    def wait_confirmed(self, page: int) -> None:
        """Wait until it has heard the confirmation of `page`. Raises RuntimeError if it never will."""
        while self.pages_confirmed < page:
            if not self._read_line():
                raise RuntimeError(f"page {page} was not confirmed: {self._end}")

    def result(self) -> FaxCall:
        """Wait for its end. Raises RuntimeError if it breaks down."""
        while self._read_line():
            pass
        if self._process.wait() or self._end is None:
            raise RuntimeError("the fax machine broke down")
        return self._end

    def kill(self) -> int:
        """End it; returns how many pages had been confirmed to it."""
        self._process.kill()
        while self._read_line():
            pass
        self._process.wait()
        return self.pages_confirmed

    def _read_line(self) -> bool:
        """Take one line; False at the end of all."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            return False
        facts = json.loads(line)
        if "page_confirmed" in facts:
            self.pages_confirmed = facts["page_confirmed"]
        else:
            self._end = FaxCall(**facts)
        return True


def start(
    server: tuple[str, int],
    to: str,
    file: Path,
    *,
    caller: str = "+15550009999",
    ecm: bool = True,
    loss: float = 0.0,
    after_beep: bool = False,
) -> RunningFax:
    """Place the call from a new process; `loss` is the share of its packets that do not arrive."""
    command = [*first(), sys.executable, "-m", "tests.support.fax_call"]
    command += ["--sip", f"{server[0]}:{server[1]}"]
    command += ["--to", to, "--caller", caller, "--loss", str(loss)]
    command += [
        *([] if ecm else ["--no-ecm"]),
        *(["--after-beep"] if after_beep else []),
        str(file),
    ]
    return RunningFax(subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True))


def send_fax(
    server: tuple[str, int],
    to: str,
    file: Path,
    *,
    caller: str = "+15550009999",
    ecm: bool = True,
) -> FaxCall:
    """Place the call from a new process and wait for its end."""
    return start(server, to, file, caller=caller, ecm=ecm).result()


def main() -> None:
    """Place one call and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sip", required=True, metavar="HOST:PORT")
    parser.add_argument("--to", required=True, metavar="URI")
    parser.add_argument("--caller", default="+15550009999")
    parser.add_argument("--no-ecm", action="store_true")
    parser.add_argument("--after-beep", action="store_true")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    host, _, port = options.sip.rpartition(":")
    call = place(
        (host, int(port)),
        options.to,
        options.file,
        caller=options.caller,
        ecm=not options.no_ecm,
        loss=options.loss,
        after_beep=options.after_beep,
        on_page=lambda page: print(json.dumps({"page_confirmed": page}), flush=True),
    )
    print(json.dumps(asdict(call)), flush=True)


if __name__ == "__main__":
    main()

"""A fax call from a process of its own: SIP, RTP and T.30 as an independent machine does them.

`python -m tests.support.fax_call --sip HOST:PORT --to URI FILE.tif` prints the result as one line of
JSON: the SIP status and what the sending machine thinks of its pages. `send_fax` runs that.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.fax_machine import SendingFax, Sent
from tests.support.telephone import Machine, Telephone

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
    on_page: Callable[[int], None] | None = None,
) -> FaxCall:
    """Call and send `file`; blocks until both are over. `on_page` hears of each confirmed page."""
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

    report = Telephone().call(
        server, to, [Machine(turn, lambda: fax.result is not None)], caller=caller
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


def send_fax(
    server: tuple[str, int],
    to: str,
    file: Path,
    *,
    caller: str = "+15550009999",
    ecm: bool = True,
    timeout_seconds: float = 240,
) -> FaxCall:
    """The same from a new process. Raises RuntimeError if it breaks down."""
    command = [sys.executable, "-m", "tests.support.fax_call", "--sip", f"{server[0]}:{server[1]}"]
    command += ["--to", to, "--caller", caller, *([] if ecm else ["--no-ecm"]), str(file)]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=timeout_seconds, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the fax machine broke down:\n{done.stderr}")
    return FaxCall(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Place one call and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sip", required=True, metavar="HOST:PORT")
    parser.add_argument("--to", required=True, metavar="URI")
    parser.add_argument("--caller", default="+15550009999")
    parser.add_argument("--no-ecm", action="store_true")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    host, _, port = options.sip.rpartition(":")
    call = place(
        (host, int(port)),
        options.to,
        options.file,
        caller=options.caller,
        ecm=not options.no_ecm,
    )
    print(json.dumps(asdict(call)), flush=True)


if __name__ == "__main__":
    main()

"""A call by sipp (Debian `sip-tester`), an independent telephone: plays a recording and hangs up.

    report = sipp_call(
        ("127.0.0.1", 5070), "sip:+15551230001@127.0.0.1:5070", samples,
        folder=tmp_path, wait_seconds=6.0,
    )
    assert report.successful == 1, report.output

sipp cannot hear, so `wait_seconds` is how long it keeps silent (sending silence) from the answer
until it speaks: longer than the greeting and the beep. It needs no privileges: the media is its
`rtp_stream`, not raw packets. A missing sipp raises FileNotFoundError: the test fails, as it must.
"""

import csv
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.telephone_rtp import compand

SCENARIO = Path(__file__).parent / "sipp" / "voicemail.xml"
ENCODINGS = {0: "PCMU", 8: "PCMA"}


@dataclass(frozen=True, slots=True)
class SippReport:
    """What sipp counted."""

    successful: int
    failed: int
    output: str
    """Everything sipp said, for a test that fails."""


def sipp_call(
    server: tuple[str, int],
    uri: str,
    samples: bytes,
    *,
    folder: Path,
    wait_seconds: float,
    caller: str = "+15559870002",
    caller_name: str = "sipp",
    headers: Sequence[str] = (),
    payload_type: int = 0,
    transport: str = "u1",
    calls: int = 1,
    calls_per_second: int = 1,
    timeout_seconds: float = 90.0,
) -> SippReport:
    """Place `calls` calls that each say `samples`, and hang up when they are said.

    Args:
        server: where the INVITE goes.
        uri: its Request-URI.
        samples: signed 16 bits, native byte order, mono, 8000 a second.
        folder: for the scenario, the recording and sipp's statistics.
        wait_seconds: silence from the answer until the recording begins.
        caller: user part of From.
        caller_name: display name of From.
        headers: more header lines of the INVITE, without CRLF.
        payload_type: 0 PCMU, 8 PCMA.
        transport: sipp's `-t`: `u1` UDP, `t1` TCP over one connection.
        calls: how many, one after another at `calls_per_second`.
        calls_per_second: rate.
        timeout_seconds: sipp gives up; the report then counts failures.
    """
    recording, silence = folder / "recording.g711", folder / "silence.g711"
    recording.write_bytes(compand(samples, payload_type))
    silence.write_bytes(compand(bytes(16_000), payload_type))
    facts = {
        "uri": uri,
        "caller": caller,
        "caller_name": caller_name,
        "headers": "".join(f"{header}\n      " for header in headers),
        "payload_type": str(payload_type),
        "encoding": ENCODINGS[payload_type],
        "silence": str(silence),
        "recording": str(recording),
        "wait_milliseconds": str(round(1000 * wait_seconds)),
        "speak_milliseconds": str(round(len(samples) / 16)),
    }
    scenario = folder / "voicemail.xml"
    scenario.write_text(_filled(SCENARIO.read_text(encoding="utf-8"), facts), encoding="utf-8")
    statistics = folder / "sipp.csv"
    command = [
        *("sipp", f"{server[0]}:{server[1]}"),
        *("-t", transport, "-sf", str(scenario), "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        *("-m", str(calls), "-r", str(calls_per_second), "-nostdin"),
        *("-timeout", f"{round(timeout_seconds)}s", "-timeout_error"),
        *("-trace_stat", "-stf", str(statistics), "-trace_err"),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_seconds + 30,
        check=False,
    )
    if not statistics.exists():
        raise RuntimeError(f"sipp did not start: {done.stdout}{done.stderr}")
    successful, failed = _counted(statistics)
    return SippReport(successful, failed, done.stdout + done.stderr)


def _filled(template: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        template = template.replace("{{" + name + "}}", value)
    return template


def _counted(statistics: Path) -> tuple[int, int]:
    """The last line of sipp's statistics."""
    with statistics.open(newline="", encoding="utf-8") as lines:
        last = list(csv.DictReader(lines, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])

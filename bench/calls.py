"""Voice messages recorded at once, beside Asterisk's own VoiceMail() in the same run.

sipp places the calls, speaks and hangs up. Every recording is compared with what was spoken: its
words, its length, and each 20 ms of it. A probe hears prompts meanwhile.
"""

import argparse
import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from bench.peers.asterisk import AsteriskVoicemail
from bench.peers.load import Drops, Probe, cpu_seconds, start_sipp
from bench.report import percentile, report
from storage.greetings import FileGreetings
from tests.support.chroot import children
from tests.support.inbox import read_inbox
from tests.support.server import Address, Server
from tests.support.speech import decode_mp3, duration, say
from tests.support.telephone import HangUp, Telephone, WaitForBeep
from um.core.account import GreetingKind
from um.core.ids import AccountId
from um.mime.build import AudioFormat
from voicemail.audio import encode, prepare
from voicemail.prompts import SOUNDS

NUMBER, PASSWORD = "+15551230001", "bench bench bench"
SLACK_SECONDS = 0.5
"""Silence between the end of the beep and the first word."""
SETTLE_SECONDS = 120
FRAME = 160
GREETING = SOUNDS / "en_US_f_Allison" / "vm-intro.wav"
RTP_PORTS = [20_000, 21_998]


class Side(Protocol):
    name: str
    user: str
    renders: bool

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    @property
    def sip(self) -> Address: ...
    def cpu_seconds(self) -> float: ...
    def media_ports(self) -> range: ...
    def count(self) -> int: ...
    def sounds(self) -> list[bytes]: ...


class Um:
    """`um serve` with one mailbox that has room for everything."""

    name = "um"
    user = NUMBER
    renders = True

    def __init__(self, folder: Path, calls: int) -> None:
        overrides = {
            "policy": {"quota_octets": 2_000_000_000 + calls * 4_000_000},
            "telephony": {"listen": ["udp:127.0.0.1:0"], "rtp_ports": RTP_PORTS},
        }
        self.server = Server(folder, overrides=overrides)

    def __enter__(self) -> Self:
        self.server.start()
        self.server.add_account("bench", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        asyncio.run(self.greet())
        return self

    async def greet(self) -> None:
        """Speak what the peer speaks: our own greeting names the number and takes 19 s."""
        account = AccountId(self.server.um_json("account", "show", "bench")["id"])
        greetings = FileGreetings(self.server.data_dir / "greetings")
        await greetings.put(account, GreetingKind.UNAVAILABLE, GREETING.read_bytes())

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    @property
    def sip(self) -> Address:
        return self.server.address("sip")

    def cpu_seconds(self) -> float:
        return sum(map(cpu_seconds, [self.server.pid, *children(self.server.pid)]))

    def media_ports(self) -> range:
        return range(RTP_PORTS[0], RTP_PORTS[1] + 1)

    def count(self) -> int:
        return self.server.um_json("account", "show", "bench")["counts"].get("voice", 0)

    def sounds(self) -> list[bytes]:
        return [
            decode_mp3(part.get_payload(decode=True))
            for found in read_inbox(self.server, "bench", PASSWORD)
            for part in found.message.walk()
            if part.get_content_type() == "audio/mpeg"
        ]


class Peer(AsteriskVoicemail):
    renders = False

    def count(self) -> int:
        return len(self.recordings())

    def sounds(self) -> list[bytes]:
        return [decode_mp3(file.read_bytes()) for file in self.recordings()]


@dataclass
class Result:
    name: str
    calls: int
    recorded: int
    damaged_frames: int
    shortest: float
    longest: float
    dropped: int
    late_p50: float
    late_p99: float
    prompts: int
    cpu_per_minute: float
    of_it_rendering: float
    """Levelling and MP3, measured by themselves: what the peer does not do."""
    cores: float


def greeting_seconds(side: Side) -> float:
    """From the answer to the end of the beep."""
    uri = f"sip:{side.user.replace('[call_number]', '0')}@{side.sip.host}:{side.sip.port}"
    heard = Telephone().call(
        (side.sip.host, side.sip.port), uri, [WaitForBeep(40), HangUp()], caller="+15559870002"
    )
    if not heard.beeped:
        raise RuntimeError(f"{side.name}: no beep ({heard.status} {heard.reason})")
    return heard.seconds


def damaged_frames(spoken: bytes, heard: bytes) -> int:
    """How many 20 ms of speech are not in a recording where they belong: lost, or put elsewhere.

    Both are laid over each other where they are most alike. Quiet frames are not judged. All of
    them count if the recording is not of these words at all.
    """
    wanted, sound = (np.frombuffer(each, "<i2").astype(np.float64) for each in (spoken, heard))
    size = 1 << (len(wanted) + len(sound)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(wanted, size)), size)
    start = int(likeness[: max(1, len(sound))].argmax())
    count = len(wanted) // FRAME
    laid = np.zeros(count * FRAME)
    piece = sound[start : start + len(laid)]
    laid[: len(piece)] = piece
    left, right = wanted[: len(laid)].reshape(count, FRAME), laid.reshape(count, FRAME)
    loud = np.sqrt((left**2).mean(axis=1)) > 500
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    alike = (left * right).sum(axis=1) / np.maximum(norms, 1.0)
    return int((loud & (alike < 0.5)).sum())


def measure(
    make: Callable[[Path, int], Side], calls: int, *, folder: Path, seconds: float, rate: int
) -> Result:
    spoken = say(seconds=seconds)
    with make(folder / "side", calls) as side:
        wait = greeting_seconds(side) + SLACK_SECONDS
        before_messages, before_cpu = side.count(), side.cpu_seconds()
        drops, began = Drops(side.media_ports()), time.monotonic()
        drops.start()
        probe = Probe(side.sip, side.user.replace("[call_number]", "0"))
        sipp = start_sipp(
            side.sip,
            side.user,
            spoken,
            folder=folder / "sipp",
            wait_seconds=wait,
            calls=calls,
            rate=rate,
        )
        probe.start()
        try:
            sipp.wait(calls / rate + wait + seconds + 120)
        finally:
            sipp.kill()
            probe.finish()
        settled(side, before_messages + calls)
        cpu, elapsed = side.cpu_seconds() - before_cpu, time.monotonic() - began
        dropped = drops.finish()
        sounds = side.sounds()[before_messages:]
    lengths = [duration(sound) for sound in sounds] or [0.0]
    return Result(
        side.name,
        calls,
        len(sounds),
        sum(damaged_frames(spoken, sound) for sound in sounds),
        min(lengths),
        max(lengths),
        dropped,
        statistics.median(probe.late_ms or [0.0]),
        percentile(probe.late_ms or [0.0], 0.99),
        len(probe.late_ms),
        cpu / max(sum(lengths) / 60, 1e-9),
        rendering_seconds(spoken) if side.renders else 0.0,
        cpu / elapsed,
    )


def rendering_seconds(spoken: bytes) -> float:
    """CPU seconds that levelling and MP3 take for a minute of these words; best of three."""
    times = []
    for _ in range(3):
        began = time.process_time()
        samples = prepare(spoken)
        if samples is not None:
            encode(samples, AudioFormat.MP3)
        times.append(time.process_time() - began)
    return min(times) * 60 / duration(spoken)


def settled(side: Side, messages: int) -> None:
    """Wait until all are delivered, or until nothing more comes."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while side.count() < messages and time.monotonic() < deadline:
        time.sleep(1)


def row(result: Result) -> tuple[object, ...]:
    return (
        result.name,
        result.calls,
        result.recorded,
        f"{result.shortest:.2f}-{result.longest:.2f}",
        result.damaged_frames,
        result.dropped,
        f"{result.late_p50:.1f} / {result.late_p99:.1f}",
        f"{result.cpu_per_minute:.3f}",
        f"{result.cpu_per_minute - result.of_it_rendering:.3f}",
        f"{result.cores:.2f}",
    )


NOTES = (
    "Each caller hears the same greeting (Debian's vm-intro, 5.7 s) and speaks for {seconds:g} s; {rate} new calls a second. "
    "sipp speaks; its own CPU time, on the same machine, is not counted. A 20 ms frame is damaged if the recording has "
    "something else where it was spoken (its cosine below 0.5). Datagrams dropped: by the kernel, at the server's media "
    "sockets. Lateness: kernel arrival times of a probe's prompt packets against their timestamps, from the first INVITE "
    "to the last BYE. CPU: from the first INVITE until the last message is stored, greetings included; um encodes MP3, "
    "builds the mail and syncs it, Asterisk writes WAV files; what levelling and MP3 take is measured by itself."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--seconds", type=float, default=60, help="how long each caller speaks")
    parser.add_argument("--rate", type=int, default=20, help="new calls a second")
    parser.add_argument("--only", choices=("um", "asterisk"))
    parser.add_argument("--remark", default="", help="what else the machine did meanwhile")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args()
    sides = {"um": Um, "asterisk": Peer}
    chosen = [sides[options.only]] if options.only else list(sides.values())
    results = []
    for calls in options.calls:
        for make in chosen:
            folder = Path(tempfile.mkdtemp(prefix="um-bench-"))
            try:
                result = measure(
                    make, calls, folder=folder, seconds=options.seconds, rate=options.rate
                )
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            print(*row(result), sep=" | ", flush=True)
            results.append(result)
    report(
        "Voicemail: calls recorded at once",
        command=command(options),
        head=(
            "server",
            "calls at once",
            "messages",
            "length s",
            "damaged 20 ms",
            "datagrams dropped",
            "prompt late ms p50 / p99",
            "CPU s per recorded minute",
            "without level and MP3",
            "cores used",
        ),
        rows=[row(result) for result in results],
        notes=f"{NOTES.format(seconds=options.seconds, rate=options.rate)} {options.remark}",
    )


def command(options: argparse.Namespace) -> str:
    calls = " ".join(map(str, options.calls))
    only = f" --only {options.only}" if options.only else ""
    return f"python -m bench.calls --calls {calls} --seconds {options.seconds:g}{only}"


if __name__ == "__main__":
    main()

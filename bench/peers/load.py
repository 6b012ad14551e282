"""What both sides of the voicemail benchmark are loaded and measured with: sipp, a probe, /proc."""

import os
import select
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.server import Address
from tests.support.sipp_call import SCENARIO
from tests.support.telephone_rtp import compand
from tests.support.telephone_sip import Identity, media_address, offer, read_message

TICKS = os.sysconf("SC_CLK_TCK")
SO_TIMESTAMPNS = 35  # Linux: the kernel's time of arrival, so that our own delay is not measured
PROBE_SECONDS = 6.0


def cpu_seconds(process_id: int) -> float:
    """User and system time of a process and of its children that have ended; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


class Drops(threading.Thread):
    """Datagrams that the kernel threw away because the receiver's socket was full.

    Looks once a second, because a socket takes its count along when it closes.
    """

    def __init__(self, ports: range) -> None:
        super().__init__(daemon=True)
        self._ports = ports
        self._by_socket: dict[str, int] = {}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(1):
            self._look()

    def finish(self) -> int:
        self._over.set()
        self.join(10)
        return sum(self._by_socket.values())

    def _look(self) -> None:
        for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].partition(":")[2], 16) in self._ports:
                self._by_socket[fields[9]] = int(fields[12])


def start_sipp(
    sip: Address,
    user: str,
    samples: bytes,
    *,
    folder: Path,
    wait_seconds: float,
    calls: int,
    rate: int,
) -> subprocess.Popen[bytes]:
    """`calls` callers, `rate` a second, all at once in the line; each speaks after `wait_seconds`."""
    folder.mkdir()
    for name, data in (("words", samples), ("silence", bytes(16_000))):
        (folder / f"{name}.g711").write_bytes(compand(data, 0))
    facts = {
        "uri": f"sip:{user}@{sip.host}:{sip.port}",
        "caller": "+15559870002",
        "caller_name": "sipp",
        "headers": "",
        "payload_type": "0",
        "encoding": "PCMU",
        "silence": str(folder / "silence.g711"),
        "recording": str(folder / "words.g711"),
        "wait_milliseconds": str(round(1000 * wait_seconds)),
        "speak_milliseconds": str(round(len(samples) / 16)),
    }
    scenario = SCENARIO.read_text()
    for name, value in facts.items():
        scenario = scenario.replace("{{" + name + "}}", value)
    (folder / "scenario.xml").write_text(scenario)
    limit = round(calls / rate + wait_seconds + len(samples) / 16_000 + 60)
    command = [
        *("sipp", f"{sip.host}:{sip.port}", "-sf", str(folder / "scenario.xml")),
        *("-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-trace_err"),
        *("-m", str(calls), "-l", str(calls), "-r", str(rate)),
        *("-timeout", f"{limit}s", "-timeout_error"),
    ]
    with (folder / "sipp.out").open("wb") as out:
        return subprocess.Popen(command, cwd=folder, stdout=out, stderr=out)


@dataclass
class Probe(threading.Thread):
    """A caller who hears prompts again and again, and notes by how much each packet came late.

    A packet's lateness is its distance from where its timestamp puts it, measured from the packet
    of the same prompt that came soonest. Silence between prompts is not measured.
    """

    sip: Address
    user: str
    late_ms: list[float] = field(default_factory=list)
    calls: int = 0
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __hash__(self) -> int:
        return id(self)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self._call()
            except (OSError, ValueError) as error:
                self.failures.append(str(error))
                self.over.wait(1)

    def finish(self) -> None:
        self.over.set()
        self.join(PROBE_SECONDS + 20)

    def _call(self) -> None:
        with (
            socket.socket(type=socket.SOCK_DGRAM) as sip,
            socket.socket(type=socket.SOCK_DGRAM) as rtp,
        ):
            for each in (sip, rtp):
                each.bind(("127.0.0.1", 0))
            rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            uri = f"sip:{self.user}@{self.sip.host}:{self.sip.port}"
            identity = Identity(sip.getsockname(), uri, "<sip:+15559870002@127.0.0.1>")
            remote = self._answered(sip, rtp, identity)
            self.late_ms += lateness(self._listen(rtp, remote))
            sip.sendto(identity.bye(), (self.sip.host, self.sip.port))
            sip.settimeout(5)
            while read_message(sip.recv(65_535)).method != "BYE":
                pass
        self.calls += 1

    def _answered(
        self, sip: socket.socket, rtp: socket.socket, identity: Identity
    ) -> tuple[str, int]:
        where = (self.sip.host, self.sip.port)
        sip.settimeout(10)
        sip.sendto(identity.invite(offer(*rtp.getsockname(), payload_type=0)), where)
        while True:
            message = read_message(sip.recv(65_535))
            if message.method != "INVITE" or message.status < 200:
                continue
            sip.sendto(identity.acknowledge(message), where)
            if message.status >= 300:
                raise ValueError(f"the probe's call was refused: {message.status}")
            return media_address(message.body)

    def _listen(self, rtp: socket.socket, remote: tuple[str, int]) -> list[tuple[float, int, bool]]:
        """Arrival in seconds, timestamp and marker of each packet; silence is sent meanwhile."""
        heard: list[tuple[float, int, bool]] = []
        start = time.monotonic()
        sent = 0
        while (elapsed := time.monotonic() - start) < PROBE_SECONDS:
            while sent * 0.02 <= elapsed:
                head = struct.pack(">BBHII", 0x80, 0, sent & 0xFFFF, sent * 160, 1)
                rtp.sendto(head + b"\xff" * 160, remote)
                sent += 1
            if not select.select([rtp], [], [], 0.01)[0]:
                continue
            data, ancillary, _, _ = rtp.recvmsg(2048, 64)
            seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2][:16])
            _, kind, _, timestamp, _ = struct.unpack(">BBHII", data[:12])
            if kind & 0x7F == 0:
                heard.append((seconds + nanoseconds / 1e9, timestamp, bool(kind & 0x80)))
        return heard


def lateness(heard: list[tuple[float, int, bool]]) -> list[float]:
    """Milliseconds by which each packet came later than the soonest of its talk spurt."""
    spurts: list[list[float]] = []
    last = 0
    for arrival, timestamp, marker in heard:
        if marker or not spurts or not 0 < timestamp - last <= 1600:
            spurts.append([])
        last = timestamp
        spurts[-1].append(1000 * arrival - timestamp / 8)
    return [value - min(spurt) for spurt in spurts for value in spurt]

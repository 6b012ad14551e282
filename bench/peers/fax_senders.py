"""Sending fax machines for the fax benchmark: many calls in one process, each with a SpanDSP of its own.

`python -m bench.peers.fax_senders --sip HOST:PORT --to NUMBER --calls N --mode t38|g711 FILE.tif` places
the calls one after the other, sends FILE in all of them at once and prints one line of JSON a call.
"""

import argparse
import json
import secrets
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.support.fax_machine import FRAME, SendingFax, compress, expand
from tests.support.server import PROJECT, Address
from tests.support.t38_machine import SendingT38
from tests.support.telephone_sip import Identity, media_address, offer, read_message

TICK_SECONDS = 0.02
ANSWER_SECONDS = 10.0
LIMIT_SECONDS = 400.0
_DECODE = np.frombuffer(expand(bytes(range(256))), "<i2")
_ENCODE = np.frombuffer(compress(np.arange(-32768, 32768, dtype="<i2").tobytes()), np.uint8)
T38_OFFER = (
    "v=0\r\no=fax 1 1 IN IP4 {host}\r\ns=fax\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=image {port} udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n"
    "a=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxDatagram:400\r\n"
    "a=T38FaxUdpEC:t38UDPRedundancy\r\n"
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One call, as its caller saw it."""

    code: int | None
    pages: int
    up_at: float
    """Monotonic, of the machine."""
    ended_at: float


class Line:
    """One call: SIP on a socket of its own, media on another."""

    def __init__(self, server: Address, number: str) -> None:
        self.sip = _socket()
        self.media = _socket()
        self._server = (server.host, server.port)
        uri = f"sip:{number}@{server.host}:{server.port}"
        self._identity = Identity(
            self.sip.getsockname(), uri, f"<sip:+1555{secrets.randbelow(10**7):07}@127.0.0.1>"
        )
        self.peer = ("", 0)
        self.up_at = self.ended_at = 0.0

    def call(self, sdp: str) -> None:
        """Invite and acknowledge. Raises RuntimeError if the call is not taken."""
        self.sip.settimeout(ANSWER_SECONDS)
        self.sip.sendto(self._identity.invite(sdp), self._server)
        while True:
            message = read_message(self.sip.recv(65_535))
            if message.status >= 200:
                break
        self.sip.sendto(self._identity.acknowledge(message), self._server)
        if message.status != 200:
            raise RuntimeError(f"{message.status} {message.reason}")
        self.peer = media_address(message.body.replace("m=image", "m=audio"))
        self.up_at = time.monotonic()
        self.sip.setblocking(False)
        self.media.setblocking(False)

    def look(self) -> None:
        """Answer the server's BYE."""
        try:
            message = read_message(self.sip.recv(65_535))
        except BlockingIOError:
            return
        if message.method == "BYE" and not message.status:
            self.sip.sendto(self._identity.ok(message), self._server)
            self.end()

    def hang_up(self) -> None:
        if not self.ended_at:
            self.end()
            self.sip.sendto(self._identity.bye(), self._server)

    def end(self) -> None:
        self.ended_at = time.monotonic()

    def heard(self) -> list[bytes]:
        datagrams = []
        while True:
            try:
                datagrams.append(self.media.recv(4096))
            except BlockingIOError:
                return datagrams


class OverRtp:
    """G.711: a modem, companded by tables of numpy so that many fit on a core."""

    def __init__(self, line: Line, file: Path) -> None:
        self.line, self.machine = line, SendingFax(file)
        host, port = line.media.getsockname()
        line.call(offer(host, port, payload_type=0, events=False))
        line.heard()  # what came while others were being called
        self._sequence, self._ssrc = secrets.randbits(16), secrets.randbits(32)

    def tick(self) -> None:
        for data in self.line.heard():
            self.machine.hear(_DECODE[np.frombuffer(data, np.uint8, offset=12)].tobytes())
        said = np.frombuffer(self.machine.say(), "<i2").astype(np.int32) + 32768
        self._sequence += 1
        header = struct.pack(
            "!BBHII",
            0x80,
            0,
            self._sequence & 0xFFFF,
            self._sequence * FRAME & 0xFFFFFFFF,
            self._ssrc,
        )
        self.line.media.sendto(header + _ENCODE[said].tobytes(), self.line.peer)


class OverUdptl:
    """T.38 from the first offer on."""

    def __init__(self, line: Line, file: Path) -> None:
        self.line, self.machine = line, SendingT38(file)
        host, port = line.media.getsockname()
        line.call(T38_OFFER.format(host=host, port=port))

    def tick(self) -> None:
        for data in self.line.heard():
            self.machine.hear(data)
        for data in self.machine.tick():
            self.line.media.sendto(data, self.line.peer)


MODES = {"g711": OverRtp, "t38": OverUdptl}


def send(server: Address, number: str, file: Path, *, calls: int, mode: str) -> list[Sent]:
    """All calls at once, in real time. Raises TimeoutError."""
    senders = [MODES[mode](Line(server, number), file) for _ in range(calls)]
    print(json.dumps({"up": calls}), flush=True)
    active, next_tick = list(senders), time.monotonic()
    deadline = next_tick + LIMIT_SECONDS
    while active:
        if next_tick > deadline:
            raise TimeoutError(f"{len(active)} faxes did not end")
        for sender in active:
            sender.tick()
            sender.line.look()
            if sender.machine.result is not None:
                sender.line.hang_up()
        active = [sender for sender in active if not sender.line.ended_at]
        next_tick += TICK_SECONDS
        time.sleep(max(0.0, next_tick - time.monotonic()))
    return [_outcome(sender) for sender in senders]


def _outcome(sender: OverRtp | OverUdptl) -> Sent:
    result, line = sender.machine.result, sender.line
    code = None if result is None else result.code
    return Sent(code, sender.machine.pages_confirmed, line.up_at, line.ended_at)


def start(
    server: Address, number: str, file: Path, *, calls: int, mode: str
) -> "subprocess.Popen[str]":
    """The same from a process of its own."""
    command = [sys.executable, "-m", "bench.peers.fax_senders", "--calls", str(calls)]
    command += ["--sip", f"{server.host}:{server.port}", "--to", number, "--mode", mode, str(file)]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def outcomes(lines: Sequence[str]) -> list[Sent]:
    """What `start` printed, its first line apart."""
    return [Sent(**json.loads(line)) for line in lines]


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", 0))
    return sock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sip", required=True, metavar="HOST:PORT")
    parser.add_argument("--to", required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--mode", choices=MODES, required=True)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    host, _, port = options.sip.rpartition(":")
    server = Address(host, int(port))
    for sent in send(server, options.to, options.file, calls=options.calls, mode=options.mode):
        print(json.dumps(asdict(sent)), flush=True)


if __name__ == "__main__":
    main()

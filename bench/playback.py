"""From a key on `*98` to the first RTP packet of a stored message that was not decoded before."""

import argparse
import select
import socket
import statistics
import struct
import tempfile
import time
from pathlib import Path

from bench.peers.load import SO_TIMESTAMPNS
from bench.report import report
from tests.support.server import Address, Server
from tests.support.speech import save_wav
from tests.support.telephone_rtp import RtpListener, RtpSender, tone, tone_of
from tests.support.telephone_sip import Identity, media_address, offer, read_message

NUMBER, PASSWORD, PIN = "+15551230001", "bench bench bench", "280519"
HERTZ = 440.0
"""What the message consists of, so that its first packet is known."""
FRAME_SECONDS = 0.02
KEY_SECONDS = 0.1
SKIP_AFTER_SECONDS = 0.14
"""After `1` a `#` skips the envelope as soon as it can be pressed: nothing hides the decoding."""
PATIENCE_SECONDS = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120, help="length of the message")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        server.um(
            *("account", "add", "bench", "--number", f"{NUMBER}:voice"),
            *("--password-stdin", "--pin-stdin"),
            stdin=f"{PASSWORD}\n{PIN}\n",
        )
        file = save_wav(tone(HERTZ, options.seconds), Path(folder) / "message.wav")
        server.um("deliver", "voice", "bench", str(file))
        waits = [one(server.address("sip")) for _ in range(options.calls)]
    report(
        f"Playback: key to sound, {options.seconds:g} s message",
        command="python -m bench.playback",
        head=("key", "calls", "median ms", "best ms", "worst ms"),
        rows=[
            (key, len(each), *figures(each))
            for key, each in zip(KEYS, zip(*waits, strict=True), strict=True)
        ],
        notes="From the first packet of a key's RFC 4733 event (which lasts 100 ms; the server acts on its "
        "first packet) to the kernel's arrival time of the first packet with the message's sound. The message is "
        "an MP3 of 24 kbit/s in the store. `#` is pressed 140 ms after `1`, as soon as the keypad allows: reading, "
        "decoding and the \\Seen flag lie between `1` and the sound.",
    )


KEYS = (
    "`1`, not decoded yet: from `1`",
    "the same, from the `#` that skips the envelope",
    "`5`, again: from `5`",
    "the same, from `#`",
)


def figures(waits: tuple[float, ...]) -> tuple[str, str, str]:
    return f"{statistics.median(waits):.0f}", f"{min(waits):.0f}", f"{max(waits):.0f}"


class Owner:
    """A telephone on the owner's line that presses keys and times what it hears."""

    def __init__(self, sip: socket.socket, rtp: socket.socket, server: Address) -> None:
        self.sip, self.rtp, self.server = sip, rtp, (server.host, server.port)
        self.sender, self.listener = RtpSender(0), RtpListener(0)
        uri = f"sip:*98@{server.host}:{server.port}"
        self.identity = Identity(sip.getsockname(), uri, f"<sip:{NUMBER}@127.0.0.1>")
        self.remote = self._answered()
        self.begun = time.monotonic()
        self.turns = 0
        self.tonal_at: float | None = None
        """When the message's first packet came."""

    def _answered(self) -> tuple[str, int]:
        self.sip.settimeout(10)
        self.sip.sendto(
            self.identity.invite(offer(*self.rtp.getsockname(), payload_type=0)), self.server
        )
        while True:
            message = read_message(self.sip.recv(65_535))
            if message.method == "INVITE" and message.status >= 200:
                self.sip.sendto(self.identity.acknowledge(message), self.server)
                return media_address(message.body)

    def turn(self, packets: list[bytes]) -> None:
        """Send, and listen until the next 20 ms begin."""
        for packet in packets:
            self.rtp.sendto(packet, self.remote)
        self.turns += 1
        while (left := self.begun + FRAME_SECONDS * self.turns - time.monotonic()) > 0:
            if select.select([self.rtp], [], [], left)[0]:
                self._hear()

    def _hear(self) -> None:
        data, ancillary, _, _ = self.rtp.recvmsg(2048, 64)
        seconds, nanoseconds = struct.unpack("@ll", ancillary[0][2][:16])
        hertz = tone_of(self.listener.receive(data))
        if self.tonal_at is None and hertz is not None and abs(hertz - HERTZ) < 5:
            self.tonal_at = seconds + nanoseconds / 1e9

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_SECONDS)):
            self.turn(self.sender.frame(b""))

    def press(self, key: str) -> float:
        """Returns the time of day when the first packet left."""
        at = time.time()
        for packets in self.sender.press(key):
            self.turn(packets)
        return at

    def to_sound(self, key: str) -> tuple[float, float]:
        """Milliseconds to the message from `key`, and from the `#` that skips its envelope."""
        first = self.press(key)
        self.wait(SKIP_AFTER_SECONDS - KEY_SECONDS)
        self.tonal_at = None
        second = self.press("#")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.tonal_at is None and time.monotonic() < deadline:
            self.turn(self.sender.frame(b""))
        if self.tonal_at is None:
            raise RuntimeError("the message was not heard")
        return 1000 * (self.tonal_at - first), 1000 * (self.tonal_at - second)

    def hang_up(self) -> None:
        self.sip.sendto(self.identity.bye(), self.server)
        self.sip.settimeout(5)
        while read_message(self.sip.recv(65_535)).method != "BYE":
            pass


def one(server: Address) -> tuple[float, ...]:
    with socket.socket(type=socket.SOCK_DGRAM) as sip, socket.socket(type=socket.SOCK_DGRAM) as rtp:
        for each in (sip, rtp):
            each.bind(("127.0.0.1", 0))
        rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        owner = Owner(sip, rtp, server)
        owner.wait(1.0)
        for key in f"{PIN}#":
            owner.press(key)
            owner.wait(0.06)
        owner.wait(1.5)  # the PIN is checked, the menu is being spoken
        first = owner.to_sound("1")
        owner.wait(1.0)
        again = owner.to_sound("5")
        owner.hang_up()
        return *first, *again


if __name__ == "__main__":
    main()

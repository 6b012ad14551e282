"""A telephone server in a process of its own, with small applications, for tests of the wire.

`python -m tests.support.telephony_server FOLDER [KEY=VALUE …]` prints `{"listening": […]}` and then
one JSON line an event; recordings go to FOLDER as raw samples. The dialled name picks what happens:

- `record…`: beep of 0.4 s at 1 kHz, then record, at ease, until the caller hangs up; `#` ends the call.
- `echo…`: what is heard is said.
- `slow…`: is never answered by itself.
- `crash…`: fails at the first sound.
- `fax…`: records without a beep; at the first sound hands over to an application that takes the media socket away
  and says 1 s of 700 Hz on it, one packet in 20 ms, by itself.
- `transfer…`: `0` sends the caller to the core's extension 100; a refusal is told, and recorded on.
- `closed…`: refused with an announcement (0.5 s of 600 Hz); anything else: 404.
"""

import asyncio
import json
import random
import signal
import struct
import sys
import threading
import time
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from twisted.internet import asyncioreactor

from fax.spandsp import SpanDSPToneDetector
from tests.support.telephone_rtp import compand, tone
from um.clock import SystemClock
from um.core.account import Account, Number
from um.core.ids import E164, AccountId
from um.core.ports import NoMetrics
from um.telephony.application import Call, CallInfo, EndReason, HandOver, Refusal, Route
from um.telephony.codec import Codecs
from um.telephony.g729 import installed as g729
from um.telephony.media_sockets import PolledSockets
from um.telephony.rtp.g711 import G711
from um.telephony.server import TelephonyServer
from um.telephony.settings import TelephonySettings

ACCOUNT = Account(AccountId("a" * 32), "alice", "um.test", datetime(2026, 1, 1, tzinfo=UTC))
NUMBER = Number(E164("+15551230001"), ACCOUNT.id)
BEEP = tone(1000, 0.4)


def say(**facts: object) -> None:
    """Tell the test."""
    print(json.dumps(facts), flush=True)


class Recording:
    """Beeps, records, tells."""

    def __init__(self, call: Call, folder: Path) -> None:
        self.call = call
        self.folder = folder
        self.heard = bytearray()
        self.digits = ""
        self.finished = 0
        call.answer()

    def answered(self) -> None:
        self.call.be_at_ease(at_ease=True)
        self.call.play(BEEP)

    def audio(self, samples: bytes) -> None:
        self.heard += samples

    def digit(self, digit: str) -> None:
        self.digits += digit
        if digit == "#":
            self.call.hang_up()

    def playback_finished(self) -> None:
        self.finished += 1

    def ended(self, reason: EndReason) -> None:
        path = self.folder / f"{self.call.info.call_id}.raw"
        path.write_bytes(self.heard)
        info = self.call.info
        say(
            event="ended",
            application=type(self).__name__,
            call_id=info.call_id,
            dialled=info.dialled,
            caller_number=info.caller_number,
            caller_name=info.caller_name,
            cause=info.cause.value,
            reason=reason.value,
            digits=self.digits,
            finished=self.finished,
            samples=len(self.heard) // 2,
            file=str(path),
        )


class Echo(Recording):
    """Says what it hears."""

    def answered(self) -> None:
        """No beep."""

    def audio(self, samples: bytes) -> None:
        super().audio(samples)
        self.call.play(samples)


class Transfer(Recording):
    """Sends its caller to the operator."""

    def digit(self, digit: str) -> None:
        super().digit(digit)
        if digit == "0":
            self.call.transfer("100", lambda: say(event="not-transferred"))


class Slow(Recording):
    """Does not answer."""

    def __init__(self, call: Call, folder: Path) -> None:
        self.call, self.folder = call, folder
        self.heard, self.digits, self.finished = bytearray(), "", 0


class Crash(Recording):
    """Fails."""

    def audio(self, samples: bytes) -> None:
        raise ZeroDivisionError


class Handing(Recording):
    """Hands over at the first sound."""

    def answered(self) -> None:
        """No beep: whoever waits for one means that of the next owner."""

    def audio(self, samples: bytes) -> None:
        if any(samples):
            raise HandOver("taker")


class Taker(Recording):
    """Takes the media away, as the fax does."""

    def __init__(self, call: Call, folder: Path) -> None:
        self.call, self.folder = call, folder
        self.heard, self.digits, self.finished = bytearray(), "", 0

    def answered(self) -> None:
        media = self.call.hand_over_media()
        say(event="taken", remote=media.remote, payload_type=media.payload_type)

        def speak() -> None:
            payload = compand(tone(700, 1.0), media.payload_type)
            for index in range(50):
                header = struct.pack(
                    ">BBHII",
                    0x80,
                    media.payload_type,
                    (media.next_sequence + index) % 65536,
                    (media.next_timestamp + 160 * index) % (1 << 32),
                    media.ssrc,
                )
                media.socket.sendto(header + payload[160 * index :][:160], media.remote)
                time.sleep(0.02)
            media.socket.close()

        threading.Thread(target=speak).start()


APPLICATIONS = {
    "record": Recording,
    "echo": Echo,
    "transfer": Transfer,
    "slow": Slow,
    "crash": Crash,
    "fax": Handing,
    "taker": Taker,
}


class Names:
    """A router by the beginning of the dialled name."""

    async def route(self, candidates: list[str], info: CallInfo) -> Route | Refusal:
        for name in candidates:
            if name.startswith("closed"):
                return Refusal(410, "Gone", "account-closed")
            for application in APPLICATIONS:
                if name.startswith(application):
                    return Route(application, ACCOUNT, NUMBER)
        return Refusal(404, "Not Found")


def settings(words: list[str]) -> TelephonySettings:
    """Settings from KEY=VALUE, values as JSON."""
    given = {key: json.loads(value) for key, _, value in (word.partition("=") for word in words)}
    tuples = {each.name for each in fields(TelephonySettings) if "tuple" in str(each.type)}
    given = {key: tuple(value) if key in tuples else value for key, value in given.items()}
    return TelephonySettings(**{"listen": ("udp:127.0.0.1:0",), **given})


def main(folder: Path, words: list[str]) -> None:
    """Serve until SIGTERM, then drain."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    loop = asyncio.new_event_loop()
    install: Any = asyncioreactor.install
    install(loop)
    from twisted.internet import reactor as installed

    reactor: Any = installed

    server = TelephonyServer(
        settings(words),
        router=Names(),
        applications={name: partial(kind, folder=folder) for name, kind in APPLICATIONS.items()},
        announcements=lambda name, _: tone(600, 0.5) if name == "account-closed" else b"",
        clock=SystemClock(),
        metrics=NoMetrics(),
        reactor=reactor,
        sockets=PolledSockets(SystemClock()),
        randomness=random.SystemRandom(),
        codecs=Codecs((*G711, *g729())),
        tones=SpanDSPToneDetector,
    )

    async def finish() -> None:
        try:
            await server.drain(5)
            server.stop()
            say(event="stopped")
        finally:  # also when nobody reads our words any more
            reactor.callLater(0, reactor.stop)

    def begin() -> None:
        server.start()
        say(listening=server.addresses)

    reactor.callWhenRunning(begin)
    loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(finish()))
    reactor.run(installSignalHandlers=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

"""A mail client on a wire in memory: octets to a protocol object, its replies by line, no sockets."""

import asyncio
import ssl
from collections import Counter
from ipaddress import ip_network

from tests.support.house import DOMAIN, House
from um.core.ports import NoMetrics
from um.service.recipients import Directory
from um.smtp.inbound import InboundSettings, MailIn

TRUSTED = "127.0.0.1"
STRANGER = "203.0.113.9"
BILLING = "billing@example.net"


class CountedMetrics(NoMetrics):
    """Remembers the counters."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, name: str, amount: float = 1) -> None:
        self.counts[name] += int(amount)


def mail_in(
    house: House,
    delivery: object = None,
    *,
    tls_context: ssl.SSLContext | None = None,
    **settings: object,
) -> MailIn:
    """Mail in over a House, with the provider on loopback."""
    given = {
        "domain": DOMAIN,
        "invoice_senders": [BILLING],
        "trusted_clients": [ip_network("127.0.0.0/8")],
        **settings,
    }
    return MailIn(
        InboundSettings(**given),  # type: ignore[arg-type]
        Directory(house.store, house.settings),
        delivery or house.delivery,  # type: ignore[arg-type]
        house.clock,
        CountedMetrics(),
        returned=getattr(house, "bounces", None),
        tls_context=tls_context,
        steps=house.steps,
    )


class WireTransport(asyncio.Transport):
    """Collects what the server writes."""

    def __init__(self, wire: "Wire", peer: str) -> None:
        super().__init__({"peername": (peer, 40000)})
        self._wire = wire
        self.closed = False

    def write(self, data: bytes) -> None:
        self._wire.heard(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._wire.protocol.connection_lost, None)
            self._wire.something.set()

    abort = close

    def pause_reading(self) -> None:
        """Nothing: what is fed is in memory already."""

    def resume_reading(self) -> None:
        """Nothing: what is fed is in memory already."""


class Wire:
    """One connection. Use it in the loop: `await wire.say(b"NOOP")` gives the reply's lines."""

    def __init__(self, server: MailIn, *, lmtp: bool = False, peer: str = TRUSTED) -> None:
        self._unread = b""
        self.something = asyncio.Event()
        self.protocol = server.protocol(asyncio.get_running_loop(), lmtp=lmtp)
        self.transport = WireTransport(self, peer)
        self.protocol.connection_made(self.transport)

    def heard(self, data: bytes) -> None:
        self._unread += data
        self.something.set()

    def send(self, data: bytes) -> None:
        self.protocol.data_received(data)

    async def reply(self) -> list[str]:
        """The lines of the next reply; an empty list if the server closed instead."""
        lines: list[str] = []
        while True:
            line, found, rest = self._unread.partition(b"\r\n")
            if found:
                self._unread = rest
                lines.append(line.decode("ascii"))
                if line[3:4] != b"-":
                    return lines
            elif self.transport.closed:
                return lines
            else:
                self.something.clear()
                await asyncio.wait_for(self.something.wait(), 10)

    async def say(self, line: str) -> str:
        """Send a command; the last line of its reply."""
        self.send(line.encode() + b"\r\n")
        return (await self.reply())[-1]

    async def talk(self, *lines: str) -> list[str]:
        return [await self.say(line) for line in lines]

    async def begin(self, *recipients: str, sender: str = BILLING, hello: str = "") -> list[str]:
        """Greeting, LHLO or EHLO, MAIL and RCPTs; the replies to the RCPTs."""
        await self.reply()
        await self.say(hello or ("LHLO client" if self.protocol.lmtp else "EHLO client"))
        await self.say(f"MAIL FROM:<{sender}>")
        return await self.talk(*(f"RCPT TO:<{recipient}>" for recipient in recipients))

    async def data(self, message: bytes, replies: int = 1) -> list[str]:
        """DATA with a message (dots stuffed here); that many replies."""
        assert (await self.say("DATA")).startswith("354")
        stuffed = message.replace(b"\r\n.", b"\r\n..")
        self.send(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return [(await self.reply())[-1] for _ in range(replies)]

    def hang_up(self) -> None:
        """The client is gone without a word."""
        self.transport.close()


def letter(size_octets: int = 900, *, subject: str = "Hello") -> bytes:
    """An ordinary mail of about that size, lines and all."""
    head = (
        f"From: bob@example.org\r\nTo: alice@{DOMAIN}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@example.org>\r\nDate: Wed, 04 Mar 2026 12:00:00 +0000\r\n\r\n"
    ).encode()
    return head + (b"x" * 70 + b"\r\n") * (max(size_octets - len(head), 72) // 72)

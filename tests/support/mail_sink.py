"""A mail server of somebody else's (aiosmtpd) that takes what we send, and fails when it is told to.

It runs in a thread with a loop of its own, so that a test may wait for what arrives. `script` holds
what becomes of the next mails, one after another; when it is empty all is well.
"""

import asyncio
import re
import socket
import ssl
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from enum import Enum
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from um.core.forwarding import OutgoingMail

WAIT_SECONDS = 30.0


class Fault(Enum):
    """What goes wrong with one mail."""

    NONE = "none"
    BUSY_AT_GREETING = "421 at the greeting"
    DEFERRED_RCPT = "450 to RCPT"
    DEFERRED = "451 after the final dot"
    REFUSED_MAIL = "552 to MAIL"
    REFUSED_RCPT = "550 to RCPT"
    REFUSED = "554 after the final dot"
    CUT_BEFORE_DOT = "gone while the mail comes"
    CUT_AFTER_DOT = "taken, and gone without a word"
    RESET_AFTER_250 = "taken, said so, and the connection reset"
    SILENT_RCPT = "no answer to RCPT"
    SILENT_AFTER_DOT = "taken, and no answer"
    SLOW = "taken, every answer late"
    HELD = "taken, and its answer held back until `let_go`"


TAKEN = frozenset({Fault.NONE, Fault.CUT_AFTER_DOT, Fault.RESET_AFTER_250, Fault.SILENT_AFTER_DOT})
"""After these the mail has arrived."""
SILENT = frozenset({Fault.SILENT_RCPT, Fault.SILENT_AFTER_DOT})
"""These end when the client loses patience."""
LATE = frozenset({Fault.SLOW, Fault.HELD})
"""These are no faults but of speed."""
LATE_SECONDS = 0.7


@dataclass
class Arrived:
    """One mail that was taken."""

    sender: str
    recipients: list[str]
    data: bytes = field(repr=False)
    tls: bool = False
    login: str = ""

    @property
    def message(self) -> EmailMessage:
        """Parsed."""
        parsed = message_from_bytes(self.data, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def message_id(self) -> str:
        """As it stands."""
        return str(self.message["Message-ID"])

    def part(self, media_type: str) -> Any:
        """The decoded content of the first part of that type."""
        for part in self.message.walk():
            if part.get_content_type() == media_type:
                return part.get_content()
        raise AssertionError(
            f"no {media_type} in {[p.get_content_type() for p in self.message.walk()]}"
        )

    @property
    def links(self) -> list[str]:
        """URLs of the text part."""
        return re.findall(r"https://\S+", self.part("text/plain"))


class _Connection(SMTP):
    """aiosmtpd's, with a line that can break."""

    def __init__(self, sink: "MailSink", **options: Any) -> None:
        self.sink = sink
        self.fault = Fault.NONE
        super().__init__(self, hostname="sink.example.org", **options)

    async def _handle_client(self) -> None:
        self.fault = self.sink.next_fault()
        if self.fault is Fault.BUSY_AT_GREETING:
            await self.push("421 4.3.2 Busy")
            self.transport.close()
            return
        await super()._handle_client()

    async def smtp_DATA(self, arg: str) -> None:
        if self.fault is Fault.CUT_BEFORE_DOT:
            await self.push("354 Go on")
            await self._reader.read(100)
            self._reset()
            return
        await super().smtp_DATA(arg)
        if self.fault is Fault.RESET_AFTER_250:
            self._reset()

    # aiosmtpd's hooks

    async def handle_MAIL(
        self, _s: Any, _session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        await self._be_late()
        if self.fault is Fault.REFUSED_MAIL:
            return "552 5.3.4 Too big"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, _s: Any, _session: Any, envelope: Envelope, address: str, _o: Any
    ) -> str:
        if self.fault is Fault.REFUSED_RCPT or address in self.sink.unknown:
            return "550 5.1.1 No such user"
        await self._be_late()
        if self.fault is Fault.SILENT_RCPT:
            await asyncio.Event().wait()
        if self.fault is Fault.DEFERRED_RCPT:
            return "450 4.2.1 Greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _s: Any, session: Any, envelope: Envelope) -> str:
        if self.fault is Fault.DEFERRED:
            return "451 4.3.0 Later"
        if self.fault is Fault.REFUSED:
            return "554 5.7.1 Spam"
        login = session.auth_data.decode() if session.authenticated else ""
        content = envelope.content
        assert isinstance(content, bytes)
        self.sink.arrive(
            Arrived(
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                content,
                self.transport.get_extra_info("ssl_object") is not None,
                login,
            )
        )
        if self.fault is Fault.CUT_AFTER_DOT:
            self._reset()
        if self.fault in {Fault.CUT_AFTER_DOT, Fault.SILENT_AFTER_DOT}:
            await asyncio.Event().wait()
        if self.fault is Fault.HELD:
            await self.sink.released.wait()
        await self._be_late()
        return "250 OK"

    async def _be_late(self) -> None:
        if self.fault is Fault.SLOW:
            await asyncio.sleep(LATE_SECONDS)

    def _reset(self) -> None:
        """RST, not FIN."""
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class MailSink:
    """Use it as a context manager; `url` is what [smtp] `relay` says.

    Args:
        port: 0 takes a free one.
        tls: the certificate for STARTTLS, or with `implicit` for the whole connection.
        login: user name and password that it wants to hear.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.script: deque[Fault] = deque()
        self.always: Fault = Fault.NONE
        self.unknown: set[str] = set()
        self.arrived: list[Arrived] = []
        self.attempts = 0
        self.port = port
        self._tls, self._implicit, self._login = tls, implicit, login
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self.released = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """`smtp://127.0.0.1:PORT`."""
        return f"{'smtps' if self._implicit else 'smtp'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(WAIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(WAIT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    def wait(self, count: int, *, seconds: float = WAIT_SECONDS) -> list[Arrived]:
        """All that has arrived, once that is `count` mails. Raises AssertionError if it is not in time."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self.arrived) >= count, seconds)
            assert there, f"{len(self.arrived)} of {count} mails arrived"
            return list(self.arrived)

    def wait_attempts(self, count: int, *, seconds: float = WAIT_SECONDS) -> None:
        """Until so many connections came."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.attempts >= count, seconds)

    def let_go(self) -> None:
        """Answer what was held back."""
        self._loop.call_soon_threadsafe(self.released.set)

    def next_fault(self) -> Fault:
        """What becomes of the mail of a new connection."""
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
            return self.script.popleft() if self.script else self.always

    def arrive(self, mail: Arrived) -> None:
        """One more."""
        with self._changed:
            self.arrived.append(mail)
            self._changed.notify_all()

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(
            self._connection, "127.0.0.1", self.port, ssl=self._tls if self._implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _connection(self) -> _Connection:
        return _Connection(
            self,
            loop=self._loop,
            tls_context=None if self._implicit else self._tls,
            authenticator=self._authenticate if self._login else None,
            auth_required=self._login is not None,
            auth_require_tls=self._tls is not None and not self._implicit,
        )

    def _authenticate(self, _s: Any, _session: Any, _e: Any, _m: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        right = given == self._login
        return AuthResult(success=right, handled=False, auth_data=data.login)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


def outgoing(
    data: bytes = b"Subject: x\r\n\r\n.dot\r\n", to: str = "anna@example.org"
) -> OutgoingMail:
    """A mail for the relay client alone."""
    return OutgoingMail("bounce+1@um.example.net", to, data)

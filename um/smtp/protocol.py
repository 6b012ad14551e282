"""One SMTP or LMTP connection: aiosmtpd's commands, our own DATA and a reply for each recipient.

What is ours and why:
- DATA: aiosmtpd reads line by line, keeps bare CR and LF, and answers once (RFC 2033 §4.2 wants one
  reply for each recipient in LMTP). Here `DotReader` takes chunks, memory is accounted for, and
  a 250 is sent after its delivery has committed.
- Every reply carries an enhanced status code (RFC 2034), as LMTP demands.
- AUTH is not offered.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import structlog
from aiosmtpd.smtp import SMTP, TLSSetupException

from um.core.errors import TooLargeError, UMError
from um.smtp import replies
from um.smtp.dot import DotReader
from um.smtp.errors import BusyError
from um.smtp.reception import Client, Prepared, Recipient
from um.smtp.transaction import Hooks, MailEnvelope, parse_path

if TYPE_CHECKING:
    from um.smtp.inbound import MailIn

log = structlog.get_logger(__name__)

CHUNK_OCTETS = 64 * 1024
COMMAND_OCTETS = 1024
"""RFC 5321 §4.5.3.1.4 says 512; an address of 320 octets with parameters needs a little more."""
_NEEDS_STATUS = re.compile(r"([245]\d\d) (?!\d\.\d{1,3}\.\d{1,3}\b)(?:Error: )?")


class MailProtocol(SMTP):
    """A client that speaks SMTP."""

    line_length_limit = CHUNK_OCTETS
    lmtp = False

    def __init__(self, mail_in: "MailIn", **options: Any) -> None:
        self.mail_in = mail_in
        settings = mail_in.settings
        super().__init__(
            Hooks(self),
            data_size_limit=settings.max_size_octets,
            hostname=settings.domain,
            ident="LMTP" if self.lmtp else "ESMTP",
            timeout=settings.command_timeout_seconds,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=settings.command_limits(),
            **options,
        )
        # aiosmtpd keeps one dictionary for all connections, which grows with each EHLO.
        self.command_size_limits = defaultdict(lambda: COMMAND_OCTETS)
        self.command_size_limit = COMMAND_OCTETS
        self.peer_address = ""
        self.trusted = False
        self.admitted = False
        self.busy = False
        """A message is being received or delivered: a graceful stop waits for its replies."""
        self._stopping = False
        self._verbatim = False

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection in. Called again after STARTTLS, when it is known already."""
        if not self.peer_address:
            peer = transport.get_extra_info("peername")
            self.peer_address = str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1"
            self.trusted = self.mail_in.is_trusted(self.peer_address)
            self.admitted = self.mail_in.connected(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection out."""
        self.mail_in.disconnected(self)
        super().connection_lost(error)

    def client(self) -> Client:
        """Who the peer is, for the transaction that begins."""
        session = self.session
        assert session is not None
        protocol = "LMTP" if self.lmtp else "ESMTP" if session.extended_smtp else "SMTP"
        tls = "S" if session.ssl and protocol != "SMTP" else ""
        return Client(self.peer_address, session.host_name or "", protocol + tls, self.trusted)

    def close_after_reply(self) -> None:
        """Close once the reply that is about to be pushed is on its way."""
        assert self.transport is not None
        self.loop.call_soon(self.transport.close)

    def shut_down(self) -> None:
        """Tell an idle client that we go, and close; one in DATA is closed after its replies."""
        self._stopping = True
        if not self.busy:
            self._say_and_close(replies.SHUTTING_DOWN.text("Shutting down, try again later"))

    def abort(self) -> None:
        """Close at once, without a word."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def _handle_client(self) -> None:
        refusal = self._refusal_at_once()
        if refusal is None:
            await super()._handle_client()
            return
        self._say_and_close(refusal)

    def _refusal_at_once(self) -> str | None:
        """What a client that may not talk to us hears instead of the greeting."""
        if not self.admitted:
            return replies.TOO_MANY_CONNECTIONS.text("Too many connections, try again later")
        if self.lmtp and not self.trusted:
            return replies.ACCESS_DENIED.text("LMTP is for our own mail servers only")
        return None

    def _timeout_cb(self) -> None:
        self.mail_in.metrics.count("smtp_timeouts")
        self._say_and_close(replies.TIMED_OUT.text("Timeout, closing"))

    def _say_and_close(self, line: str) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._writer.write(line.encode("ascii") + b"\r\n")
            self.transport.close()

    # Replies

    async def push(self, status: str | bytes) -> None:
        """Send a reply line; give it an enhanced status code if it lacks one (RFC 2034)."""
        text = status.decode("ascii", "replace") if isinstance(status, bytes) else status
        match = None if self._verbatim else _NEEDS_STATUS.match(text)
        if match and match[1] != "220":
            code = replies.STATUS_OF_CODE.get(int(match[1]), f"{text[0]}.0.0")
            text = f"{match[1]} {code} {text[match.end() :]}"
        if text[:1] in "45":
            self.mail_in.metrics.count(f"smtp_replies_{text[0]}xx")
        await super().push(text)

    async def handle_exception(self, error: Exception) -> str:
        """A defect of ours: temporary, so that no mail bounces for it."""
        if isinstance(error, TLSSetupException):
            self.mail_in.metrics.count("smtp_tls_failures")
            return replies.TLS_FAILED.text("TLS handshake failed")
        log.error("smtp command failed", peer=self.peer_address, exc_info=error)
        self.mail_in.metrics.count("smtp_internal_errors")
        return replies.INTERNAL.text("Internal error, try again later")

    # Commands

    def _create_envelope(self) -> MailEnvelope:
        return MailEnvelope()

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        return parse_path(arg)

    async def smtp_EHLO(self, hostname: str) -> None:
        """Greet; the lines of its reply stay as they are."""
        self._verbatim = bool(hostname)
        try:
            await super().smtp_EHLO(hostname)
        finally:
            self._verbatim = False

    async def smtp_HELO(self, hostname: str) -> None:
        """Greet; its reply line stays as it is."""
        self._verbatim = bool(hostname)
        try:
            await super().smtp_HELO(hostname)
        finally:
            self._verbatim = False

    async def smtp_AUTH(self, _arg: str) -> None:
        """Not offered."""
        await self.push("502 AUTH is not available")

    async def smtp_DATA(self, arg: str | None) -> None:
        """Take the message and answer for each recipient (LMTP) or once (SMTP)."""
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if not isinstance(envelope, MailEnvelope) or not envelope.recipients:
            await self.push("503 Need RCPT command")
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        self.busy = True
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._take_message(envelope)
        finally:
            self.busy = False
            self.envelope = self._create_envelope()
        if self._stopping:
            self.shut_down()

    # One message

    async def _take_message(self, envelope: MailEnvelope) -> None:
        """Read the message within the memory that is left, then deliver it and reply."""
        limit = self.mail_in.settings.max_size_octets
        reader = DotReader(limit)
        refusal: UMError | None = None
        held = 0
        try:
            async for grown in self._growth(reader):
                if grown and not self.mail_in.budget.take(grown):
                    refusal = BusyError()
                    reader.discard()
                else:
                    held += grown
            if refusal is None and reader.overflowed:
                refusal = TooLargeError(f"Message is larger than {limit} octets")
            self._reset_timeout()
            await self._reply_to_each(envelope, reader, refusal)
        finally:
            self.mail_in.budget.give_back(held)

    async def _growth(self, reader: DotReader) -> AsyncIterator[int]:
        """Feed `reader` until the end of the message; yields by how much it grew each time."""
        deadline = self.loop.time() + self.mail_in.settings.data_timeout_seconds
        rest: bytes | None = None
        while rest is None:
            chunk = await self._reader.read(CHUNK_OCTETS)
            if not chunk or self.loop.time() > deadline:
                self.mail_in.metrics.count("smtp_data_broken_off")
                raise ConnectionResetError("the client went away in DATA, or is too slow")
            self._reset_timeout()
            before = reader.kept_octets
            rest = reader.feed(chunk)
            yield max(0, reader.kept_octets - before)
        # Pipelined commands go back to where aiosmtpd reads them. It reaches into the reader too:
        # asyncio has no way to give octets back.
        self._reader._buffer[:0] = rest  # type: ignore[attr-defined]  # noqa: SLF001

    async def _reply_to_each(
        self, envelope: MailEnvelope, reader: DotReader, refusal: UMError | None
    ) -> None:
        """Deliver and reply: in LMTP for every recipient in order, in SMTP once."""
        prepared: Prepared | None = None
        if refusal is None:
            try:
                prepared = await self.mail_in.reception.prepare(
                    reader.take_message(), envelope.sender, self.client()
                )
            except UMError as error:
                refusal = error
        if refusal is not None:
            self.mail_in.metrics.count(f"smtp_refused_{refusal.code.replace('-', '_')}")
        for address, recipient in envelope.recipients if self.lmtp else envelope.recipients[:1]:
            if prepared is None:
                assert refusal is not None
                await self.push(replies.refusal_text(refusal))
            else:
                await self._deliver_and_reply(prepared, address, recipient)

    async def _deliver_and_reply(
        self, prepared: Prepared, address: str, recipient: Recipient
    ) -> None:
        """A delivery that has begun ends, even when the client is gone meanwhile."""
        try:
            await self.mail_in.finish(self.mail_in.reception.take(prepared, recipient))
        except UMError as error:
            await self.push(replies.refusal_text(error))
            return
        self.mail_in.steps("delivery.acknowledging")
        await self.push(replies.ACCEPTED.text(f"<{address}> stored"))


class LmtpProtocol(MailProtocol):
    """A client that speaks LMTP (RFC 2033)."""

    lmtp = True

    async def smtp_LHLO(self, hostname: str) -> None:
        """Greet."""
        await super().smtp_EHLO(hostname)

    async def smtp_EHLO(self, _hostname: str) -> None:
        """Not a command of LMTP (RFC 2033 §4.1)."""
        await self.push("500 This is LMTP, say LHLO")

    async def smtp_HELO(self, _hostname: str) -> None:
        """Not a command of LMTP (RFC 2033 §4.1)."""
        await self.push("500 This is LMTP, say LHLO")

    async def check_helo_needed(self, helo: str = "LHLO") -> bool:
        """Whether the greeting is missing; says so."""
        return bool(await super().check_helo_needed(helo))

"""Mail out: hands one mail at a time to the operator's relay (aiosmtplib), and says how it ended.

Laws:
- `send` returns only on the relay's 2xx after the final dot. What happens to the connection after
  that means nothing.
- Refused for good is what the relay says of this mail (5xx to MAIL, RCPT, DATA or the mail itself).
  What it says of us or of itself (greeting, EHLO, TLS, AUTH, a command it does not know) is an
  operator's to mend: it is deferred, and the mail waits.
- A password is sent over verified TLS only, or to this very machine.
"""

import asyncio
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

import structlog
from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from um.config.relay import RelayUrl
from um.core.errors import RelayDeferredError, RelayRefusedError, UMError
from um.core.forwarding import OutgoingMail
from um.core.ports import Metrics, NoMetrics
from um.mime.clean import clean_text
from um.mime.seven_bit import seven_bit
from um.smtp.dot import stuffed

log = structlog.get_logger(__name__)
T = TypeVar("T")

COMMAND_SECONDS = 60.0
FINAL_REPLY_SECONDS = 540.0
"""RFC 5321 §4.5.3.2.6 wants ten minutes; the row's lease leaves nine."""
QUIT_SECONDS = 5.0
START_INPUT = 354
OURS = frozenset({500, 502, 503, 504, 530, 534, 535, 538})
"""5xx that are said of us, not of the mail."""


class SmtpRelay:
    """`um.core.ports.Relay` over SMTP; a connection for each mail.

    Args:
        url: where the relay is.
        hostname: what EHLO says.
        metrics: counts `relay_accepted`, `relay_deferred`, `relay_refused`.
        tls: trusts the relay's certificate; the system's authorities if left out.
        command_seconds: how long the relay may take to answer each command.
        final_seconds: how long it may take to answer for the whole mail.
    """

    def __init__(
        self,
        url: RelayUrl,
        hostname: str,
        *,
        metrics: Metrics | None = None,
        tls: ssl.SSLContext | None = None,
        command_seconds: float = COMMAND_SECONDS,
        final_seconds: float = FINAL_REPLY_SECONDS,
    ) -> None:
        self._command_seconds, self._final_seconds = command_seconds, final_seconds
        self._url = url
        self._hostname = hostname
        self._metrics = metrics or NoMetrics()
        self._tls = tls or ssl.create_default_context()

    async def send(self, mail: OutgoingMail) -> None:
        """Hand it over. Raises RelayDeferredError, RelayRefusedError, with what the relay said."""
        try:
            await self._send(mail)
        except UMError as error:
            self._metrics.count(error.code.replace("-", "_"))
            raise
        self._metrics.count("relay_accepted")

    async def _send(self, mail: OutgoingMail) -> None:
        client = self._client()
        try:
            await _of_the_relay(client.connect())
            await _of_the_relay(client.ehlo())
            reply = await self._transfer(client, mail)
            log.info("relay accepted", recipient_domain=_domain(mail.recipient), reply=reply)
        finally:
            await _leave(client)

    async def _transfer(self, client: SMTP, mail: OutgoingMail) -> str:
        data = mail.data
        options = []
        if not data.isascii():
            if client.supports_extension("8bitmime"):
                options.append("BODY=8BITMIME")
            else:
                data = await asyncio.to_thread(seven_bit, data)
        if client.supports_extension("size"):
            options.append(f"SIZE={len(data)}")
        await _of_the_mail(client.mail(mail.sender, options=options))
        await _of_the_mail(client.rcpt(mail.recipient))
        return await self._data(client, stuffed(data))

    async def _data(self, client: SMTP, message: bytes) -> str:
        """DATA, written here so that it is known whether the final dot had gone."""
        ready = await _of_the_mail(client.execute_command(b"DATA"))
        if ready.code != START_INPUT:
            raise _outcome(ready.code, ready.message)
        protocol = client.protocol
        if protocol is None:
            raise RelayDeferredError("The relay closed the connection before the mail")
        try:
            protocol.write(message)
            reply = await protocol.read_response(timeout=self._final_seconds)
        except SMTPResponseException as error:
            raise _outcome(error.code, error.message) from error
        except (SMTPException, OSError) as error:
            raise RelayDeferredError("No answer after the end of the mail") from error
        if not 200 <= reply.code < 300:
            raise _outcome(reply.code, reply.message)
        return _words(reply.code, reply.message)

    def _client(self) -> SMTP:
        url = self._url
        return SMTP(
            hostname=url.host,
            port=url.port,
            username=url.username or None,
            password=url.password or None,
            local_hostname=self._hostname,
            timeout=self._command_seconds,
            use_tls=url.implicit_tls,
            start_tls=None if not url.needs_tls or url.implicit_tls else True,
            tls_context=self._tls if url.implicit_tls or url.needs_tls else _unverified(),
        )


def _unverified() -> ssl.SSLContext:
    """For STARTTLS where nobody asked for it: any encryption is better than none (RFC 7435)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _of_the_relay(work: Awaitable[T]) -> T:
    """What goes wrong here says nothing of the mail."""
    try:
        return await work
    except SMTPResponseException as error:
        raise RelayDeferredError(_words(error.code, error.message)) from error
    except (SMTPException, OSError, ValueError) as error:
        raise RelayDeferredError(_trouble(error)) from error


async def _of_the_mail(work: Awaitable[T]) -> T:
    """What goes wrong here, and is said in so many words, is said of the mail."""
    try:
        return await work
    except SMTPResponseException as error:
        raise _outcome(error.code, error.message) from error
    except (SMTPException, OSError, ValueError) as error:
        raise RelayDeferredError(_trouble(error)) from error


def _outcome(code: int, message: str) -> UMError:
    words = _words(code, message)
    if 500 <= code < 600 and code not in OURS:
        return RelayRefusedError(words)
    return RelayDeferredError(words)


def _words(code: int, message: str) -> str:
    return clean_text(f"{code} {message}" if code > 0 else message, 300)


def _trouble(error: Exception) -> str:
    if isinstance(error, SMTPServerDisconnected):
        return "The relay closed the connection"
    if isinstance(error, SMTPReadTimeoutError):
        return "The relay did not answer in time"
    return clean_text(str(error), 200) or type(error).__name__


async def _leave(client: SMTP) -> None:
    """Say QUIT as far as anybody listens, then close: the outcome stands already."""
    if client.is_connected:
        with suppress(SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(QUIT_SECONDS):
                await client.quit()
    client.close()


def _domain(address: str) -> str:
    return address.rpartition("@")[2]

"""Posts an event to an operator's own program: one request, one answer, nothing followed.

Laws:
- https to public addresses and to networks that the operator has named; plain http to a loopback
  address that is written as one. Each address of a name is checked after it was resolved, and the
  one that was checked is the one spoken to: a name that changes meanwhile leads nowhere else.
- No redirect is followed, no cookie kept, no body of an answer read.
"""

import asyncio
import socket
import ssl
from collections.abc import Collection, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

import h11
import structlog

from um.core.errors import InvalidError, RelayDeferredError, RelayRefusedError
from um.policy.outbound import Network, may_reach
from um.service.forward.rules import check_url, is_loopback

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 30.0
READ_OCTETS = 16 * 1024
GONE = 410
"""RFC 9110 §15.5.11: the one answer that says for good that nobody wants it."""


class HttpWebhooks:
    """`um.core.ports.Webhooks`.

    Args:
        tls: trusts the other side's certificate; the system's authorities if left out.
        allowed: networks that may be posted to although they are not public.
    """

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, allowed: Collection[Network] = ()
    ) -> None:
        self._tls = tls or ssl.create_default_context()
        self._allowed = allowed

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post; 2xx is success. Raises RelayDeferredError, RelayRefusedError (410, a URL that is wrong)."""
        try:
            check_url(url)
        except InvalidError as error:
            raise RelayRefusedError(error.public) from error
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status = await self._post(urlsplit(url), body, headers)
        except TimeoutError as error:
            raise RelayDeferredError("The webhook did not answer in time") from error
        except (
            OSError,
            UnicodeError,
            h11.ProtocolError,
        ) as error:  # IDNA of a host is UnicodeError
            raise RelayDeferredError(f"The webhook failed: {type(error).__name__}") from error
        if status == GONE:
            raise RelayRefusedError("The webhook answered 410 Gone")
        if not 200 <= status < 300:
            raise RelayDeferredError(f"The webhook answered {status}")

    async def _post(self, url: SplitResult, body: bytes, headers: Mapping[str, str]) -> int:
        secure = url.scheme == "https"
        host = url.hostname or ""
        port = url.port or (443 if secure else 80)
        reader, writer = await self._connected(host, port, secure=secure)
        try:
            return await _exchange(reader, writer, url, body, headers)
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _connected(
        self, host: str, port: int, *, secure: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first address of `host` that takes one. Raises OSError, as below."""
        failure: OSError | None = None
        for address in await self._resolved(host, port):
            try:
                return await asyncio.open_connection(
                    address,
                    port,
                    ssl=self._tls if secure else None,
                    server_hostname=host if secure else None,
                )
            except OSError as error:
                failure = failure or error
        raise failure or RelayDeferredError("The webhook's host has no address that may be used")

    async def _resolved(self, host: str, port: int) -> list[str]:
        """The addresses of `host` that may be spoken to, the nearest first."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        return [
            each for each in addresses if may_reach(each, self._allowed) and is_meant(host, each)
        ]


def is_meant(host: str, address: str) -> bool:
    """Whether `address` of this very machine is what `host` says: a name that leads here was made to."""
    return not is_loopback(address) or is_loopback(host)


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    url: SplitResult,
    body: bytes,
    headers: Mapping[str, str],
) -> int:
    connection = h11.Connection(h11.CLIENT)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = h11.Request(
        method="POST",
        target=target,
        headers=[
            ("host", url.netloc),
            ("user-agent", "um"),
            ("connection", "close"),
            ("content-length", str(len(body))),
            *headers.items(),
        ],
    )
    for part in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_OCTETS))
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("no answer")

"""Clients that dawdle on purpose: real sockets, each of which wants to hold a place for ever."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.certificate import self_signed
from um.config import Listen
from um.web import server as web_server
from um.web.metrics import PrometheusMetrics
from um.web.patience import Patience
from um.web.server import HttpServer

HEAD = b"GET /well HTTP/1.1\r\nhost: x\r\n\r\n"
SOON = 0.4
GIVE_UP = 30.0
"""A test that waits so long has failed."""
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """An application, and where it listens."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.metrics = PrometheusMetrics()
        self.patience = Patience()
        self.bound = Listen("127.0.0.1", 0)
        self.clients: list[Client] = []
        self.app = Starlette(
            routes=[
                Route("/well", self.well),
                Route("/refuse", self.refuse, methods=["POST"]),
                Route("/later", self.later),
                Route("/endless", self.endless),
            ]
        )

    async def well(self, _: Request) -> Response:
        return PlainTextResponse("well")

    async def refuse(self, _: Request) -> Response:
        return PlainTextResponse("no", 403)

    async def later(self, _: Request) -> Response:
        async def lines() -> AsyncIterator[bytes]:
            yield b"wait\n"
            await self.go_on.wait()
            yield b"done\n"

        return StreamingResponse(lines())

    async def endless(self, _: Request) -> Response:
        async def lines() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(1 << 20)
                    await asyncio.sleep(0)
            finally:
                self.ended.set()

        return StreamingResponse(lines())

    async def connect(self, *, source: str = "127.0.0.1", small: bool = False) -> Client:
        """A client's connection; a `small` one takes little before it reads."""
        raw = socket.socket()
        raw.setblocking(False)
        if small:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(raw, (self.bound.host, self.bound.port))
        client = await asyncio.open_connection(sock=raw, limit=1 << 16)
        self.clients.append(client)
        return client

    async def is_well(self) -> bool:
        """Whether somebody who behaves is served."""
        reader, writer = await self.connect(source="127.0.0.9")
        writer.write(HEAD)
        answer = await reader.readuntil(b"well")
        writer.close()
        return answer.startswith(b"HTTP/1.1 200")

    def count(self, name: str) -> bool:
        return f"um_{name}_total".encode() in self.metrics.text()


def on_site(story: Callable[[Site], Awaitable[None]], **limits: object) -> None:
    """Let a story happen at a site of its own; it must come to its end."""

    async def main() -> None:
        async with asyncio.timeout(GIVE_UP), opened(**limits) as site:
            await story(site)

    asyncio.run(main())


@asynccontextmanager
async def opened(tls: ssl.SSLContext | None = None, **limits: object) -> AsyncIterator[Site]:
    site = Site()
    site.patience = Patience(metrics=site.metrics, **limits)  # type: ignore[arg-type]
    server = HttpServer(site.app, Listen("127.0.0.1", 0), tls=tls, patience=site.patience)
    site.bound = await server.start()
    try:
        yield site
    finally:
        for _, writer in site.clients:
            writer.transport.abort()
        await server.stop()


async def trickle(client: Client, octets: bytes) -> bytes:
    """Send one octet after another until the server has had enough; what it said."""
    reader, writer = client
    answer = asyncio.ensure_future(reader.read())
    while not answer.done():
        for each in octets:
            if answer.done():
                break
            writer.write(bytes([each]))
            await asyncio.wait([answer], timeout=SOON / 10)
    try:
        return await answer
    except ConnectionError:
        return b"reset"


def test_heads_that_trickle_hold_no_place() -> None:
    """Twenty at once, a header line that never ends: each is told 408; others are served meanwhile."""

    async def story(site: Site) -> None:
        clients = [await site.connect() for _ in range(20)]
        for _, writer in clients:
            writer.write(b"GET /well HTTP/1.1\r\nx-a: ")
        slow = [asyncio.ensure_future(trickle(each, b"b")) for each in clients]
        assert await site.is_well()
        for answer in await asyncio.gather(*slow):
            assert answer.startswith(b"HTTP/1.1 408") or answer == b"reset"
        assert site.count("http_timeouts")

    on_site(story, head_seconds=SOON)


def test_who_says_nothing_is_cut() -> None:
    """Connected, and silent."""

    async def story(site: Site) -> None:
        reader, _ = await site.connect()
        assert (await reader.read()).startswith(b"HTTP/1.1 408")

    on_site(story, head_seconds=SOON)


def test_a_kept_connection_is_no_licence() -> None:
    """After a good request the next head has its deadline too."""

    async def story(site: Site) -> None:
        reader, writer = client = await site.connect()
        writer.write(HEAD)
        await reader.readuntil(b"well")
        answer = await trickle(client, b"GET /well HTTP/1.1\r\nx-a: " + b"b" * 10_000)
        assert answer.startswith(b"HTTP/1.1 408") or answer == b"reset"

    on_site(story, head_seconds=SOON)


def test_a_body_that_nobody_reads_holds_no_place() -> None:
    """The answer has gone already; the body goes on and on."""

    async def story(site: Site) -> None:
        reader, writer = client = await site.connect()
        writer.write(b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        await reader.readuntil(b"no")
        assert await trickle(client, b"x") in (b"", b"reset")

    on_site(story, head_seconds=SOON)


def test_an_answer_that_takes_long_is_not_cut() -> None:
    """Events come when they come: only requests have a deadline."""

    async def story(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(HEAD.replace(b"well", b"later"))
        await reader.readuntil(b"wait\n")
        silent, _ = await site.connect()
        assert (await silent.read()).startswith(b"HTTP/1.1 408")
        site.go_on.set()
        assert (await reader.readuntil(b"done\n")).endswith(b"done\n")

    on_site(story, head_seconds=SOON)


def test_who_does_not_read_is_cut() -> None:
    """An answer without end, for a client that takes none of it: the application is let go."""

    async def story(site: Site) -> None:
        reader, writer = await site.connect(small=True)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(HEAD.replace(b"well", b"endless"))
        await site.ended.wait()
        assert site.count("http_timeouts")

    on_site(story, reading_seconds=SOON)


def test_one_address_has_few_places() -> None:
    """The fourth of three is sent away; another address is not, and a place that is left is taken."""

    async def story(site: Site) -> None:
        clients = [await site.connect() for _ in range(3)]
        for reader, writer in clients:
            writer.write(HEAD)
            await reader.readuntil(b"well")
        refused, _ = await site.connect()
        assert (await refused.read()).startswith(b"HTTP/1.1 503")
        assert site.count("http_connections_refused")
        assert await site.is_well()
        clients[0][1].close()
        await clients[0][1].wait_closed()
        while True:  # the server hears of it a moment later
            reader, writer = await site.connect()
            writer.write(HEAD)
            if (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200"):
                break

    on_site(story, per_address=3)


def test_a_proxy_has_all_of_them() -> None:
    """What the operator trusts is not counted out."""

    async def story(site: Site) -> None:
        for _ in range(9):
            reader, writer = await site.connect()
            writer.write(HEAD)
            assert (await reader.readuntil(b"well")).startswith(b"HTTP/1.1 200")

    on_site(story, per_address=1, trusted=lambda host: host == "127.0.0.1")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side, and that of a client who trusts it."""
    certificate, key = self_signed(tmp_path_factory.mktemp("tls"))
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    theirs = ssl.create_default_context(cafile=str(certificate))
    theirs.check_hostname = False
    return ours, theirs


async def ask_over_tls(site: Site, theirs: ssl.SSLContext, *, source: str = "127.0.0.1") -> bytes:
    """A whole request in the first flight after the handshake; the answer."""
    reader, writer = await site.connect(source=source)
    await writer.start_tls(theirs, server_hostname="localhost")
    writer.write(HEAD)
    return await reader.readuntil(b"well")


def test_over_tls_all_is_as_it_was(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Many at once, each with its own handshake; then nobody is counted any more."""
    ours, theirs = tls

    async def story(site: Site) -> None:
        answers = await asyncio.gather(*(ask_over_tls(site, theirs) for _ in range(20)))
        assert all(each.startswith(b"HTTP/1.1 200") for each in answers)
        assert site.patience.open_connections == 20
        for _, writer in site.clients:
            writer.close()
        while site.patience.open_connections:
            await asyncio.sleep(0.01)

    on_site(story, tls=ours, per_address=20)


def test_a_handshake_that_never_ends(
    tls: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut, and holds one of the address's places only so long."""
    monkeypatch.setattr(web_server, "HANDSHAKE_SECONDS", SOON)
    ours, theirs = tls

    async def story(site: Site) -> None:
        slow = [await site.connect() for _ in range(3)]
        for _, writer in slow:
            writer.write(b"\x16\x03\x01")
        refused, _ = await site.connect()
        assert await ended(refused)
        assert (await ask_over_tls(site, theirs, source="127.0.0.9")).startswith(b"HTTP/1.1 200")
        assert all([await ended(reader) for reader, _ in slow])
        while site.patience.open_connections > 1:
            await asyncio.sleep(0.01)
        assert (await ask_over_tls(site, theirs)).startswith(b"HTTP/1.1 200")

    on_site(story, tls=ours, per_address=3)


def test_no_tls_at_all_is_cut(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A browser that speaks in clear to the port of TLS, and one that goes away at once."""
    ours, _ = tls

    async def story(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(HEAD)
        assert await ended(reader)
        _, writer = await site.connect()
        writer.transport.abort()
        while site.patience.open_connections:
            await asyncio.sleep(0.01)

    on_site(story, tls=ours)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Read to the end, however it comes; no answer of HTTP was among it."""
    try:
        return b"HTTP" not in await reader.read()
    except ConnectionError:
        return True

"""uvicorn as a guest in our loop: our socket, our signals, our logs, our patience."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

from um.config import Listen
from um.web.patience import HANDSHAKE_SECONDS, Patience, PatientProtocol, TlsDoor

DRAIN_SECONDS = 5
MAX_CONNECTIONS = 2000
"""And requests in progress, of one listener; beyond it 503."""


class _Guest(uvicorn.Server):
    """uvicorn, without its signal handling: the process has one owner, and it is not uvicorn."""

    def __init__(self, config: uvicorn.Config, patience: Patience) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()
        self._patience = patience

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen as uvicorn does, but with our own door before TLS."""
        await self.lifespan.startup()
        loop, config = asyncio.get_running_loop(), self.config

        tls, patience = config.ssl, self._patience

        def in_clear() -> PatientProtocol:
            return PatientProtocol(
                patience,
                at_door=tls is not None,
                config=config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )

        def protocol() -> asyncio.Protocol:
            if tls is None:
                return in_clear()
            return TlsDoor(patience, tls, in_clear, handshake_seconds=HANDSHAKE_SECONDS)

        self.servers = [
            await loop.create_server(protocol, sock=each, backlog=config.backlog)
            for each in sockets or ()
        ]
        self.started = True
        self.serving.set()


class HttpServer:
    """One HTTP or, with `tls`, HTTPS listener as a task of the running loop.

    `patience` is this listener's own: it counts its connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: Listen,
        *,
        tls: ssl.SSLContext | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._app = app
        self._listen = listen
        self._tls = tls
        self._server: _Guest | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Listen:
        """Listen, and return the address with its true port. Raises OSError if it is taken."""
        bound, tls = _bound_socket(self._listen), self._tls
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            limit_concurrency=MAX_CONNECTIONS,
            ssl_context_factory=(lambda _, __: tls) if tls is not None else None,
        )
        self._server = _Guest(config, self._patience)
        self._task = asyncio.create_task(self._server.serve([bound]), name="http")
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait({self._task, serving}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            serving.cancel()
            await self._task
        return Listen(self._listen.host, bound.getsockname()[1])

    async def stop(self) -> None:
        """Finish the requests in progress (at most DRAIN_SECONDS) and close."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task


def _bound_socket(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    # With the protocol named asyncio sets TCP_NODELAY; else each answer on a kept connection waits
    # 40 ms for the ACK of its header.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((listen.host, listen.port))
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    bound.setblocking(False)
    return bound

"""The server's end of the fax child process: starts it, hands it calls, starts it anew when it dies.

Laws: a call given to `receive` gets exactly one `ended_by_child`, also when the child is killed; the pages it
kept until then are files in its spool folder. The server itself never waits for the child without
the loop running. Runs on an asyncio loop (Twisted's asyncio reactor included).
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable
from typing import Protocol

import structlog

from fax.protocol import (
    MAX_MESSAGE_OCTETS,
    ChangeMedia,
    Ended,
    HangUp,
    Media,
    PageAnswer,
    PageKept,
    PageWaiting,
    Ready,
    Receive,
    ToChild,
    decode,
    encode,
)
from um.core.errors import UnavailableError
from um.core.ports import Metrics, NoMetrics

log = structlog.get_logger(__name__)

START_SECONDS = 60.0
"""A machine that has just booted starts everything at once."""
_RESTART_SECONDS = (0.0, 0.5, 2.0, 10.0)
"""Before the n-th start without a call that ended well in between."""


class FaxCall(Protocol):
    """Who receives a fax. All methods are called on the loop."""

    async def page_waiting(self, page: int, octets: int) -> bool:
        """Whether there is room for one more page of so many octets (as TIFF)."""
        ...

    def page_kept(self, page: int) -> None:
        """The page is durable in the spool entry; its confirmation goes out now."""
        ...

    def ended_by_child(self, ended: Ended) -> None:
        """The fax is over. Called once."""
        ...


class FaxChild:
    """One child process at a time. `start()` it with the server."""

    def __init__(self, *, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or NoMetrics()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._ready: asyncio.Future[None] | None = None
        self._calls: dict[str, FaxCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._process.pid if self._process else None

    def check_running(self) -> None:
        """Raises UnavailableError while there is no child to take a call."""
        if self._control is None or self._closing:
            raise UnavailableError("The fax receiver is not running")

    async def start(self) -> None:
        """Start the child and wait until its modem is loaded.

        Raises UnavailableError: at once if it dies, after START_SECONDS if it is not heard of.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        self._control, self._ready = ours, ready
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "fax.receiver",
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            except OSError:
                self._control = None
                ours.close()
                raise
        loop.add_reader(ours, self._readable, ours)
        try:
            await asyncio.wait_for(asyncio.shield(ready), START_SECONDS)
        except TimeoutError as error:
            ready.cancel()
            self._process.kill()
            raise UnavailableError("The fax receiver does not start") from error

    def receive(self, order: Receive, media: socket.socket, call: FaxCall) -> None:
        """Hand a call over; `media` is closed here, the child has it.

        Raises UnavailableError if there is no child now (`media` is closed then too).
        """
        with media:
            self.check_running()
            assert self._control is not None
            try:
                socket.send_fds(self._control, [encode(order)], [media.fileno()])
            except OSError as error:
                raise UnavailableError("The fax receiver does not answer") from error
        self._calls[order.call] = call

    def change_media(self, call: str, media: Media) -> None:
        """The call goes on with other media on the socket that the child has."""
        if call in self._calls:
            self._send(ChangeMedia(call, media))

    def hang_up(self, call: str) -> None:
        """The far end hung up; `ended_by_child` follows if it has not come yet."""
        if call in self._calls:
            self._send(HangUp(call))

    async def close(self) -> None:
        """End all calls with what they have, and the child."""
        self._closing = True
        for call in list(self._calls):
            self.hang_up(call)
        control, self._control = self._control, None
        if control is not None:
            control.shutdown(socket.SHUT_WR)
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if control is not None and control.fileno() >= 0:
            self._drain(control)
        for task in list(self._tasks):
            await asyncio.wait([task])

    def _drain(self, control: socket.socket) -> None:
        """Read what the child still said, up to its end."""
        while control.fileno() >= 0:
            self._readable(control)

    def _send(self, message: ToChild) -> None:
        if self._control is None:
            return
        try:
            self._control.send(encode(message))
        except OSError as error:  # it died; the reader will see its end
            log.warning("fax child not reached", error=str(error))

    def _readable(self, control: socket.socket) -> None:
        try:
            data = control.recv(MAX_MESSAGE_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost(control)
            return
        message = decode(data)
        if isinstance(message, Ready):
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
        elif isinstance(message, PageWaiting):
            self._spawn(self._answer(message))
        elif isinstance(message, PageKept) and message.call in self._calls:
            self._calls[message.call].page_kept(message.page)
        elif isinstance(message, Ended) and message.call in self._calls:
            self._failures = 0
            self._count(message)
            self._calls.pop(message.call).ended_by_child(message)

    def _count(self, ended: Ended) -> None:
        self._metrics.count("fax_calls_t38" if ended.t38 else "fax_calls_g711")
        for name, amount in (
            ("rtp_malformed_packets", ended.bad_packets),
            ("fax_ifps_recovered", ended.recovered_ifps),
            ("fax_ifps_lost", ended.lost_ifps),
            ("fax_bad_rows", ended.bad_rows),
        ):
            if amount:
                self._metrics.count(name, amount)

    async def _answer(self, waiting: PageWaiting) -> None:
        call = self._calls.get(waiting.call)
        granted = False
        if call is not None:
            try:
                granted = await call.page_waiting(waiting.page, waiting.octets)
            except Exception:
                log.exception("fax page refused", call=waiting.call, page=waiting.page)
        self._send(PageAnswer(waiting.call, waiting.page, granted))

    def _lost(self, control: socket.socket) -> None:
        """The child is gone: its calls end with what they kept, and another one starts."""
        asyncio.get_running_loop().remove_reader(control)
        control.close()
        calls, self._calls = self._calls, {}
        for name, call in calls.items():
            call.ended_by_child(Ended(name, complete=False, detail="the fax receiver failed"))
        starting = self._ready is not None and not self._ready.done()
        if self._ready is not None and starting:  # whoever waits for it is told, in `close` too
            self._ready.set_exception(UnavailableError("The fax receiver does not start"))
        if self._closing:
            return
        self._control = None
        self._metrics.count("fax_child_failures")
        log.error("fax child lost", calls=len(calls))
        if not starting:
            self._spawn(self._restart())

    async def _restart(self) -> None:
        pause = _RESTART_SECONDS[min(self._failures, len(_RESTART_SECONDS) - 1)]
        self._failures += 1
        if self._process is not None:
            await self._process.wait()
        await asyncio.sleep(pause)
        if self._closing:
            return
        try:
            await self.start()
        except (OSError, UnavailableError):
            if not self._closing:
                log.exception("fax child does not start")
                if self._control is None:
                    self._spawn(self._restart())

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

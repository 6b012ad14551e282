"""The fax child process: `python -m fax.receiver FD` serves all fax calls of one server.

It exists so that a crash inside SpanDSP takes fax calls with it and nothing else. Each call brings
its media socket over the control socket; signalling, spool and delivery stay with the server. When
the server goes, its end of the control socket closes and this process ends.
All calls run on one loop and one beat of 20 ms; pages are decoded and synced on threads.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fax import libtiff, spandsp
from fax.keep import RECEIVING, keep_page, read_received_page
from fax.line import RtpLine
from fax.medium import AudioMedium, Medium, T38Medium, Terms
from fax.protocol import (
    MAX_MESSAGE_OCTETS,
    ChangeMedia,
    Ended,
    FromChild,
    HangUp,
    Media,
    PageAnswer,
    PageKept,
    PageWaiting,
    Ready,
    Receive,
    decode,
    encode,
)
from fax.session import FaxSession, PageReceived, SessionEnded
from um.core.errors import UMError
from um.core.steps import Steps, no_steps
from um.failpoints import steps_from
from um.telephony.rtp.source import Address, Source

TICK_SECONDS = 0.02
NO_MEDIA_TICKS = 30 * 50
ROOM_SECONDS = 20.0
"""The sender gives up after 11 s: an answer of the server that is still missing will never come."""
_MAX_CATCH_UP_TICKS = 10
_MAX_PACKETS_A_BEAT = 64
_DOTS_A_METRE_PER_INCH = 39.3700787
_NOWHERE: Address = ("127.0.0.1", 9)
"""RFC 863: the server always says where, so that it is never used."""

log = logging.getLogger("fax.receiver")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the media of a call before the present one came to."""

    pages: int = 0
    bad_rows: int = 0
    bad_packets: int = 0
    recovered: int = 0
    lost: int = 0
    repeated: int = 0

    def and_then(self, medium: Medium) -> "_Earlier":
        """The sum with one more."""
        counts = medium.counts
        return _Earlier(
            self.pages + medium.session.pages_kept,
            self.bad_rows + medium.session.bad_rows,
            self.bad_packets + counts.bad_packets,
            self.recovered + counts.recovered,
            self.lost + counts.lost,
            self.repeated + counts.repeated,
        )


class _Call:
    """One fax call: its socket and what is spoken on it.

    A call may go over from G.711 to T.38, or back: T.30 then begins anew, the pages kept stay.
    """

    def __init__(self, order: Receive, sock: socket.socket, child: "Receiver") -> None:
        self.id = order.call
        self._folder = Path(order.folder)
        self._child = child
        self._socket = sock
        self._order = order
        self._source = Source(order.core, (order.media.host, order.media.port))
        self._foreign_packets = 0
        self._quiet_ticks = 0
        self._keeping: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._line = RtpLine(
            order.media.payload_type,
            sequence=order.sequence,
            timestamp=order.timestamp,
            ssrc=order.ssrc,
        )
        self._earlier = _Earlier()
        self._media = order.media
        self._is_t38 = order.media.t38
        self._changing = False
        self._medium = self._new_medium(order.media)
        self._loop = asyncio.get_running_loop()
        self._next_tick = self._loop.time()

    def _new_medium(self, media: Media) -> Medium:
        """What is spoken from now on; T.30 begins. Raises UMError."""
        order = self._order
        terms = Terms(
            self._folder / RECEIVING,
            station_id=order.station_id,
            ecm=order.ecm,
            max_pages=order.max_pages - self._earlier.pages,
        )
        if media.t38:
            return T38Medium(media, terms, old_ssrc=self._line.heard_ssrc)
        self._line = self._line.resumed(media.payload_type)
        return AudioMedium(self._line, terms)

    @property
    def _session(self) -> FaxSession:
        return self._medium.session

    def change_media(self, media: Media) -> None:
        """The far end goes on elsewhere, or by other means."""
        if self._session.ended:
            return
        self._source.redescribe((media.host, media.port))
        self._media = media
        if self._changing:
            return  # `_change` takes what holds by then
        if media.t38 == self._is_t38:
            self._medium.adapt(media)
            return
        self._changing = True
        self._child.spawn(self._change())

    async def _change(self) -> None:
        """Go over to the other medium once the page in hand is decided on."""
        if self._keeping is not None:
            await self._keeping
        self._changing = False
        if self._session.ended:
            return
        old, before = self._medium, self._earlier
        self._earlier = before.and_then(old)
        try:
            (self._folder / RECEIVING).unlink(missing_ok=True)
            self._medium = self._new_medium(self._media)
        except (OSError, UMError) as error:
            log.exception("no other media call=%s", self.id)
            self._earlier = before
            self.hang_up(f"no terminal: {error}")
            return
        old.close()  # what it still writes goes to a file without a name
        self._is_t38 = self._media.t38
        self._quiet_ticks = 0
        self._next_tick = self._loop.time()

    def beat(self, now: float) -> None:
        """Hear what came, then let the time pass that has passed.

        In this order: after a moment without the processor the packets of that moment are there, and
        must not be taken for lost.
        """
        self._read(now)
        if self._changing or self._session.ended:
            return
        if now - self._next_tick > _MAX_CATCH_UP_TICKS * TICK_SECONDS:
            self._next_tick = now
        while self._next_tick <= now and not self._session.ended:
            self._next_tick += TICK_SECONDS
            self._one_tick(now)

    def _read(self, now: float) -> None:
        for _ in range(_MAX_PACKETS_A_BEAT):
            if self._session.ended:
                return
            try:
                data, source = self._socket.recvfrom(4096)
            except BlockingIOError:
                return
            except OSError:  # ICMP port unreachable: the far end is not there yet, or no more
                continue
            if not self._changing:
                self._take(data, source[:2], now)  # of IPv6 there are four

    def _take(self, data: bytes, source: Address, now: float) -> None:
        if not self._source.allows(source):
            self._foreign_packets += 1
            return
        if not self._medium.receive(data, now):
            return
        self._source.admits(source)  # only what could be read moves the line (RFC 4961)
        self._quiet_ticks = 0
        self._look_for_events()

    def _one_tick(self, now: float) -> None:
        for data in self._medium.tick(now):
            with suppress(OSError):
                self._socket.sendto(data, self._source.remote or _NOWHERE)
        self._quiet_ticks += 1
        if self._quiet_ticks > NO_MEDIA_TICKS:
            self._session.stop("no media for 30 s")
        self._look_for_events()

    def _look_for_events(self) -> None:
        while (event := self._session.next_event()) is not None:
            if isinstance(event, PageReceived):
                self._keeping = self._child.spawn(self._make_safe(self._session, event))
            else:
                self._end(event)

    async def _make_safe(self, session: FaxSession, event: PageReceived) -> None:
        """Only when this has gone through is the session's page confirmed."""
        received, bad_rows = event.number, event.bad_rows
        run, steps = self._child.in_thread, self._child.steps
        number = self._earlier.pages + received
        steps("page.received")
        try:
            page = await run(lambda: read_received_page(self._folder, received, bad_rows=bad_rows))
            steps("page.decoded")
            if not await self._has_room(number, len(page)):
                session.page_refused(received, "there is no room for the page")
                return
            await run(lambda: keep_page(self._folder, number, page, steps=steps))
        except (OSError, UMError, ValueError) as error:
            log.warning("page not kept call=%s page=%s error=%r", self.id, number, error)
            session.page_refused(received, "the page could not be stored")
            return
        except Exception:
            # A defect: the sender, and those who wait for this page, have to learn of it all the same.
            log.exception("page not kept call=%s page=%s", self.id, number)
            session.page_refused(received, "the page could not be stored")
            return
        steps("page.synced")
        self._child.send(PageKept(self.id, number))
        session.page_kept(received)

    async def _has_room(self, number: int, octets: int) -> bool:
        if self._child.is_over:  # nobody is there to answer, nor will `forsake` come again
            return False
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._answers[number] = answer
        self._child.send(PageWaiting(self.id, number, octets))
        try:
            return await asyncio.wait_for(answer, ROOM_SECONDS)
        except TimeoutError:
            return False

    def answer(self, page: int, *, granted: bool) -> None:
        """The server's word on room for a page."""
        waiting = self._answers.pop(page, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(granted)

    def hang_up(self, why: str = "the sender hung up") -> None:
        """The call is over."""
        self._session.stop(why)
        self._look_for_events()

    def forsake(self) -> None:
        """The server is gone: nobody will grant room any more."""
        for page in list(self._answers):
            self.answer(page, granted=False)
        self.hang_up()

    def _end(self, event: SessionEnded) -> None:
        self._socket.close()
        # Not within a call of SpanDSP, which still stands below us.
        self._child.spawn(self._finish(event))

    async def _finish(self, event: SessionEnded) -> None:
        """Wait until the page in hand is decided on, free the modem, tell the server."""
        if self._keeping is not None:
            await self._keeping
        statistics, total = self._session.statistics, self._earlier.and_then(self._medium)
        ended = Ended(
            self.id,
            complete=event.complete,
            detail=event.detail,
            station_id=self._session.remote_identity,
            bit_rate=statistics.bit_rate,
            ecm=statistics.ecm,
            y_resolution_dpi=round(statistics.y_resolution_dpm / _DOTS_A_METRE_PER_INCH),
            bad_packets=total.bad_packets + self._foreign_packets,
            t38=self._is_t38,
            recovered_ifps=total.recovered,
            lost_ifps=total.lost,
            repeated_datagrams=total.repeated,
            bad_rows=total.bad_rows,
        )
        self._medium.close()
        self._child.finish(self.id, ended)


class Receiver:
    """The process: the control socket and its calls."""

    def __init__(self, control: socket.socket, steps: Steps = no_steps) -> None:
        self.steps = steps
        self._control = control
        self._calls: dict[str, _Call] = {}
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="page")
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._next_beat: float | None = None
        """None while there is no call."""

    @property
    def is_over(self) -> bool:
        """Whether the server is gone."""
        return self._over.is_set()

    async def run(self) -> None:
        """Serve until the server closes its end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._control, self._readable)
        self.send(Ready(os.getpid()))
        await self._over.wait()
        loop.remove_reader(self._control)
        for call in list(self._calls.values()):
            call.forsake()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown()

    def send(self, message: FromChild) -> None:
        """Tell the server; if it is gone there is nobody to tell."""
        try:
            self._control.send(encode(message))
        except (BrokenPipeError, ConnectionResetError):
            self._over.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` beside the calls, and keep hold of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run blocking work on a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def finish(self, call: str, ended: Ended) -> None:
        """A call is over and free: tell the server."""
        if self._calls.pop(call, None) is not None:
            self.send(ended)

    def _start_beating(self) -> None:
        if self._next_beat is None:
            loop = asyncio.get_running_loop()
            self._next_beat = loop.time()
            loop.call_at(self._next_beat, self._beat, self._next_beat)

    def _beat(self, due: float) -> None:
        """Every 20 ms, for all calls together: one wake-up instead of one a packet."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for call in list(self._calls.values()):
            self._give_a_beat(call, now)
        self._next_beat = max(due + TICK_SECONDS, now) if self._calls else None
        if self._next_beat is not None:
            loop.call_at(self._next_beat, self._beat, self._next_beat)

    def _give_a_beat(self, call: _Call, now: float) -> None:
        """A defect of ours ends one call, and never the beat of the others."""
        detail = "the fax receiver failed"
        try:
            call.beat(now)
        except Exception:
            log.exception("call failed call=%s", call.id)
            try:
                call.hang_up(detail)
            except Exception:
                log.exception("call not ended call=%s", call.id)
                self.finish(call.id, Ended(call.id, complete=False, detail=detail))

    def _readable(self) -> None:
        data, fds, _flags, _address = socket.recv_fds(self._control, MAX_MESSAGE_OCTETS, 1)
        if not data:
            self._over.set()
            return
        message = decode(data)
        if isinstance(message, Receive):
            self._begin(message, fds)
        elif isinstance(message, ChangeMedia) and message.call in self._calls:
            self._calls[message.call].change_media(message.media)
        elif isinstance(message, PageAnswer) and message.call in self._calls:
            self._calls[message.call].answer(message.page, granted=message.granted)
        elif isinstance(message, HangUp) and message.call in self._calls:
            self._calls[message.call].hang_up()

    def _begin(self, order: Receive, fds: list[int]) -> None:
        if not fds:  # this process has all the descriptors it may have
            log.error("call not begun call=%s: its socket did not come", order.call)
            self.send(Ended(order.call, complete=False, detail="no socket"))
            return
        sock = socket.socket(fileno=fds[0])
        sock.setblocking(False)
        try:
            self._calls[order.call] = _Call(order, sock, self)
            self._start_beating()
        except (OSError, UMError) as error:
            sock.close()
            log.exception("call not begun call=%s", order.call)
            self.send(Ended(order.call, complete=False, detail=f"no modem: {error}"))


def main() -> None:
    """Serve on the control socket whose descriptor is the only argument."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s", stream=sys.stderr)
    # A signal to the whole group is the server's to obey: it closes the control socket in its time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold pages of customers
    control = socket.socket(fileno=int(sys.argv[1]))
    control.setblocking(True)
    spandsp.load()
    libtiff.load()

    async def serve() -> None:
        await Receiver(control, steps_from(os.environ)).run()

    asyncio.run(serve())


if __name__ == "__main__":
    main()

"""The fax child's own loop without its process: its calls on sockets and a clock that the test moves."""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fax.protocol import Ended, FromChild, Media, PageWaiting, Receive
from fax.receiver import TICK_SECONDS, Receiver, _Call

T = TypeVar("T")
Address = tuple[str, int]
SENDER: Address = ("192.0.2.7", 4000)
CORE = "192.0.2.1"


class Wire:
    """A media socket in memory."""

    def __init__(self) -> None:
        self.coming: deque[tuple[bytes, Address]] = deque()
        self.gone: deque[tuple[bytes, Address]] = deque()
        self.closed = False

    def recvfrom(self, _size: int) -> tuple[bytes, Address]:
        if not self.coming:
            raise BlockingIOError
        return self.coming.popleft()

    def sendto(self, data: bytes, address: Address) -> None:
        self.gone.append((data, address))

    def close(self) -> None:
        self.closed = True


class ReceiverOnPaper(Receiver):
    """Threads are at once, and what is said to the server is kept. `grants`: there is room for pages."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]  # nothing is read from it
        self.said: list[FromChild] = []
        self.grants = True

    def send(self, message: FromChild) -> None:
        self.said.append(message)
        if isinstance(message, PageWaiting) and self.grants:
            self.answer(message)

    def answer(self, waiting: PageWaiting) -> None:
        asyncio.get_running_loop().call_soon(
            lambda: self._calls[waiting.call].answer(waiting.page, granted=True)
        )

    async def in_thread(self, work: Callable[[], T]) -> T:
        return work()

    @property
    def ended(self) -> Ended | None:
        """How the call went."""
        return next((each for each in self.said if isinstance(each, Ended)), None)


class ReceiverLine:
    """One call of such a receiver, and the machine that sends to it."""

    def __init__(self, folder: Path, media: Media, *, max_pages: int = 10) -> None:
        self.child, self.wire = ReceiverOnPaper(), Wire()
        order = Receive(
            "call", str(folder), "+15551230001", True, max_pages, media, 11, 22, 33, core=CORE
        )
        self.call = _Call(order, self.wire, self.child)  # type: ignore[arg-type]
        self.child._calls["call"] = self.call
        self.now = asyncio.get_running_loop().time()
        self.source = SENDER

    async def tick(self, said: list[bytes], source: Address | None = None) -> list[bytes]:
        """20 ms: what the machine says in them; returns what it hears."""
        self.wire.coming.extend((data, source or self.source) for data in said)
        self.now += TICK_SECONDS
        if "call" in self.child._calls:
            self.child._give_a_beat(self.call, self.now)
        for _ in range(5):  # pages are kept, media change
            await asyncio.sleep(0)
        heard = [data for data, _ in self.wire.gone]
        self.wire.gone.clear()
        return heard

"""A T.38 call between a sending machine and the server's medium, over a bad network, in virtual time."""

import heapq
import itertools
from collections.abc import Callable
from pathlib import Path

from fax.keep import RECEIVING, keep_page, read_received_page
from fax.medium import T38Medium, Terms
from fax.protocol import Media
from fax.session import PageReceived, SessionEnded
from tests.support.relay import Network, Profile
from tests.support.t38_machine import SendingT38

TICKS_A_SECOND = 50
ERROR_CORRECTION = {
    "none": "t38UDPNoEC",
    "redundancy": "t38UDPRedundancy",
    "parity": "t38UDPFEC",
}


class T38Line:
    """Both ends on a clock that only `run` moves; `page` as in `FaxLine`."""

    def __init__(
        self,
        sender: SendingT38,
        folder: Path,
        *,
        ecm: bool = True,
        max_pages: int = 200,
        recovery: str = "redundancy",
        max_datagram: int = 400,
        local_tcf: bool = False,
        there: Profile | None = None,
        back: Profile | None = None,
        page: Callable[[int, int], bool | None] | None = None,
    ) -> None:
        self.sender = sender
        media = Media(
            "192.0.2.7",
            4000,
            0,
            t38=True,
            max_datagram=max_datagram,
            correction=ERROR_CORRECTION[recovery],
            local_tcf=local_tcf,
        )
        terms = Terms(folder / RECEIVING, station_id="+15551230001", ecm=ecm, max_pages=max_pages)
        self.medium = T38Medium(media, terms)
        self.session = self.medium.session
        self.ended: SessionEnded | None = None
        self.ticks = 0
        self.page_came: dict[int, int] = {}
        self.page_decided: dict[int, int] = {}
        self.first_packet: dict[int, int] = {}
        """When the receiver first sent anything after each page, in ticks."""
        self.longest_datagram = 0
        self.there, self.back = Network(there or Profile()), Network(back or Profile())
        self._folder = folder
        self._page = page or self._keep
        self._numbers = itertools.count()
        self._to_us: list[tuple[float, int, bytes]] = []
        self._to_sender: list[tuple[float, int, bytes]] = []

    @property
    def seconds(self) -> float:
        return self.ticks / TICKS_A_SECOND

    def run(self, *, until: Callable[[], bool] | None = None, limit_seconds: float = 300) -> None:
        """Go on until both ends are done, or `until` says so."""
        while self.seconds < limit_seconds:
            if until is not None and until():
                return
            if self.session.ended and self.sender.result is not None:
                return
            self.tick()
        raise TimeoutError(f"the fax did not end in {limit_seconds} s of its own time")

    def tick(self) -> None:
        """20 ms on the line."""
        self._send(self.sender.tick(), self.there, self._to_us)
        if not self.session.ended:
            answers = self.medium.tick(self.seconds)
            self._note(answers)
            self._send(answers, self.back, self._to_sender)
        for data in self._arrived(self._to_us):
            if not self.session.ended:
                assert self.medium.receive(data, self.seconds)
            self._look_for_events()
        for data in self._arrived(self._to_sender):
            self.sender.hear(data)
        self._look_for_events()
        self._decide()
        self.ticks += 1

    def _send(self, datagrams: list[bytes], network: Network, queue: list) -> None:
        for data in datagrams:
            for at, carried in network.carry(data, self.seconds):
                heapq.heappush(queue, (at, next(self._numbers), carried))

    def _arrived(self, queue: list) -> list[bytes]:
        arrived = []
        while queue and queue[0][0] <= self.seconds:
            arrived.append(heapq.heappop(queue)[2])
        return arrived

    def _look_for_events(self) -> None:
        while (event := self.session.next_event()) is not None:
            if isinstance(event, PageReceived):
                self.page_came[event.number] = self.ticks
            else:
                self.ended = event

    def _decide(self) -> None:
        for number in self.page_came.keys() - self.page_decided.keys():
            answer = self._page(number, self.ticks - self.page_came[number])
            if answer is None:
                continue
            self.page_decided[number] = self.ticks
            if answer:
                self.session.page_kept(number)
            else:
                self.session.page_refused(number, "no room")

    def _note(self, answers: list[bytes]) -> None:
        self.longest_datagram = max([self.longest_datagram, *map(len, answers)])
        if answers:
            for number in self.page_came.keys() - self.first_packet.keys():
                self.first_packet[number] = self.ticks

    def _keep(self, number: int, _waited: int) -> bool:
        keep_page(self._folder, number, read_received_page(self._folder, number))
        return True

    def close(self) -> None:
        self.medium.close()

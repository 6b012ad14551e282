"""A telephone line between a sending fax machine and a receiving session, faster than real time."""

from collections.abc import Callable
from pathlib import Path

from fax.audio_session import AudioSession
from fax.keep import RECEIVING, keep_page, read_received_page
from fax.session import PageReceived, SessionEnded
from fax.terminals import AudioFax
from tests.support.fax_machine import SendingFax, compress, expand

TICKS_A_SECOND = 50
SILENCE = bytes(320)


class FaxLine:
    """Both ends, joined by mu-law, on a clock that only `run` moves.

    `page` decides what becomes of a page: given its number and the ticks since it came, it returns
    True (kept), False (refused) or None (not decided yet). Without it pages are kept at once, on disk.
    `lost` says in which ticks the receiver gets nothing of what the sender says.
    """

    def __init__(
        self,
        sender: SendingFax,
        folder: Path,
        *,
        ecm: bool = True,
        max_pages: int = 200,
        page: Callable[[int, int], bool | None] | None = None,
        lost: Callable[[int], bool] = lambda _tick: False,
    ) -> None:
        self.sender = sender
        self.modem = AudioFax(folder / RECEIVING, station_id="+15551230001", ecm=ecm)
        self.session = AudioSession(self.modem, max_pages=max_pages)
        self.ended: SessionEnded | None = None
        self.ticks = 0
        self.page_came: dict[int, int] = {}
        self.bad_rows: dict[int, int] = {}
        self.page_decided: dict[int, int] = {}
        self.first_sound: dict[int, int] = {}
        """When the receiver's line was first not silent after each page, in ticks."""
        self._folder = folder
        self._page = page or self._keep
        self._lost = lost

    @property
    def seconds(self) -> float:
        return self.ticks / TICKS_A_SECOND

    def run(self, *, until: Callable[[], bool] | None = None, limit_seconds: float = 200) -> None:
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
        said, answered = self.sender.say(), self.session.transmit()
        self._note_sound(answered)
        self.sender.hear(expand(compress(answered)))
        if self._lost(self.ticks) and not self.session.ended:
            self.session.receive_nothing(len(said) // 2)
        elif not self.session.ended:
            self.session.receive(expand(compress(said)))
        while (event := self.session.next_event()) is not None:
            if isinstance(event, PageReceived):
                self.page_came[event.number] = self.ticks
                self.bad_rows[event.number] = event.bad_rows
            else:
                self.ended = event
        self._decide()
        self.ticks += 1

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

    def _note_sound(self, samples: bytes) -> None:
        if samples != SILENCE:
            for number in self.page_came.keys() - self.first_sound.keys():
                self.first_sound[number] = self.ticks

    def _keep(self, number: int, _waited: int) -> bool:
        page = read_received_page(self._folder, number, bad_rows=self.bad_rows[number])
        keep_page(self._folder, number, page)
        return True

    def close(self) -> None:
        self.modem.close()

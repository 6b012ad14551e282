"""One fax being received: an engine between the modem and whoever makes pages safe.

Knows neither network nor disk. Samples go in by `receive`, one frame every 20 ms comes out of
`transmit` (which is also its clock), events by `next_event`.
Law: after `PageReceived(n)` nothing but silence leaves until `page_kept(n)` was called; after
`page_refused(n)` the modem never speaks again, the line gets a DCN: page n is not confirmed.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fax.disconnect import disconnect_samples
from fax.gap import GapFilling
from fax.hold import ConfirmationHold
from fax.spandsp import FRAME_SAMPLES, FaxStatistics

_FRAME_OCTETS = FRAME_SAMPLES * 2
_SILENCE = bytes(_FRAME_OCTETS)


class Modem(Protocol):
    """What a session needs of `fax.spandsp.AudioFax`."""

    def receive(self, samples: bytes) -> None: ...
    def transmit(self) -> bytes: ...
    @property
    def pages_received(self) -> int: ...
    @property
    def completion(self) -> int | None: ...
    def statistics(self) -> FaxStatistics: ...
    def remote_identity(self) -> str: ...
    def completion_text(self) -> str: ...
    def terminate(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PageReceived:
    """Page `number` (from 1) is whole in the modem's file and waits for its confirmation."""

    number: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Nothing more comes. `complete`: the sender said that this was all and got its answer."""

    complete: bool
    detail: str


Event = PageReceived | SessionEnded


class _State(StrEnum):
    TALKING = "talking"
    HOLDING = "holding"
    DISCONNECTING = "disconnecting"
    ENDED = "ended"


class FaxSession:
    """See the module. `max_pages`: the page after the last one allowed is refused."""

    def __init__(self, modem: Modem, *, max_pages: int) -> None:
        self._modem = modem
        self._max_pages = max_pages
        self._state = _State.TALKING
        self._hold = ConfirmationHold()
        self._gap = GapFilling(b"")
        self._pages = 0
        self._page_is_safe = False
        self._why = ""
        self._disconnect = b""
        self._unsaid = False
        self._events: deque[Event] = deque()

    @property
    def ended(self) -> bool:
        """Whether the session has nothing more to say."""
        return self._state is _State.ENDED

    @property
    def statistics(self) -> FaxStatistics:
        """What the modem counted so far."""
        return self._modem.statistics()

    @property
    def remote_identity(self) -> str:
        """TSI as received."""
        return self._modem.remote_identity()

    def next_event(self) -> Event | None:
        """The oldest event not yet taken."""
        return self._events.popleft() if self._events else None

    def receive(self, samples: bytes) -> None:
        """Take samples from the line; while a page is held only their level counts."""
        self._gap = GapFilling(samples[-_FRAME_OCTETS:])
        self._hear(samples)

    def receive_nothing(self, count: int) -> None:
        """Take `count` lost samples."""
        self._hear(self._gap.fill(count))

    def _hear(self, samples: bytes) -> None:
        if self._state is _State.TALKING:
            self._modem.receive(samples)
            self._look_at_modem()
        else:
            self._hold.hear(_level(samples))

    def transmit(self) -> bytes:
        """Let 20 ms pass and return the 160 samples to be sent in them."""
        if self._state is _State.HOLDING:
            self._tick_hold()
        if self._state is _State.DISCONNECTING:
            return self._tick_disconnect()
        if self._state is not _State.TALKING:
            return _SILENCE
        samples = self._modem.transmit()
        self._look_at_modem()
        return samples

    def page_kept(self, number: int) -> None:
        """Page `number` is durable: it may be confirmed."""
        if self._state is _State.HOLDING and number == self._pages:
            self._page_is_safe = True

    def page_refused(self, number: int, why: str) -> None:
        """Page `number` could not be kept: break off without confirming it."""
        if self._state is _State.HOLDING and number == self._pages:
            self._break_off(why)

    def stop(self, why: str) -> None:
        """The call is over (hang-up, no media): what was kept stays."""
        if self._state is _State.ENDED:
            return
        undecided = self._state is not _State.TALKING and not self._page_is_safe
        # After the last page's confirmation a hang-up is as good as a DCN: SpanDSP knows.
        self._modem.terminate()
        complete = self._modem.completion == 0 and not undecided
        self._end(complete=complete, detail=self._why or ("OK" if complete else why))

    def _look_at_modem(self) -> None:
        if self._modem.pages_received > self._pages:
            self._pages = self._modem.pages_received
            self._page_is_safe = False
            self._hold = ConfirmationHold()
            self._state = _State.HOLDING
            if self._pages > self._max_pages:
                self._break_off(f"more than {self._max_pages} pages")
            else:
                self._events.append(PageReceived(self._pages))
        elif self._modem.completion is not None:
            self._end(complete=self._modem.completion == 0, detail=self._modem.completion_text())

    def _tick_hold(self) -> None:
        self._hold.tick()
        if self._page_is_safe and self._hold.may_answer:
            self._state = _State.TALKING
        elif self._hold.expired:
            self._break_off("the page could not be stored in time")

    def _break_off(self, why: str) -> None:
        self._why = why
        self._disconnect = disconnect_samples()
        self._unsaid = True
        self._state = _State.DISCONNECTING

    def _tick_disconnect(self) -> bytes:
        if self._unsaid and not (self._hold.may_answer or self._hold.expired):
            self._hold.tick()
            return _SILENCE
        self._unsaid = False
        frame, self._disconnect = (
            self._disconnect[:_FRAME_OCTETS],
            self._disconnect[_FRAME_OCTETS:],
        )
        if not frame:
            self._end(complete=False, detail=self._why)
        return frame.ljust(_FRAME_OCTETS, b"\0")

    def _end(self, *, complete: bool, detail: str) -> None:
        self._state = _State.ENDED
        self._events.append(SessionEnded(complete, detail))


def _level(samples: bytes) -> float:
    """Mean absolute level of every eighth sample: enough to tell a modem from silence."""
    some = memoryview(samples[: len(samples) & ~1]).cast("h")[::8].tolist()
    return sum(map(abs, some)) / len(some) if some else 0.0

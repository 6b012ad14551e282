"""One fax being received: an engine between a T.30 terminal and whoever makes pages safe.

What audio (`fax.audio_session`) and T.38 (`fax.t38_session`) share: which page waits, and whether it
may be confirmed. Knows neither network nor disk; `transmit` is its clock, events leave by `next_event`.
Law: after `PageReceived(n)` nothing but silence leaves until `page_kept(n)` was called; after
`page_refused(n)` the terminal never speaks again, the line gets a DCN: page n is not confirmed.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from fax.hold import ConfirmationHold
from fax.terminals import FaxStatistics


class Terminal(Protocol):
    """What a session needs of a terminal, whatever its line."""

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
    """Page `number` (from 1) is whole in the terminal's file and waits for its confirmation."""

    number: int
    bad_rows: int = 0
    """Rows of it that did not decode and were made up (without ECM)."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Nothing more comes. `complete`: the sender said that this was all and got its answer."""

    complete: bool
    detail: str


Event = PageReceived | SessionEnded


class State(StrEnum):
    """How far a session is."""

    TALKING = "talking"
    HOLDING = "holding"
    DISCONNECTING = "disconnecting"
    ENDED = "ended"


class FaxSession:
    """See the module. `max_pages`: the page after the last one allowed is refused."""

    def __init__(self, terminal: Terminal, *, max_pages: int) -> None:
        self._terminal = terminal
        self._max_pages = max_pages
        self._state = State.TALKING
        self._hold = ConfirmationHold()
        self._pages = 0
        self._page_is_safe = False
        self._pages_kept = 0
        self._why = ""
        self._unsaid = False
        self._bad_rows = 0
        self._events: deque[Event] = deque()

    @property
    def ended(self) -> bool:
        """Whether the session has nothing more to say."""
        return self._state is State.ENDED

    @property
    def statistics(self) -> FaxStatistics:
        """What the terminal counted so far."""
        return self._terminal.statistics()

    @property
    def pages_kept(self) -> int:
        """Pages that are durable, the last one perhaps not confirmed."""
        return self._pages_kept

    @property
    def bad_rows(self) -> int:
        """Rows that did not decode, of all pages so far (without ECM)."""
        return self._bad_rows

    @property
    def remote_identity(self) -> str:
        """TSI as received."""
        return self._terminal.remote_identity()

    def next_event(self) -> Event | None:
        """The oldest event not yet taken."""
        return self._events.popleft() if self._events else None

    def page_kept(self, number: int) -> None:
        """Page `number` is durable: it may be confirmed."""
        if number == self._pages:
            self._pages_kept = number
            self._page_is_safe = self._state is State.HOLDING

    def page_refused(self, number: int, why: str) -> None:
        """Page `number` could not be kept: break off without confirming it."""
        if self._state is State.HOLDING and number == self._pages:
            self._break_off(why)

    def stop(self, why: str) -> None:
        """The call is over (hang-up, no media): what was kept stays."""
        if self._state is State.ENDED:
            return
        undecided = self._state is not State.TALKING and not self._page_is_safe
        # After the last page's confirmation a hang-up is as good as a DCN: SpanDSP knows.
        self._terminal.terminate()
        complete = self._terminal.completion == 0 and not undecided
        self._end(complete=complete, detail=self._why or ("OK" if complete else why))

    def _look_at_terminal(self) -> None:
        if self._terminal.pages_received > self._pages:
            self._pages = self._terminal.pages_received
            bad_rows = self._terminal.statistics().bad_rows
            self._bad_rows += bad_rows
            self._page_is_safe = False
            self._hold = ConfirmationHold()
            self._state = State.HOLDING
            if self._pages > self._max_pages:
                self._break_off(f"more than {self._max_pages} pages")
            else:
                self._events.append(PageReceived(self._pages, bad_rows))
        elif self._terminal.completion is not None:
            self._end(
                complete=self._terminal.completion == 0, detail=self._terminal.completion_text()
            )

    def _tick_hold(self) -> None:
        self._hold.tick()
        if self._page_is_safe and self._hold.may_answer:
            self._state = State.TALKING
        elif self._hold.expired:
            self._break_off("the page could not be stored in time")

    def _break_off(self, why: str) -> None:
        self._why = why
        self._unsaid = True
        self._state = State.DISCONNECTING

    def _may_disconnect(self) -> bool:
        """Whether the DCN is heard by now; once it has begun it is."""
        if self._unsaid and not (self._hold.may_answer or self._hold.expired):
            self._hold.tick()
            return False
        self._unsaid = False
        return True

    def _disconnected(self) -> None:
        """The DCN has been said."""
        self._end(complete=False, detail=self._why)

    def _end(self, *, complete: bool, detail: str) -> None:
        self._state = State.ENDED
        self._events.append(SessionEnded(complete, detail))

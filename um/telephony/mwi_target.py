"""One configured core and what it was told of our lamps, without having asked (RFC 3842, unsolicited).

Laws:
- A number has at most one NOTIFY under way, so the last one that the core takes is the truth.
- Nothing is sent that the core has taken already, except when it may have forgotten: it came back
  after a silence, or REFRESH_SECONDS have passed (a restart that no ping noticed).
- A core that does not answer is tried by one NOTIFY at a time, at growing intervals; at its first
  answer it is told everything again. A core that refuses one number is asked again later for it.
- Not more than RATE a second leave, changes before repetitions: a full round starves nobody.
- Knows nothing of SIP messages: `due` says what to send, `answered` takes the status.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from um.core.ids import E164
from um.core.waiting import Lamp
from um.telephony.sip.timers import Timers

WINDOW: Final = 8
"""NOTIFYs under way at once."""
RATE: Final = 200.0
"""NOTIFYs a second; each leaves a transaction behind for 5 s."""
BURST: Final = 50.0
PACE_SECONDS: Final = 0.02
PING_SECONDS: Final = 2.0
"""A silent core is asked (OPTIONS) whether it is there: restarts take longer than this."""
SUSPECT_SECONDS: Final = 1.4
"""An answer that took two retransmissions (0.5 s, 1.5 s) may come from a core that was away."""
REFRESH_SECONDS: Final = 600.0
SOONEST_REFRESH_SECONDS: Final = 30.0
RETRY_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between tries of a core that does not answer; each try itself lasts 32 s (timer F)."""
REFUSED_SECONDS: Final = (2.0, 5.0, 15.0, 60.0, 300.0)
"""Between tries of a number that the core refuses: it may be starting, or not know it yet."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask whether the core is there."""


PING: Final = Ping()


@dataclass(slots=True)
class _Line:
    """One number."""

    wanted: Lamp
    gone: bool = False
    """The number serves no more: told one last time, then forgotten."""
    told: Lamp | None = None
    flying: Lamp | None = None
    refusals: int = 0


@dataclass(slots=True)
class Target:
    """The engine. `want` and `answered` feed it; after each, and at `get_timer`, ask `due`."""

    away: bool = False
    _lines: dict[E164, _Line] = field(default_factory=dict, repr=False)
    _urgent: OrderedDict[E164, None] = field(default_factory=OrderedDict, repr=False)
    _queue: OrderedDict[E164, None] = field(default_factory=OrderedDict, repr=False)
    _timers: Timers[str] = field(default_factory=Timers, repr=False)
    _flying: int = 0
    _silences: int = 0
    _waiting: bool = False
    """For the next try of a core that is away."""
    _pinging: bool = False
    _ping_now: bool = False
    _answers_pings: bool = False
    _round_at: float | None = None
    _tokens: float = BURST
    _filled_at: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether the core has taken all that is so."""
        return all(line.told == line.wanted for line in self._lines.values())

    def want(self, lamp: Lamp, now: float, *, gone: bool = False) -> None:
        """The lamp is so now; `gone`: the number serves no more (`lamp` is off)."""
        line = self._lines.get(lamp.number)
        if line is None:
            if gone:
                return
            self._lines[lamp.number] = _Line(lamp)
            self._consider(lamp.number, self._queue)
        elif (line.wanted, line.gone) != (lamp, gone):
            line.wanted, line.gone, line.refusals = lamp, gone, 0
            self._settle(lamp.number)
        if self._round_at is None:
            self._round_at = now
            self._timers.set("refresh", now + REFRESH_SECONDS)

    def due(self, now: float) -> list[Lamp | Ping]:
        """What is to be sent now."""
        for name in self._timers.due(now):
            self._expire(name, now)
        sending: list[Lamp | Ping] = []
        if self._ping_now:
            self._ping_now, self._pinging = False, True
            sending.append(PING)
        while (number := self._next(now)) is not None:
            line = self._lines[number]
            line.flying = line.wanted
            self._flying += 1
            self._tokens -= 1
            sending.append(line.wanted)
        return sending

    def get_timer(self) -> float | None:
        """When `due` wants to be called, or None."""
        return self._timers.earliest()

    def answered(
        self, number: E164, status: int | None, now: float, *, took: float = 0, wait: float = 0
    ) -> None:
        """The NOTIFY for `number` was answered finally, or (None) not at all.

        Args:
            number: whose NOTIFY.
            status: 200..699.
            now: seconds of the monotonic clock.
            took: seconds from its first sending.
            wait: Retry-After in seconds.
        """
        line = self._lines[number]
        flying, line.flying = line.flying, None
        self._flying -= 1
        if status is None or status == 503:
            line.told = None  # it may have taken it: only its answer may be lost
            self._silent(now, wait)
            self._settle(number)
            return
        self._heard(now, took)
        if status < 300:
            line.told, line.refusals = flying, 0
        else:
            line.told = None
        if status < 300 or line.wanted != flying:
            self._settle(number)
            return
        delay = REFUSED_SECONDS[min(line.refusals, len(REFUSED_SECONDS) - 1)]
        line.refusals += 1
        self._dequeue(number)
        self._timers.set(number, now + max(delay, wait))

    def ping_answered(self, status: int | None, now: float, *, took: float = 0) -> None:
        """Any answer to the OPTIONS is a sign of life; a core that never answers them has others."""
        self._pinging = False
        if status is not None and status != 503:
            self._answers_pings = True
            self._heard(now, took)
        elif self._answers_pings:
            self._answers_pings = False
            self._silent(now, 0)
            self._repeat_all(now)

    def suspect(self, now: float) -> None:
        """It may have restarted: all again, but not too often."""
        if self._round_at is not None and not self.away:
            self._timers.set("refresh", max(now, self._round_at + SOONEST_REFRESH_SECONDS))

    # ---- what follows

    def _expire(self, name: str, now: float) -> None:
        if name == "refresh":
            self._repeat_all(now)
        elif name == "away":
            self._waiting = False
        elif name == "ping":  # a NOTIFY under way asks the same
            self._ping_now = not (self.away or self._flying or self._pinging)
        elif name in self._lines:
            self._consider(E164(name), self._queue)

    def _settle(self, number: E164) -> None:
        """Queue the number if the core must hear of it; forget it if that was the last word."""
        line = self._lines[number]
        self._consider(number, self._urgent)
        if line.gone and line.flying is None and line.told == line.wanted:
            del self._lines[number]

    def _consider(self, number: E164, queue: "OrderedDict[E164, None]") -> None:
        line = self._lines[number]
        self._dequeue(number)
        if line.flying is None and line.told != line.wanted:
            queue[number] = None

    def _dequeue(self, number: E164) -> None:
        self._timers.cancel(number)
        self._queue.pop(number, None)
        self._urgent.pop(number, None)

    def _repeat_all(self, now: float) -> None:
        """The core may have forgotten everything."""
        self._round_at = now
        self._timers.set("refresh", now + REFRESH_SECONDS)
        for number, line in self._lines.items():
            line.told = None
            if number not in self._urgent:
                self._consider(number, self._queue)

    def _heard(self, now: float, took: float) -> None:
        self._timers.set("ping", now + PING_SECONDS)
        self._silences = 0
        if self.away:
            self.away = self._waiting = False
            self._timers.cancel("away")
            self._repeat_all(now)
        elif took > SUSPECT_SECONDS:
            self.suspect(now)

    def _silent(self, now: float, wait: float) -> None:
        self._timers.cancel("ping")
        if self._waiting:  # another one of the same silence
            return
        delay = RETRY_SECONDS[min(self._silences, len(RETRY_SECONDS) - 1)]
        self._silences += 1
        self.away = self._waiting = True
        self._timers.set("away", now + max(delay, wait))

    def _next(self, now: float) -> E164 | None:
        """Take the number whose turn it is out of the queues."""
        limit = 1 if self.away else WINDOW
        queue = self._urgent or self._queue
        if self._waiting or self._flying >= limit or not queue:
            return None
        self._tokens = min(BURST, self._tokens + (now - self._filled_at) * RATE)
        self._filled_at = now
        if self._tokens < 1:
            self._timers.set("pace", now + PACE_SECONDS)
            return None
        return queue.popitem(last=False)[0]

"""A binding of ours at a registrar (RFC 3261 §10.2), as a table: made, refreshed, removed at the end.

Pure. `due` says for how long to register now, `answered` takes what came of it; messages are made here
and sent elsewhere.

Laws:
- One REGISTER at a time; its number only grows (§10.2).
- A binding is refreshed well before it ends; a failure is tried again at growing intervals, and a
  refused password so seldom that no lock-out follows.
- After `stop` the binding is removed, once, if there may be one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from um.telephony.randomness import Randomness
from um.telephony.sip.dialog import MAX_FORWARDS
from um.telephony.sip.fields import parse_name_addr
from um.telephony.sip.grammar import SipSyntaxError, parse_number
from um.telephony.sip.message import Headers, Request, Response
from um.telephony.sip.uri import SIP_SCHEMES, Uri, parse_uri

RETRY_SECONDS: Final = (2.0, 4.0, 8.0, 16.0, 30.0, 60.0, 120.0, 300.0)
"""After silence or trouble of the registrar."""
REFUSED_SECONDS: Final = (60.0, 300.0, 900.0, 1800.0)
"""After a refusal: the configuration is wrong on one side."""
LOST_SECONDS: Final = (5.0,)
"""After a connection broke: a registrar that closes it after each answer is not asked without pause."""
JITTER: Final = 0.2
"""So much more or less, that many do not come at once after an outage."""
MARGIN_SECONDS: Final = 40.0
"""Before its end a binding is refreshed: longer than a REGISTER may take (32 s)."""
LONGEST_SECONDS: Final = 86_400
_REFUSALS: Final = frozenset({401, 403, 404, 407})


class State(StrEnum):
    """How a binding fares."""

    ASKING = "asking"
    """REGISTER is under way, or due."""
    BOUND = "bound"
    WAITING = "waiting"
    """For the next try."""
    LEAVING = "leaving"
    """The REGISTER that removes the binding is under way, or due."""
    GONE = "gone"


class Cue(StrEnum):
    """What can happen."""

    SUCCESS = "2xx"
    TOO_BRIEF = "423"
    """The registrar wants longer bindings, and says which."""
    REFUSED = "refused"
    TROUBLE = "trouble"
    """Any other failure, or silence."""
    TIMER = "timer"
    LOST = "lost"
    """The connection broke: the registrar may have restarted, or calls us by nothing else."""
    STOP = "stop"


TRANSITIONS: Final[Mapping[tuple[State, Cue], State]] = {
    (State.ASKING, Cue.SUCCESS): State.BOUND,
    (State.ASKING, Cue.TOO_BRIEF): State.ASKING,
    (State.ASKING, Cue.REFUSED): State.WAITING,
    (State.ASKING, Cue.TROUBLE): State.WAITING,
    (State.ASKING, Cue.STOP): State.LEAVING,
    (State.BOUND, Cue.TIMER): State.ASKING,
    (State.BOUND, Cue.LOST): State.WAITING,
    (State.BOUND, Cue.STOP): State.LEAVING,
    (State.WAITING, Cue.TIMER): State.ASKING,
    (State.WAITING, Cue.STOP): State.LEAVING,
    (State.LEAVING, Cue.SUCCESS): State.GONE,
    (State.LEAVING, Cue.TOO_BRIEF): State.GONE,
    (State.LEAVING, Cue.REFUSED): State.GONE,
    (State.LEAVING, Cue.TROUBLE): State.GONE,
}
"""A pair that is not there changes nothing."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What is registered, and where: all of it configured."""

    registrar: Uri
    """Without a user part."""
    username: str
    """Of the address-of-record, and of the credentials."""
    contact_user: str
    expires_seconds: int

    @property
    def transport(self) -> str:
        """`UDP`, `TCP` or `TLS`."""
        if self.registrar.scheme == "sips":
            return "TLS"
        return (self.registrar.parameter("transport") or "udp").upper()

    @property
    def address_of_record(self) -> str:
        place = self.registrar.text.partition(":")[2].partition(";")[0]
        return f"{self.registrar.scheme}:{self.username}@{place}"


@dataclass(slots=True)
class Registration:
    """The engine of one binding. After each use, and at `get_timer`, ask `due`."""

    binding: Binding
    randomness: Randomness = field(repr=False)
    state: State = State.ASKING
    number: int = 0
    """Of the last REGISTER (CSeq)."""
    _expires: int = 0
    _flying: int | None = None
    """Expires of the REGISTER that is under way."""
    _held: bool = False
    """The registrar may hold a binding of ours."""
    _failures: int = 0
    _next_at: float | None = None

    def __post_init__(self) -> None:
        self._expires = self.binding.expires_seconds

    def due(self, now: float) -> int | None:
        """The Expires of the REGISTER to be sent now (0: remove the binding); None: nothing."""
        if self._next_at is not None and now >= self._next_at:
            self._enter(Cue.TIMER)
        if self._flying is not None or self.state not in {State.ASKING, State.LEAVING}:
            return None
        if self.state is State.LEAVING and not self._held:
            self.state = State.GONE
            return None
        self.number += 1
        self._held = True
        self._flying = 0 if self.state is State.LEAVING else self._expires
        return self._flying

    def get_timer(self) -> float | None:
        """When `due` wants to be called, or None."""
        return self._next_at

    def answered(
        self, response: Response | None, now: float, *, contact: str, number: int, wait: float = 0
    ) -> None:
        """The REGISTER was answered finally, or (None) not at all.

        Args:
            response: what came.
            now: seconds of the monotonic clock.
            contact: the URI that we registered.
            number: that the REGISTER had at last.
            wait: Retry-After in seconds.
        """
        asked, self._flying = self._flying, None
        self.number = max(self.number, number)
        if self.state is State.LEAVING and asked:
            return  # it was asked before `stop`: now its binding is removed
        cue = self._cue(response)
        self._enter(cue)
        if self.state is State.WAITING:
            self._wait(REFUSED_SECONDS if cue is Cue.REFUSED else RETRY_SECONDS, now, wait)
        elif self.state is State.BOUND and response is not None:
            granted = granted_seconds(response, contact, self._expires)
            self._failures = 0
            self._next_at = now + max(granted / 2, min(granted * 0.9, granted - MARGIN_SECONDS))

    def lost(self, now: float) -> None:
        """The connection over which it was made is gone."""
        if self.state is State.BOUND:
            self._enter(Cue.LOST)
            self._wait(LOST_SECONDS, now, 0)
            self._failures = 0

    def stop(self) -> None:
        """Remove the binding: `due` says when, `state` when it is gone."""
        self._enter(Cue.STOP)

    def _enter(self, cue: Cue) -> None:
        self.state = TRANSITIONS.get((self.state, cue), self.state)
        self._next_at = None

    def _cue(self, response: Response | None) -> Cue:
        status = response.status if response is not None else 0
        if response is not None and status == 423 and self._raise(response):
            return Cue.TOO_BRIEF
        if 200 <= status < 300:
            return Cue.SUCCESS
        return Cue.REFUSED if status in _REFUSALS else Cue.TROUBLE

    def _raise(self, response: Response) -> bool:
        """Follow Min-Expires (§10.2.8); False if it asks for no more than we offered."""
        try:
            wanted = parse_number(response.headers.get("min-expires") or "", limit=2**32)
        except SipSyntaxError:
            return False
        more = self._expires < wanted <= LONGEST_SECONDS
        self._expires = wanted if more else self._expires
        return more

    def _wait(self, table: tuple[float, ...], now: float, wait: float) -> None:
        delay = table[min(self._failures, len(table) - 1)]
        self._failures += 1
        shift = (self.randomness.getrandbits(16) / 32_768 - 1) * JITTER
        self._next_at = now + max(delay * (1 + shift), wait)


def granted_seconds(response: Response, contact: str, asked: int) -> int:
    """How long the binding lasts: of our Contact in the 200, else Expires, else as asked (§10.2.4)."""
    try:
        for value in response.headers.values("contact"):
            address = parse_name_addr(value)
            seconds = address.parameter("expires")
            if seconds and _same_place(address.uri, parse_uri(contact)):
                return max(1, parse_number(seconds, limit=2**32))
        expires = response.headers.get("expires")
        return max(1, parse_number(expires, limit=2**32)) if expires is not None else asked
    except SipSyntaxError:
        return asked


def _same_place(one: Uri, other: Uri) -> bool:
    """Whether two Contacts are ours: the rest may come back in another spelling."""
    port = (one.port or 5060) == (other.port or 5060)
    return (one.user, one.host.lower()) == (other.user, other.host.lower()) and port


def register(
    binding: Binding, *, via: str, contact: str, call_id: str, tag: str, number: int, expires: int
) -> Request:
    """The REGISTER (§10.2): From and To are the address-of-record, the Request-URI its domain."""
    uri = binding.address_of_record
    fields = (
        ("via", via),
        ("max-forwards", MAX_FORWARDS),
        ("from", f"<{uri}>;tag={tag}"),
        ("to", f"<{uri}>"),
        ("call-id", call_id),
        ("cseq", f"{number} REGISTER"),
        ("contact", f"<{contact}>;expires={expires}"),
        ("expires", str(expires)),
    )
    return Request(Headers(fields), b"", "REGISTER", binding.registrar.text)


def parse_registrar(text: str) -> Uri:
    """Read `sip:registrar.example.net;transport=tcp`. Raises SipSyntaxError."""
    uri = parse_uri(text)
    if uri.scheme not in SIP_SCHEMES or uri.user or not uri.host or uri.headers:
        raise SipSyntaxError("Not a registrar")
    return uri

"""Session timers (RFC 4028): what is agreed with each session refresh, and when what follows is due.

Pure. A session is refreshed by a re-INVITE or an UPDATE with a 2xx; who does it, and how long a
session lasts without, is agreed anew each time.

Laws:
- Nothing below 90 s is agreed; a peer that can be asked for more is (422), another gets no timer.
- A caller without the extension is refreshed by us: that finds a dead call that is on hold.
"""

from dataclasses import dataclass
from typing import Final, Literal

from um.telephony.sip.admission import Reply
from um.telephony.sip.grammar import SipSyntaxError, parse_number, parse_parameters
from um.telephony.sip.grammar import parameter as parameter_of
from um.telephony.sip.message import Field, Request, Response

OPTION: Final = "timer"
LEAST_SECONDS: Final = 90
"""§4: of any Session-Expires."""
BYE_BEFORE_SECONDS: Final = 32.0
"""§10: who waits for a refresh in vain leaves so long before the end, or by a third of it."""
Refresher = Literal["uac", "uas"]
_LIMIT: Final = 2**31


@dataclass(frozen=True, slots=True)
class Terms:
    """What a 2xx of ours says of the session."""

    seconds: int
    refresher: Refresher
    """As the 2xx names it: `uac` sent the request."""
    required: bool
    """The peer knows the extension, and must heed it."""

    @property
    def fields(self) -> tuple[Field, ...]:
        required: tuple[Field, ...] = (("require", OPTION),) if self.required else ()
        return (*required, ("session-expires", f"{self.seconds};refresher={self.refresher}"))


@dataclass(frozen=True, slots=True)
class Session:
    """A session that ends if nobody refreshes it."""

    seconds: int
    ours: bool
    """We refresh."""
    agreed_at: float
    least: int = 0
    """Min-SE that the peer asked for; goes with each refresh of ours."""
    raised: bool = False
    """The refresh under way follows a 422; there is no second one (§10: no continuous retries)."""

    @property
    def refresh_at(self) -> float | None:
        """When we refresh: at half the time (§9)."""
        return self.agreed_at + self.seconds / 2 if self.ours else None

    @property
    def ends_at(self) -> float:
        """When we leave."""
        early = 0.0 if self.ours else min(BYE_BEFORE_SECONDS, self.seconds / 3)
        return self.agreed_at + self.seconds - early

    @property
    def fields(self) -> tuple[Field, ...]:
        """Of a refresh of ours (§7.1): we sent it, so `uac` is us."""
        refresher = "uac" if self.ours else "uas"
        fields: tuple[Field, ...] = (
            ("supported", OPTION),
            ("session-expires", f"{self.seconds};refresher={refresher}"),
        )
        return (*fields, ("min-se", str(self.least))) if self.least else fields


def agree(
    request: Request, *, wanted: int, least: int, present: Session | None = None
) -> Terms | Reply | None:
    """What to agree with the sender of a session refresh request (§9).

    Args:
        request: INVITE or UPDATE.
        wanted: how long a session may be by our wish; 0: we ask for no timer.
        least: what we take at the least, in seconds.
        present: what holds now.

    Returns:
        The terms of our 2xx; None for no timer; the 400 or 422 to refuse with.
    """
    try:
        asked, refresher = _session_expires(request.headers.get("session-expires"))
        minimum = _min_se(request.headers.get("min-se"))
        known = OPTION in _options(request)
    except SipSyntaxError as error:
        return Reply(400, error.public)
    if asked is None and not wanted:
        return None
    if asked is not None and asked < least:
        return (
            Reply(422, "Session Interval Too Small", (("min-se", str(least)),)) if known else None
        )
    longest = max(wanted, minimum, least) if wanted else _LIMIT
    seconds = longest if asked is None else min(asked, longest)
    if not known:
        return Terms(seconds, "uas", required=False)
    chosen = refresher or ("uas" if present is not None and present.ours else "uac")
    return Terms(seconds, chosen, required=True)


def agreed_by_us(terms: Terms | None, now: float, present: Session | None) -> Session | None:
    """The session after a 2xx of ours."""
    if terms is None:
        return None
    least = present.least if present is not None else 0
    return Session(terms.seconds, terms.refresher == "uas", now, least)


def agreed_by_them(response: Response, now: float, present: Session) -> Session:
    """The session after a 2xx to our refresh (§7.2).

    Without Session-Expires the peer does not care; we go on refreshing all the same, as we may.
    """
    try:
        asked, refresher = _session_expires(response.headers.get("session-expires"))
    except SipSyntaxError:
        asked, refresher = None, None
    if asked is None or asked < LEAST_SECONDS:
        return Session(present.seconds, ours=True, agreed_at=now, least=present.least)
    return Session(asked, refresher != "uas", now, present.least)


def raised(response: Response, present: Session) -> Session | None:
    """What to ask for after a 422 (§7.3), the end of the session unchanged; None if that makes no sense."""
    try:
        minimum = _min_se(response.headers.get("min-se"))
    except SipSyntaxError:
        return None
    if present.raised or minimum <= present.seconds:
        return None
    return Session(minimum, present.ours, present.agreed_at, minimum, raised=True)


def _options(request: Request) -> set[str]:
    names = request.headers.values("supported") + request.headers.values("require")
    return {name.lower() for name in names}


def _session_expires(value: str | None) -> tuple[int | None, Refresher | None]:
    """Seconds and refresher; what is neither `uac` nor `uas` counts as absent."""
    if value is None:
        return None, None
    seconds, semicolon, tail = value.partition(";")
    named = (parameter_of(parse_parameters(semicolon + tail), "refresher") or "").lower()
    refresher: Refresher | None = "uac" if named == "uac" else "uas" if named == "uas" else None
    return parse_number(seconds, limit=_LIMIT), refresher


def _min_se(value: str | None) -> int:
    """Min-SE; 0 if there is none."""
    return 0 if value is None else parse_number(value.partition(";")[0], limit=_LIMIT)

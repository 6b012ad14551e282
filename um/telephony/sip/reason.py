"""The Reason field (RFC 3326): why a request ended a call, read of theirs and written of ours."""

import re
from dataclasses import dataclass
from typing import Final

from um.telephony.sip.grammar import (
    SipSyntaxError,
    is_token,
    parameter,
    parse_parameters,
    quote,
)
from um.telephony.sip.message import Field, Request

NORMAL_CLEARING: Final = 16
TEMPORARY_FAILURE: Final = 41
RECOVERY_ON_TIMER_EXPIRY: Final = 102
"""Causes of Q.850, which gateways pass on as they are."""
_NUMBER: Final = re.compile(r"\d{1,3}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One value; `cause` is 0 where none is given."""

    protocol: str
    """In upper case: `SIP`, `Q.850`."""
    cause: int
    text: str

    def __str__(self) -> str:
        return f"{self.protocol} {self.cause} {self.text}".rstrip()

    @property
    def elsewhere(self) -> bool:
        """Another telephone took the call (§3.1: a fork's CANCEL)."""
        return self.protocol == "SIP" and self.cause == 200


def read_reasons(request: Request) -> tuple[Reason, ...]:
    """All values that parse; the others count as absent: it is information, not protocol."""
    try:
        values = request.headers.values("reason")
    except SipSyntaxError:
        return ()
    return tuple(found for value in values if (found := _read(value)))


def _read(value: str) -> Reason | None:
    protocol, semicolon, tail = value.partition(";")
    try:
        parameters = parse_parameters(semicolon + tail)
    except SipSyntaxError:
        return None
    if not is_token(protocol.strip()):
        return None
    cause = parameter(parameters, "cause") or ""
    number = int(cause) if _NUMBER.fullmatch(cause) else 0
    return Reason(protocol.strip().upper(), number, parameter(parameters, "text") or "")


def reason(cause: int, text: str) -> Field:
    """A field of ours, of Q.850."""
    return "reason", f"Q.850;cause={cause};text={quote(text)}"

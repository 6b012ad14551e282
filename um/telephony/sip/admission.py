"""The checks of a new request before anything is done with it (RFC 3261 §8.2), as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from um.telephony.sip.message import Field, Request
from um.telephony.sip.parser import KNOWN_METHODS
from um.telephony.sip.uri import SIP_SCHEMES, parse_uri

ALLOWED: Final = (
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "OPTIONS",
    "UPDATE",
    "INFO",
    "SUBSCRIBE",
    "NOTIFY",
    "PRACK",
)
SDP: Final = "application/sdp"
_BODY_METHODS: Final = frozenset({"INVITE", "UPDATE"})
SUPPORTED_EXTENSIONS: Final = ("100rel", "timer")
"""Option tags we understand in Require. 100rel (RFC 3262) costs nothing: the only provisional response
that we send is 100, which is never reliable, so no PRACK is ever awaited."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A final response that needs no thought of the user."""

    status: int
    reason: str
    fields: tuple[Field, ...] = ()


ALLOW: Final[Field] = ("allow", ", ".join(ALLOWED))
ALLOW_EVENTS: Final[Field] = ("allow-events", "message-summary")
"""RFC 6665 §4.4.4."""
ACCEPT: Final[Field] = ("accept", SDP)
SUPPORTED: Final[Field] = ("supported", ", ".join(SUPPORTED_EXTENSIONS))


def _method(request: Request) -> Reply | None:
    if request.method in ALLOWED:
        return None
    if request.method in KNOWN_METHODS:
        return Reply(405, "Method Not Allowed", (ALLOW,))
    return Reply(501, "Not Implemented", (ALLOW,))


def _scheme(request: Request) -> Reply | None:
    if parse_uri(request.uri).scheme in SIP_SCHEMES | {"tel"}:
        return None
    return Reply(416, "Unsupported URI Scheme")


def _extensions(request: Request) -> Reply | None:
    required = {value.lower() for value in request.headers.values("require")}
    unknown = sorted(required.difference(SUPPORTED_EXTENSIONS))
    if not unknown or request.method in {"ACK", "CANCEL"}:  # §8.2.2.3
        return None
    asked = [value for value in request.headers.values("require") if value.lower() in set(unknown)]
    return Reply(420, "Bad Extension", (("unsupported", ", ".join(asked)),))


def _content(request: Request) -> Reply | None:
    if not request.body or request.method not in _BODY_METHODS:
        return None
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    coding = (request.headers.get("content-encoding") or "identity").strip().lower()
    if kind != SDP:
        return Reply(415, "Unsupported Media Type", (ACCEPT,))
    if coding != "identity":
        return Reply(415, "Unsupported Media Type", (("accept-encoding", "identity"),))
    return None


def _accept(request: Request) -> Reply | None:
    if request.method != "INVITE" or request.headers.get("accept") is None:
        return None
    ranges = {value.partition(";")[0].strip().lower() for value in request.headers.values("accept")}
    if ranges & {SDP, "application/*", "*/*"}:
        return None
    return Reply(406, "Not Acceptable", (("warning", '399 um "Only application/sdp"'),))


_CHECKS: Final[tuple[Callable[[Request], Reply | None], ...]] = (
    _method,
    _scheme,
    _extensions,
    _content,
    _accept,
)


def examine(request: Request) -> Reply | None:
    """The first reason to refuse `request`, in the order of RFC 3261 §8.2; None if there is none."""
    for check in _CHECKS:
        refused = check(request)
        if refused is not None:
            return refused
    return None

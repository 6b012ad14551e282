"""The requests that tell a configured core of a lamp without having been asked, and where they go.

Pure. Such a NOTIFY belongs to no subscription (RFC 3842 leaves that to configuration on both sides):
it is a request of its own with a Call-ID of its own, as Asterisk's `incoming_mwi_mailbox` and
proxies take it.
"""

from dataclasses import dataclass
from typing import Final

from um.core.errors import InvalidError
from um.core.waiting import Lamp
from um.telephony.mwi import CONTENT_TYPE, PACKAGE, account_uri, summary
from um.telephony.sip.dialog import MAX_FORWARDS
from um.telephony.sip.grammar import SipSyntaxError, parse_number, strip_comments
from um.telephony.sip.layer import DEFAULT_PORT, Hop
from um.telephony.sip.message import Field, Headers, Request, Response
from um.telephony.sip.uri import SIP_SCHEMES, parse_uri

_DEFAULT_PORTS: Final = {"UDP": DEFAULT_PORT, "TCP": DEFAULT_PORT, "TLS": 5061}
_LONGEST_WAIT_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Place:
    """A configured core: its URI and its address."""

    uri: str
    hop: Hop


@dataclass(frozen=True, slots=True)
class Sender:
    """What of a request is the sending endpoint's."""

    via: str
    contact: str
    call_id: str
    tag: str


def parse_target(text: str) -> Place:
    """Read `sip:192.0.2.7:5060;transport=udp`. Raises InvalidError."""
    try:
        uri = parse_uri(text)
    except SipSyntaxError as error:
        raise InvalidError(f"Not a SIP URI: {text}") from error
    transport = (uri.parameter("transport") or "udp").upper()
    transport = "TLS" if uri.scheme == "sips" else transport
    if uri.scheme not in SIP_SCHEMES or transport not in _DEFAULT_PORTS:
        raise InvalidError(f"Not a SIP URI that can be reached: {text}")
    return Place(text, Hop(transport, (uri.host, uri.port or _DEFAULT_PORTS[transport])))


def notification(place: Place, lamp: Lamp, domain: str, sender: Sender) -> Request:
    """The NOTIFY. A target without a user part is asked for the number, so a proxy can route it."""
    fields = (
        ("event", PACKAGE),
        ("subscription-state", "active"),
        ("content-type", CONTENT_TYPE),
    )
    uri = _with_user(place.uri, lamp.number)
    body = summary(lamp, domain)
    return _request("NOTIFY", uri, account_uri(lamp.number, domain), sender, fields, body)


def ping(place: Place, domain: str, sender: Sender) -> Request:
    """OPTIONS: any answer shows that the core is there (RFC 3261 §11)."""
    accept = (("accept", "application/sdp"),)
    return _request("OPTIONS", place.uri, f"sip:um@{domain}", sender, accept, b"")


def retry_after(response: Response) -> float:
    """Seconds that Retry-After asks us to wait; 0 without one (RFC 3261 §20.33)."""
    value = response.headers.get("retry-after")
    if value is None:
        return 0.0
    try:
        seconds = strip_comments(value.partition(";")[0])
        return float(min(parse_number(seconds, limit=2**32), _LONGEST_WAIT_SECONDS))
    except SipSyntaxError:
        return 0.0


def _request(
    method: str, uri: str, from_: str, sender: Sender, fields: tuple[Field, ...], body: bytes
) -> Request:
    headers = (
        ("via", sender.via),
        ("max-forwards", MAX_FORWARDS),
        ("from", f"<{from_}>;tag={sender.tag}"),
        ("to", f"<{uri}>"),
        ("call-id", sender.call_id),
        ("cseq", f"1 {method}"),
        ("contact", sender.contact),
        *fields,
    )
    return Request(Headers(headers), body, method, uri)


def _with_user(uri: str, user: str) -> str:
    if parse_uri(uri).user:
        return uri
    scheme, _, rest = uri.partition(":")
    return f"{scheme}:{user}@{rest}"

"""One subscription as its notifier sees it (RFC 6665 §4.2), what a SUBSCRIBE asks, and its record.

A record is what lets a subscription outlive the process: plain values that JSON can hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from um.core.errors import InvalidError
from um.telephony.sip.admission import ALLOW_EVENTS, Reply
from um.telephony.sip.dialog import Dialog, DialogKey
from um.telephony.sip.fields import parse_name_addr
from um.telephony.sip.grammar import SipSyntaxError, parameter, parse_number, parse_parameters
from um.telephony.sip.layer import Hop
from um.telephony.sip.message import Request
from um.telephony.sip.uri import SIP_SCHEMES, parse_uri

MIN_SECONDS: Final = 60
MAX_SECONDS: Final = 86_400
_SEQUENCE_LEAP: Final = 100_000
"""A restored dialog goes on beyond every number it may have used since its record was written."""
_RANGES: Final = frozenset({"*/*", "application/*"})


@dataclass(frozen=True, slots=True)
class Package:
    """An event package (RFC 6665 §5.4)."""

    name: str
    content_type: str
    default_seconds: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a SUBSCRIBE wants."""

    event_id: str
    seconds: int
    """0: no longer, or only once."""


@dataclass(slots=True)
class Subscription:
    """A subscription and what its subscriber was told."""

    resource: str
    owner: str
    """Whose resource it is: where its record is kept."""
    dialog: Dialog
    event_id: str
    expires_at: float
    """Of the monotonic clock."""
    wanted: bytes
    """The state as it is now."""
    told: bytes | None = None
    flying: bytes | None = None
    forced: bool = True
    """A NOTIFY must follow, whether or not anything changed (§4.2.1.2)."""
    ending: str = ""
    """Reason of the `terminated` that is yet to be sent."""
    failures: int = 0

    @property
    def key(self) -> tuple[DialogKey, str]:
        return self.dialog.key, self.event_id

    @property
    def name(self) -> str:
        """The key as one text."""
        return " ".join((*self.dialog.key, self.event_id))

    @property
    def due(self) -> bool:
        """Whether a NOTIFY is to be sent, none being under way (§4.2.2)."""
        news = self.forced or bool(self.ending) or self.told != self.wanted
        return self.flying is None and news

    def state(self, now: float) -> str:
        """The value of Subscription-State."""
        if self.ending:
            return f"terminated;reason={self.ending}"
        return f"active;expires={max(0, round(self.expires_at - now))}"


def read_subscribe(request: Request, package: Package) -> Asked | Reply:
    """What `request` asks of `package`, or why it is refused (§4.2.1.1)."""
    try:
        event_id = _event_id(request, package)
        if not _accepted(request, package):
            return Reply(406, "Not Acceptable", (("accept", package.content_type),))
        if request.contact is None or request.contact.uri.scheme not in SIP_SCHEMES:
            return Reply(400, "Missing Contact")
        expires = request.headers.get("expires")
        seconds = package.default_seconds
        if expires is not None:
            seconds = min(parse_number(expires, limit=2**32), MAX_SECONDS)
    except SipSyntaxError as error:
        return Reply(400, error.public)
    if event_id is None:
        return Reply(489, "Bad Event", (ALLOW_EVENTS,))
    if 0 < seconds < MIN_SECONDS:
        return Reply(423, "Interval Too Brief", (("min-expires", str(MIN_SECONDS)),))
    return Asked(event_id, seconds)


def _event_id(request: Request, package: Package) -> str | None:
    """The `id` of the Event field, "" without one; None: another event, or none."""
    values = request.headers.all("event")
    if len(values) != 1:
        return None
    name, semicolon, tail = values[0].partition(";")
    if name.strip().lower() != package.name:
        return None
    return parameter(parse_parameters(semicolon + tail), "id") or ""


def _accepted(request: Request, package: Package) -> bool:
    if request.headers.get("accept") is None:
        return True
    ranges = {value.partition(";")[0].strip().lower() for value in request.headers.values("accept")}
    return bool(ranges & (_RANGES | {package.content_type}))


# ---- records


def to_record(subscription: Subscription, now: float, today: datetime) -> dict[str, Any]:
    """The record; `now` and `today` are one instant of the two clocks."""
    dialog = subscription.dialog
    left = timedelta(seconds=subscription.expires_at - now)
    return {
        "resource": subscription.resource,
        "event_id": subscription.event_id,
        "expires_at": (today + left).isoformat(),
        "call_id": dialog.call_id,
        "local_tag": dialog.local_tag,
        "remote_tag": dialog.remote_tag,
        "local": dialog.local,
        "remote": dialog.remote,
        "remote_target": dialog.remote_target,
        "route_set": list(dialog.route_set),
        "remote_cseq": dialog.remote_cseq,
        "local_cseq": dialog.local_cseq,
        "transport": dialog.source.transport,
        "address": list(dialog.source.address),
    }


def from_record(
    record: Mapping[str, Any], *, owner: str, wanted: bytes, now: float, today: datetime
) -> Subscription:
    """The reverse. Raises InvalidError for what `to_record` did not write."""
    try:
        left = datetime.fromisoformat(record["expires_at"]) - today
        host, port = record["address"]
        dialog = Dialog(
            call_id=str(record["call_id"]),
            local_tag=str(record["local_tag"]),
            remote_tag=str(record["remote_tag"]),
            local=parse_name_addr(record["local"]).text,
            remote=parse_name_addr(record["remote"]).text,
            remote_target=parse_uri(record["remote_target"]).text,
            route_set=tuple(parse_name_addr(route).text for route in record["route_set"]),
            remote_cseq=int(record["remote_cseq"]),
            source=Hop(str(record["transport"]), (str(host), int(port))),
            local_cseq=int(record["local_cseq"]) + _SEQUENCE_LEAP,
        )
        return Subscription(
            resource=str(record["resource"]),
            owner=owner,
            dialog=dialog,
            event_id=str(record["event_id"]),
            expires_at=now + left.total_seconds(),
            wanted=wanted,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidError("That is no record of a subscription") from error

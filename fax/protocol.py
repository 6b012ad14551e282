"""The messages between the server and its fax child, one JSON object in each datagram.

They cross a SOCK_SEQPACKET pair, which keeps their borders; `Receive` carries the media socket with
it (SCM_RIGHTS). `call` is the spool entry's id. Both ends are ours: a malformed message is a defect.
"""

import json
from dataclasses import asdict, dataclass

MAX_MESSAGE_OCTETS = 16_384


@dataclass(frozen=True, slots=True)
class Media:
    """Where a call's media goes, and as what."""

    host: str
    port: int
    payload_type: int
    """Of G.711: 0 or 8."""
    t38: bool = False
    """UDPTL instead of RTP; what follows is of it (T.38 Annex D)."""
    max_datagram: int = 0
    correction: str = ""
    local_tcf: bool = False


@dataclass(frozen=True, slots=True)
class Receive:
    """To the child: take this call's media and receive the fax into `folder`."""

    call: str
    folder: str
    station_id: str
    ecm: bool
    max_pages: int
    media: Media
    sequence: int
    timestamp: int
    ssrc: int
    core: str = ""
    """The host that signals: media may come from there, too."""


@dataclass(frozen=True, slots=True)
class ChangeMedia:
    """To the child: go on with other media on the same socket; T.30 begins anew if it is the other kind."""

    call: str
    media: Media


@dataclass(frozen=True, slots=True)
class HangUp:
    """To the child: the call is over."""

    call: str


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """To the child: whether there is room for the page."""

    call: str
    page: int
    granted: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """From the child: it is up, the modem library loaded."""

    pid: int


@dataclass(frozen=True, slots=True)
class PageWaiting:
    """From the child: a whole page of so many octets asks for room; the sender waits."""

    call: str
    page: int
    octets: int


@dataclass(frozen=True, slots=True)
class PageKept:
    """From the child: the page is durable in the folder and is being confirmed."""

    call: str
    page: int


@dataclass(frozen=True, slots=True)
class Ended:
    """From the child: the call's fax is over; its socket is closed."""

    call: str
    complete: bool
    detail: str
    station_id: str = ""
    """TSI of the sender, unclean."""
    bit_rate: int = 0
    ecm: bool = False
    y_resolution_dpi: int = 0
    bad_packets: int = 0
    """Datagrams on its port that were none of its."""
    t38: bool = False
    """How it ended: over T.38, not G.711."""
    recovered_ifps: int = 0
    lost_ifps: int = 0
    repeated_datagrams: int = 0
    bad_rows: int = 0
    """Rows of all pages that did not decode as they came in (without ECM)."""


ToChild = Receive | ChangeMedia | HangUp | PageAnswer
FromChild = Ready | PageWaiting | PageKept | Ended

_KINDS: dict[str, type[ToChild | FromChild]] = {
    kind.__name__: kind
    for kind in (Receive, ChangeMedia, HangUp, PageAnswer, Ready, PageWaiting, PageKept, Ended)
}


def encode(message: ToChild | FromChild) -> bytes:
    """One datagram."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode()


def decode(data: bytes) -> ToChild | FromChild:
    """The message in a datagram. Raises ValueError, KeyError or TypeError for a foreign one."""
    fields = json.loads(data)
    if "media" in fields:
        fields["media"] = Media(**fields["media"])
    return _KINDS[fields.pop("kind")](**fields)

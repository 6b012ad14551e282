"""What a SIP endpoint tells the telephony server. `call` is the endpoint's own name of a call."""

from dataclasses import dataclass, field
from enum import StrEnum

from um.telephony.sip.layer import Address, Hop
from um.telephony.sip.message import Request, Response
from um.telephony.sip.reason import Reason


class End(StrEnum):
    """Why a call is over."""

    BYE = "bye"
    NO_ACK = "no-ack"
    """Our 2xx was never acknowledged (RFC 3261 §13.3.1.4); a BYE was sent."""
    EXPIRED = "expired"
    """The session was not refreshed, or a request of ours found no call (RFC 4028 §10); BYE was sent."""
    TRANSFERRED = "transferred"
    """BYE by a peer that had accepted our REFER."""


@dataclass(frozen=True, slots=True)
class CallOffered:
    """A new INVITE; answer with `answer` or `reject`. 100 Trying was sent."""

    call: str
    request: Request
    source: Hop


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """The caller gave up before we answered; 487 was sent. The call is gone."""

    call: str
    reasons: tuple[Reason, ...] = ()
    """Of the CANCEL (RFC 3326)."""


@dataclass(frozen=True, slots=True)
class CallAcknowledged:
    """The ACK for a 2xx. `body` is the SDP answer when the 2xx carried the offer."""

    call: str
    body: bytes
    first: bool
    """Of the call's first INVITE: the call is up."""


@dataclass(frozen=True, slots=True)
class MediaOffered:
    """A re-INVITE or UPDATE; answer at once with `accept_offer` or `refuse_offer`.

    An empty `body` in a re-INVITE asks for our offer (RFC 3264 §4).
    """

    call: str
    body: bytes


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The other side took our re-INVITE; `body` is its SDP answer. The ACK was sent.

    It may be a refresh of the session by the endpoint itself: then nobody else asked for it.
    """

    call: str
    body: bytes


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """The other side refused our re-INVITE: the session stays as it was (RFC 3261 §14.1).

    `status` 491: both sides offered at once; 408: no answer came in 32 s.
    """

    call: str
    status: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call that had been answered is over and gone."""

    call: str
    reason: End
    reasons: tuple[Reason, ...] = ()
    """Of the BYE (RFC 3326)."""


@dataclass(frozen=True, slots=True)
class TransferEnded:
    """What became of `refer`. `done`: the call may be hung up; else it goes on."""

    call: str
    done: bool
    status: int
    """That the peer gave, or told of the referred call; 0 if none."""


@dataclass(frozen=True, slots=True)
class DigitSignalled:
    """A key press in INFO; 200 was sent."""

    call: str
    digit: str


@dataclass(frozen=True, slots=True)
class RequestOffered:
    """A request that belongs to no call (SUBSCRIBE); answer it with `respond`.

    `tag` is our To tag: of the dialog that a 2xx makes, or of the one the request names.
    """

    name: str
    request: Request
    source: Hop
    tag: str


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """The final response to a request sent by `send_request`; None when none came in 32 s."""

    owner: str
    response: Response | None
    number: int = field(default=0, compare=False)
    """The number (CSeq) that the request had at last: a challenge makes it grow."""


@dataclass(frozen=True, slots=True)
class PeerLost:
    """A connection with a neighbour broke: it may have restarted, and forgotten what it was told."""

    peer: Address
    name: str = ""
    """As in `Hop.name`."""


CallEvent = (
    CallOffered
    | CallCancelled
    | CallAcknowledged
    | MediaOffered
    | OfferAnswered
    | OfferRefused
    | TransferEnded
    | CallEnded
    | DigitSignalled
)
OtherEvent = RequestOffered | RequestAnswered | PeerLost
Event = CallEvent | OtherEvent

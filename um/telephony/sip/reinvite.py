"""Our own re-INVITEs (RFC 3261 §14.1): a new description offered inside a call that is up.

Laws:
- One offer of ours at a time in a call; while it waits, an offer of the other side gets 491 (§14.2).
- Every 2xx is acknowledged, also one that comes again and one that we no longer want (§13.2.2.4).
- An offer ends once: by `OfferAnswered` or by `OfferRefused`.
"""

from dataclasses import dataclass, field
from typing import Final

from um.telephony.sip.admission import ALLOW, SDP
from um.telephony.sip.calls import SipCall
from um.telephony.sip.dialog import Dialog
from um.telephony.sip.events import OfferAnswered, OfferRefused
from um.telephony.sip.layer import Hop, ResponseHeard, TransactionLayer, cancellation
from um.telephony.sip.message import Request
from um.telephony.sip.responder import Responder
from um.telephony.sip.transaction import LIFETIME_SECONDS

TIMED_OUT: Final = 408
"""What no answer at all counts as (§8.1.3.1)."""


@dataclass(slots=True)
class _Offer:
    """One re-INVITE. It outlives its call: the 2xx to it wants an ACK."""

    call: SipCall
    dialog: Dialog
    request: Request
    hop: Hop
    provisional: bool = False
    withdrawn: bool = False
    cancelled: bool = False
    answered_at: float | None = None


@dataclass(slots=True)
class Offers:
    """The re-INVITEs of one endpoint."""

    layer: TransactionLayer
    _by_owner: dict[str, _Offer] = field(default_factory=dict)

    def send(self, call: SipCall, sdp: bytes, responder: Responder, now: float) -> None:
        """Offer `sdp` in a call that is up and has no other offer under way."""
        self._forget_old(now)
        hop = call.dialog.next_hop()
        request = call.dialog.request(
            "INVITE",
            responder.via(hop.transport),
            responder.contact,
            fields=(ALLOW, ("supported", ""), ("content-type", SDP)),
            body=sdp,
        )
        owner = f"offer {request.cseq.number} {call.key}"
        self._by_owner[owner] = _Offer(call, call.dialog, request, hop)
        call.offering = owner
        self.layer.send_request(request, hop, now, owner=owner)

    def withdraw(self, call: SipCall, now: float) -> None:
        """Take the offer back: CANCEL, as soon as the other side has said anything (§9.1)."""
        offer = self._by_owner.get(call.offering or "")
        if offer is not None:
            offer.withdrawn = True
            self._cancel(offer, now)

    def _cancel(self, offer: _Offer, now: float) -> None:
        if (
            offer.withdrawn
            and offer.provisional
            and not offer.cancelled
            and offer.answered_at is None
        ):
            offer.cancelled = True
            self.layer.send_request(cancellation(offer.request), offer.hop, now, owner="cancel")

    def hear(
        self, heard: ResponseHeard, responder: Responder, now: float
    ) -> OfferAnswered | OfferRefused | None:
        """Take a response; returns what ends the offer, once."""
        offer = self._by_owner.get(heard.transaction.owner)
        if offer is None:
            return None
        response = heard.response
        if response is not None and response.status < 200:
            offer.provisional = True
            self._cancel(offer, now)
            return None
        if response is not None and response.status < 300:
            offer.dialog.follow(response.contact)
            self._acknowledge(offer, responder)
        if offer.answered_at is not None:
            return None
        offer.answered_at = now
        offer.call.offering = None
        if response is None or response.status >= 300:
            del self._by_owner[heard.transaction.owner]
            return OfferRefused(offer.call.key, response.status if response else TIMED_OUT)
        return OfferAnswered(offer.call.key, response.body)

    def _forget_old(self, now: float) -> None:
        """A 2xx comes again for 64*T1 at the most (§13.3.1.4)."""
        for owner, offer in list(self._by_owner.items()):
            if offer.answered_at is not None and now - offer.answered_at > LIFETIME_SECONDS:
                del self._by_owner[owner]

    def _acknowledge(self, offer: _Offer, responder: Responder) -> None:
        """The ACK for a 2xx goes its own way through the dialog, in a transaction of none."""
        hop = offer.dialog.next_hop()
        ack = offer.dialog.request(
            "ACK", responder.via(hop.transport), responder.contact, cseq=offer.request.cseq.number
        )
        self.layer.outbox.append((ack.encode(), hop))

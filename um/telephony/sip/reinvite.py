"""Our own re-INVITEs (RFC 3261 §14.1): a new description offered inside a call that is up.

Laws:
- One offer of ours at a time in a call; while it waits, an offer of the other side gets 491 (§14.2).
- Every 2xx is acknowledged, also one that comes again and one that we no longer want (§13.2.2.4).
- An offer ends once, whatever comes; after 32 s without a final response by none (§8.1.3.1).
- A challenge is answered as for other requests (`asking`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from um.telephony.sip.admission import ALLOW, SDP
from um.telephony.sip.asking import Challenged
from um.telephony.sip.calls import SipCall
from um.telephony.sip.credentials import Wallet
from um.telephony.sip.dialog import Dialog
from um.telephony.sip.layer import Hop, ResponseHeard, TransactionLayer, cancellation
from um.telephony.sip.message import Field, Request, Response
from um.telephony.sip.responder import Responder
from um.telephony.sip.session_timer import OPTION
from um.telephony.sip.timers import Timers
from um.telephony.sip.transaction import LIFETIME_SECONDS

_CREDENTIALS: Final = frozenset({"authorization", "proxy-authorization"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an offer ended; None: nothing came."""

    call: SipCall
    response: Response | None
    refresh: bool


@dataclass(slots=True)
class _Offer:
    """One re-INVITE. It outlives its call: the 2xx to it wants an ACK."""

    call: SipCall
    dialog: Dialog
    request: Request
    hop: Hop
    refresh: bool
    """It repeats what holds."""
    challenged: Challenged
    provisional: bool = False
    withdrawn: bool = False
    cancelled: bool = False
    answered_at: float | None = None


@dataclass(slots=True)
class Offers:
    """The re-INVITEs of one endpoint."""

    layer: TransactionLayer
    wallet: Wallet
    _by_owner: dict[str, _Offer] = field(default_factory=dict)
    _limits: Timers[str] = field(default_factory=Timers)

    def send(
        self, call: SipCall, sdp: bytes, responder: Responder, now: float, *, refresh: bool = False
    ) -> None:
        """Offer `sdp` in a call that is up and has no other offer under way."""
        self._forget_old(now)
        hop = call.dialog.next_hop()
        session: tuple[Field, ...] = (("supported", OPTION),)
        if call.session is not None:
            session = call.session.fields  # any re-INVITE refreshes (RFC 4028 §7.4)
        request = call.dialog.request(
            "INVITE",
            responder.via(hop.transport),
            responder.contact_for(call.invite.request),
            fields=(ALLOW, *session, ("content-type", SDP)),
            body=sdp,
        )
        owner = f"offer {request.cseq.number} {call.key}"
        challenged = Challenged(self.wallet)
        self._by_owner[owner] = _Offer(call, call.dialog, request, hop, refresh, challenged)
        self._limits.set(owner, now + LIFETIME_SECONDS)
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

    def hear(self, heard: ResponseHeard, responder: Responder, now: float) -> Outcome | None:
        """Take a response; returns what ends the offer, once."""
        owner, response = heard.transaction.owner, heard.response
        offer = self._by_owner.get(owner)
        if offer is None:
            return None
        if response is not None and response.status < 200:
            offer.provisional = True
            self._cancel(offer, now)
            return None
        if response is not None and response.status < 300:
            offer.dialog.follow(response.contact)
            self._acknowledge(offer, responder)
        if offer.answered_at is not None or self._again(offer, heard, responder, now):
            return None
        return self._end(owner, offer, response, now)

    def get_timer(self) -> float | None:
        """When `overdue` has something, or None."""
        return self._limits.earliest()

    def overdue(self, now: float) -> Iterator[Outcome]:
        """Offers that were never answered; a provisional response alone keeps none."""
        for owner in self._limits.due(now):
            offer = self._by_owner[owner]
            self.layer.abandon(offer.request.via.branch or "")
            yield self._end(owner, offer, None, now)

    def _end(self, owner: str, offer: _Offer, response: Response | None, now: float) -> Outcome:
        self._limits.cancel(owner)
        offer.answered_at, offer.call.offering = now, None
        if response is None or response.status >= 300:
            del self._by_owner[owner]
        else:
            offer.call.description = offer.request.body
        return Outcome(offer.call, response, offer.refresh)

    def _again(self, offer: _Offer, heard: ResponseHeard, responder: Responder, now: float) -> bool:
        """Answer a challenge; False if it is none."""
        sent = heard.transaction
        via = responder.via(sent.hop.transport)
        again = offer.challenged.again(sent, heard.response, via, offer.dialog)
        if again is None:
            return False
        offer.request, offer.provisional = again, False
        self.layer.send_request(again, sent.hop, now, owner=sent.owner)
        return True

    def _forget_old(self, now: float) -> None:
        """A 2xx comes again for 64*T1 at the most (§13.3.1.4)."""
        for owner, offer in list(self._by_owner.items()):
            if offer.answered_at is not None and now - offer.answered_at > LIFETIME_SECONDS:
                del self._by_owner[owner]

    def _acknowledge(self, offer: _Offer, responder: Responder) -> None:
        """The ACK for a 2xx goes its own way through the dialog, in a transaction of none."""
        hop = offer.dialog.next_hop()
        ack = offer.dialog.request(
            "ACK",
            responder.via(hop.transport),
            responder.contact,
            fields=tuple(f for f in offer.request.headers.fields if f[0] in _CREDENTIALS),
            cseq=offer.request.cseq.number,
        )
        self.layer.outbox.append((ack.encode(), hop))

"""The user agent server of RFC 3261 (§8.2, §12-15): datagrams and `now` in, calls out.

Laws:
- `receive_datagram`, `next_event`, `datagrams_to_send`, `get_timer`, `handle_timer`: no I/O, no clock.
- Any octets raise nothing: a malformed request is answered 400, other rubbish dropped and counted.
- A call is told of once (`CallOffered`) and ends once (`CallCancelled`, a rejection, `CallEnded` or
  our own `hang_up`).
- Knows no transport but by `Hop`: a stream transport feeds its messages to `receive`.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from um.core.ports import Metrics
from um.telephony.randomness import Randomness, token
from um.telephony.sip.admission import ACCEPT, ALLOW, ALLOW_EVENTS, SUPPORTED, Reply, examine
from um.telephony.sip.asking import Asking
from um.telephony.sip.calls import Calls, SipCall
from um.telephony.sip.credentials import Credential, Wallet
from um.telephony.sip.dialog import Dialog, accept_dialog
from um.telephony.sip.events import (
    CallAcknowledged,
    CallCancelled,
    CallOffered,
    Event,
    PeerLost,
    RequestAnswered,
    RequestOffered,
)
from um.telephony.sip.initiative import Initiative
from um.telephony.sip.inside import GONE, Inside
from um.telephony.sip.layer import (
    Address,
    Hop,
    ResponseHeard,
    ServerTransaction,
    TransactionLayer,
)
from um.telephony.sip.message import Field, Request, Response
from um.telephony.sip.parser import MalformedMessageError, is_keepalive, parse_message
from um.telephony.sip.reason import read_reasons
from um.telephony.sip.reinvite import Offers
from um.telephony.sip.responder import EndpointSettings, Responder

__all__ = ["Endpoint", "EndpointSettings"]

_MERGED: Final = Reply(482, "Loop Detected")


@dataclass(slots=True)
class Endpoint:
    """One SIP endpoint on one local address."""

    settings: EndpointSettings
    randomness: Randomness
    metrics: Metrics
    credentials: tuple[Credential, ...] = ()
    """What challenges to our requests are answered with."""
    draining: bool = False
    """New INVITEs and OPTIONS outside calls get 503 with Retry-After."""
    _layer: TransactionLayer = field(default_factory=TransactionLayer, repr=False)
    _calls: Calls = field(default_factory=Calls, repr=False)
    _events: deque[Event] = field(default_factory=deque, repr=False)
    _offered: dict[str, ServerTransaction] = field(default_factory=dict, repr=False)
    """Requests outside calls that wait for our user's answer."""
    _asked: set[str] = field(default_factory=set, repr=False)
    """Owners of requests outside calls that wait for the peer's answer."""
    _offers: Offers = field(init=False, repr=False)
    _asking: Asking = field(init=False, repr=False)
    _initiative: Initiative = field(init=False, repr=False)
    _inside: Inside = field(init=False, repr=False)

    def __post_init__(self) -> None:
        wallet = Wallet(self.randomness, self.credentials)
        self._offers = Offers(self._layer, wallet)
        self._asking = Asking(self._layer, self._via, wallet)
        self._initiative = Initiative(
            self._calls,
            self._asking,
            self._offers,
            self._answering,
            self.randomness,
            self._events,
        )
        self._inside = Inside(
            self._calls, self._initiative, self._layer, self._answering, self._events
        )

    # ---- network side

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram from the network (RFC 3261 §18.2.1).

        Args:
            data: the whole payload, at most 65,535 octets.
            address: where it came from; `received=` is set from it.
            now: monotonic time in seconds.

        Bad input raises nothing: a malformed request becomes a 400, a malformed response is
        dropped and counted.
        """
        self.receive(data, Hop("UDP", address), now)

    def receive(self, data: bytes, source: Hop, now: float) -> None:
        """Take one framed message from any transport."""
        if is_keepalive(data):
            return
        try:
            message = parse_message(data)
        except MalformedMessageError as error:
            self.metrics.count("sip_malformed_messages")
            self._responder.answer_malformed(error, source)
            return
        if isinstance(message, Response):
            if not self._layer.receive_response(message, now):
                self.metrics.count("sip_stray_responses")
            self._hear(now)
        else:
            self._receive_request(message, source, now)

    def next_event(self) -> Event | None:
        """The oldest event not yet taken, or None."""
        return self._events.popleft() if self._events else None

    def datagrams_to_send(self) -> list[tuple[bytes, Hop]]:
        """What must leave now, in order."""
        outgoing = list(self._layer.outbox)
        self._layer.outbox.clear()
        return outgoing

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, or None."""
        timers = (self._layer.get_timer(), self._calls.get_timer(), self._offers.get_timer())
        return min((timer for timer in timers if timer is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Run what is due: retransmissions, time-outs, refreshes of sessions."""
        self._layer.handle_timer(now)
        self._hear(now)
        for outcome in self._offers.overdue(now):
            self._initiative.offer_ended(outcome, now)
        self._initiative.handle_timer(now)
        for call in self._calls.due(now):
            self._inside.repeat_success(call, now)

    @property
    def asking(self) -> bool:
        """Whether a request of ours (BYE, REGISTER) still waits for its answer."""
        return self._layer.asking

    # ---- user side

    def answer(self, call: str, sdp: bytes, now: float) -> None:
        """Send 200 OK with our SDP (answer or offer); `CallAcknowledged` follows at the ACK.

        A call that is no longer there is ignored: a CANCEL may have crossed.
        """
        entry = self._calls.get(call)
        if entry is None or entry.answered:
            return
        self._calls.answer(entry)
        self._inside.accept(entry, entry.invite, sdp, now)

    def reject(
        self, call: str, status: int, reason: str, now: float, *, fields: tuple[Field, ...] = ()
    ) -> None:
        """Send a final failure (300..699); the call is gone."""
        entry = self._calls.get(call)
        if entry is None or entry.answered:
            return
        self._calls.forget(entry)
        self._respond(entry.invite, Reply(status, reason, fields), now)

    def accept_offer(self, call: str, sdp: bytes, now: float) -> None:
        """Answer the `MediaOffered` of a call with 200 and our SDP."""
        entry = self._calls.get(call)
        change = entry.take_change() if entry is not None else None
        if entry is not None and change is not None:
            self._inside.accept(entry, change, sdp, now)

    def refuse_offer(self, call: str, status: int, reason: str, now: float) -> None:
        """Refuse the `MediaOffered` of a call; the session stays as it was (§14.2)."""
        entry = self._calls.get(call)
        change = entry.take_change() if entry is not None else None
        if change is not None:
            self._respond(change, Reply(status, reason), now)

    def offer(self, call: str, sdp: bytes, now: float) -> bool:
        """Offer new media by re-INVITE; `OfferAnswered` or `OfferRefused` follows (§14.1).

        False, and nothing is sent, while another offer of either side is under way.
        """
        entry = self._calls.get(call)
        return entry is not None and self._initiative.offer(entry, sdp, now)

    def withdraw_offer(self, call: str, now: float) -> None:
        """Take our re-INVITE back; its answer may still cross (§9.1)."""
        entry = self._calls.get(call)
        if entry is not None:
            self._offers.withdraw(entry, now)

    def hang_up(self, call: str, now: float, *, fields: tuple[Field, ...] = ()) -> None:
        """End an answered call with BYE; no event follows. Before the ACK the BYE waits for it."""
        entry = self._calls.get(call)
        if entry is None or not entry.answered:
            return
        if entry.unacknowledged is not None and entry.unacknowledged.first:
            entry.hanging_up = fields
            return
        self._calls.forget(entry)
        self._initiative.bye(entry, fields, now)

    def refer(self, call: str, target: str, now: float) -> None:
        """Ask the peer to call `target` instead of us (RFC 3515); `TransferEnded` follows.

        Args:
            call: one that is up.
            target: a URI, or an extension of the core that sent the call.
            now: monotonic time in seconds.
        """
        entry = self._calls.get(call)
        if entry is not None and entry.answered:
            self._initiative.refer(entry, target, now)

    # ---- user side, outside calls

    def respond(
        self,
        name: str,
        status: int,
        reason: str,
        now: float,
        *,
        fields: tuple[Field, ...] = (),
    ) -> None:
        """Send the final response to a `RequestOffered`; a 2xx also names us and its routes."""
        transaction = self._offered.pop(name, None)
        if transaction is None:
            return
        if 200 <= status < 300:
            fields = (*self._responder.dialog_fields(transaction), *fields)
        self._respond(transaction, Reply(status, reason, fields), now)

    def new_via(self, hop: Hop) -> str:
        """The Via of a new request of ours, with a branch of its own."""
        return self._responder.via(hop.transport)

    @property
    def contact(self) -> str:
        """Our Contact value."""
        return self._responder.contact

    def uri_of(self, user: str, *, secure: bool = False) -> str:
        """Where `user` is called at this endpoint, as a `sip:` or, over TLS, a `sips:` URI."""
        return self._responder.uri_of(user, secure=secure)

    def unreachable(self, peer: Address, name: str, now: float) -> None:
        """A connection broke, or was not made: what was asked on it gets no answer.

        Args:
            peer: its far end.
            name: what that is called, as in `Hop.name`: another name is another connection.
            now: monotonic time in seconds.
        """
        self._layer.unreachable(peer, name, now)
        self._hear(now)
        self._events.append(PeerLost(peer, name))

    def send_request(
        self, owner: str, request: Request, hop: Hop, now: float, *, dialog: Dialog | None = None
    ) -> None:
        """Send a request outside all calls (not INVITE); `RequestAnswered` follows once.

        Args:
            owner: what the answer is known by; not used for another request before it came.
            request: whole, with a `new_via`.
            hop: where to.
            now: monotonic time in seconds.
            dialog: the one it is in, if any.
        """
        self._asked.add(owner)
        self._asking.ask(owner, request, hop, now, dialog=dialog)

    # ---- requests

    def _receive_request(self, request: Request, source: Hop, now: float) -> None:
        if request.method == "ACK":
            self._receive_ack(request, now)
            return
        known = self._layer.find_server(request, request.method)
        if known is not None:
            self._layer.repeat(known, now)
            return
        if len(self._layer) >= self.settings.max_transactions:
            self.metrics.count("sip_overload_drops")
            return
        tag = request.to.tag
        merged = not tag and request.method != "CANCEL" and self._layer.merged(request)
        transaction = self._layer.open_server(request, source)
        transaction.local_tag = token(self.randomness)
        refused = examine(request) or (_MERGED if merged else None)
        if refused is not None:
            self._respond(transaction, refused, now)
        elif request.method == "CANCEL":
            self._receive_cancel(transaction, now)
        elif tag and request.method != "SUBSCRIBE":  # its dialogs are our user's
            transaction.local_tag = tag
            self._inside.receive(transaction, now)
        else:
            self._receive_outside(transaction, now)

    def _offer_request(self, transaction: ServerTransaction) -> None:
        """Hand a request outside calls to our user: its dialogs are its own (RFC 6665 §4.2)."""
        request = transaction.request
        transaction.local_tag = request.to.tag or transaction.local_tag
        name = f"{transaction.key.branch}@{transaction.key.sent_by}"
        self._offered[name] = transaction
        self._events.append(
            RequestOffered(name, request, transaction.source, transaction.local_tag)
        )

    def _receive_outside(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        if request.method not in {"INVITE", "OPTIONS", "SUBSCRIBE"}:
            self._respond(transaction, GONE, now)
        elif self.draining:
            wait = ("retry-after", str(self.settings.retry_after_seconds))
            self._respond(transaction, Reply(503, "Service Unavailable", (wait,)), now)
        elif request.method == "OPTIONS":
            fields = (ALLOW, ALLOW_EVENTS, ACCEPT, ("accept-encoding", "identity"))
            self._respond(transaction, Reply(200, "OK", (*fields, SUPPORTED)), now)
        elif request.method == "SUBSCRIBE":
            self._offer_request(transaction)
        else:
            self._offer(transaction, now)

    def _offer(self, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        dialog = accept_dialog(request, transaction.local_tag, transaction.source)
        key = f"{transaction.local_tag}@{dialog.call_id}"
        entry = SipCall(key, dialog, transaction)
        refused = self._inside.agree(entry, request)
        if refused is not None:
            self._respond(transaction, refused, now)
            return
        self._calls.add(entry)
        self._respond(transaction, Reply(100, "Trying"), now)
        self._events.append(CallOffered(key, request, transaction.source))

    def _receive_ack(self, request: Request, now: float) -> None:
        transaction = self._layer.find_server(request, "INVITE")
        if transaction is not None:
            self._layer.acknowledge(transaction, now)
        entry = self._calls.of(request)
        waiting = entry.unacknowledged if entry else None
        if entry is None or waiting is None or waiting.cseq != request.cseq.number:
            return
        self._calls.acknowledge(entry)
        if entry.hanging_up is not None:
            self._calls.forget(entry)
            self._initiative.bye(entry, entry.hanging_up, now)
            return
        self._events.append(CallAcknowledged(entry.key, request.body, waiting.first))

    def _receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """§9.2: 200 to the CANCEL, 487 to an INVITE that has no final response yet."""
        invite = self._layer.find_server(transaction.request, "INVITE")
        if invite is None:
            self._respond(transaction, GONE, now)
            return
        transaction.local_tag = invite.local_tag
        self._respond(transaction, Reply(200, "OK"), now)
        if invite.answered:
            return
        self._respond(invite, Reply(487, "Request Terminated"), now)
        reasons = read_reasons(transaction.request)
        for entry in self._calls:
            if entry.change is invite:
                entry.change = None
            elif entry.invite is invite:
                self._calls.forget(entry)
                self._events.append(CallCancelled(entry.key, reasons))

    # ---- answers

    def _via(self, transport: str) -> str:
        return self._responder.via(transport)

    def _answering(self) -> Responder:
        return self._responder

    @property
    def _responder(self) -> Responder:
        """Made anew each time: the settings change once the port is bound."""
        return Responder(self.settings, self.randomness, self._layer)

    def _respond(self, transaction: ServerTransaction, what: Reply, now: float) -> None:
        self._responder.respond(transaction, what, now)

    # ---- answers to us

    def _hear(self, now: float) -> None:
        """Tell of final answers to requests outside calls; those inside have their own ways."""
        while self._layer.inbox:
            heard = self._layer.inbox.popleft()
            if not isinstance(heard, ResponseHeard):
                continue  # a failure that was never acknowledged changes nothing for us
            outcome = self._offers.hear(heard, self._responder, now)
            if outcome is not None:
                self._initiative.offer_ended(outcome, now)
            answer = self._asking.hear(heard, now)
            if answer is None:
                continue
            if answer.owner not in self._asked:
                self._initiative.answered(answer, now)
                continue
            self._asked.discard(answer.owner)
            number = answer.request.cseq.number
            self._events.append(RequestAnswered(answer.owner, answer.response, number))

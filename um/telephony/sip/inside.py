"""What the peer asks inside a call: changes, refreshes, keys, its end (RFC 3261 §12.2.2, §14.2, §15)."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from um.telephony.info import TYPES as DIGIT_TYPES
from um.telephony.info import read_digit
from um.telephony.sip.admission import ACCEPT, ALLOW, SUPPORTED, Reply
from um.telephony.sip.calls import Calls, SipCall
from um.telephony.sip.events import DigitSignalled, End, Event, MediaOffered
from um.telephony.sip.grammar import SipSyntaxError
from um.telephony.sip.initiative import Initiative
from um.telephony.sip.layer import ServerTransaction, TransactionLayer
from um.telephony.sip.message import Request
from um.telephony.sip.reason import read_reasons
from um.telephony.sip.responder import Responder
from um.telephony.sip.session_timer import agree

GONE: Final = Reply(481, "Call/Transaction Does Not Exist")
_DISORDER: Final = Reply(500, "CSeq Out of Order")
_PENDING: Final = Reply(491, "Request Pending")
_OK: Final = Reply(200, "OK")


@dataclass(slots=True)
class Inside:
    """Of one endpoint.

    Args:
        calls: which there are.
        initiative: what we do by ourselves.
        layer: sends.
        responder: our answers, as the settings are now.
        events: gets what the user must hear.
    """

    calls: Calls
    initiative: Initiative
    layer: TransactionLayer
    responder: Callable[[], Responder]
    events: deque[Event]

    def receive(self, transaction: ServerTransaction, now: float) -> None:
        """Take a request with a To tag, but no ACK, CANCEL or SUBSCRIBE."""
        request = transaction.request
        call = self.calls.of(request)
        if call is None:
            self._respond(transaction, GONE, now)
        elif not call.dialog.in_order(request):
            self._respond(transaction, _DISORDER, now)
        elif request.method == "BYE":
            self._respond(transaction, _OK, now)
            self.initiative.end(call, self.initiative.left(call), read_reasons(request))
        elif request.method in {"INVITE", "UPDATE"}:
            self._receive_change(call, transaction, now)
        elif request.method == "OPTIONS":
            self._respond(transaction, Reply(200, "OK", (ALLOW, ACCEPT, SUPPORTED)), now)
        elif request.method == "NOTIFY":
            self._respond(transaction, self.initiative.notified(call, request), now)
        elif request.method == "PRACK":  # no provisional response of ours waits for one
            self._respond(transaction, GONE, now)
        else:
            self._receive_info(call, transaction, now)

    def _receive_info(self, call: SipCall, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        answer = _information(request)
        self._respond(transaction, answer, now)
        digit = read_digit(request.headers.get("content-type") or "", request.body)
        if digit is not None and answer.status == 200:
            self.events.append(DigitSignalled(call.key, digit))

    def _receive_change(self, call: SipCall, transaction: ServerTransaction, now: float) -> None:
        request = transaction.request
        bare = request.method == "UPDATE" and not request.body  # a refresh only, RFC 4028 §7.4
        refused = _PENDING if not (call.settled or bare) else self.agree(call, request)
        if refused is not None:
            self._respond(transaction, refused, now)
            return
        call.dialog.refresh_target(request, transaction.source)
        if bare:
            self._refresh(call, transaction, now, b"")
            return
        call.change = transaction
        if request.method == "INVITE":
            self._respond(transaction, Reply(100, "Trying"), now)
        self.events.append(MediaOffered(call.key, request.body))

    # ---- sessions

    def agree(self, call: SipCall, request: Request) -> Reply | None:
        """Weigh a session refresh request (RFC 4028 §9): why it is refused, or None."""
        settings = self.responder().settings
        terms = agree(
            request,
            wanted=settings.session_expires_seconds,
            least=settings.min_session_expires_seconds,
            present=call.session,
        )
        if isinstance(terms, Reply):
            return terms
        call.terms = terms
        call.updates = _takes_update(request, call)
        return None

    def accept(self, call: SipCall, transaction: ServerTransaction, sdp: bytes, now: float) -> None:
        """Answer an INVITE or UPDATE with 200 and our SDP; that to an INVITE waits for its ACK."""
        call.description = sdp
        data = self._refresh(call, transaction, now, sdp)
        if transaction.request.method == "INVITE":
            self.calls.await_ack(call, transaction, data, now)

    def _refresh(
        self, call: SipCall, transaction: ServerTransaction, now: float, sdp: bytes
    ) -> bytes:
        """The 2xx to a session refresh request; returns what was sent."""
        self.initiative.agreed(call, now)
        fields = call.terms.fields if call.terms is not None else ()
        return self.responder().succeed(transaction, now, body=sdp, fields=fields)

    def repeat_success(self, call: SipCall, now: float) -> None:
        """Send a 2xx again, T1 doubling to T2, and give up after 64*T1 with a BYE (§13.3.1.4)."""
        waiting = call.unacknowledged
        if waiting is None:
            return
        if now >= waiting.give_up:
            self.initiative.end(call, End.NO_ACK)
            self.initiative.bye(call, call.hanging_up or (), now)
            return
        self.layer.outbox.append((waiting.data, waiting.hop))
        self.calls.repeat_later(call, waiting, now)

    def _respond(self, transaction: ServerTransaction, what: Reply, now: float) -> None:
        self.responder().respond(transaction, what, now)


def _takes_update(request: Request, call: SipCall) -> bool:
    """Whether the peer takes UPDATE, as far as it has said (RFC 3311 §4)."""
    if request.headers.get("allow") is None:
        return call.updates or request.method == "UPDATE"
    try:
        return "UPDATE" in request.headers.values("allow")
    except SipSyntaxError:
        return False


def _information(request: Request) -> Reply:
    """INFO (RFC 6086 §4.2.2): no package is ours; of the bodies of old only key presses are."""
    if request.headers.get("info-package") is not None:
        return Reply(469, "Bad Info Package", (("recv-info", ""),))
    kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if not request.body or kind in DIGIT_TYPES:
        return _OK
    return Reply(415, "Unsupported Media Type", (("accept", ", ".join(DIGIT_TYPES)),))

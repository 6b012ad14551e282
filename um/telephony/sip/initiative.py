"""What we do inside a call by ourselves: refresh it, offer other media, refer it, leave it.

Laws:
- A session is refreshed at half its time, by UPDATE if the peer takes it, else by a re-INVITE that
  repeats our SDP (RFC 4028 §7.4). If it is not refreshed in time, we leave with BYE (§10).
- A request that finds no call (408, 481, no answer) ends it (RFC 3261 §12.2.1.2).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from um.telephony.randomness import Randomness
from um.telephony.sip.admission import Reply
from um.telephony.sip.asking import Answer, Asking
from um.telephony.sip.calls import Calls, Deadline, SipCall
from um.telephony.sip.events import (
    CallEnded,
    End,
    Event,
    OfferAnswered,
    OfferRefused,
    TransferEnded,
)
from um.telephony.sip.grammar import host_port
from um.telephony.sip.message import Field, Request, Response
from um.telephony.sip.reason import RECOVERY_ON_TIMER_EXPIRY, Reason, reason
from um.telephony.sip.reinvite import Offers, Outcome
from um.telephony.sip.responder import Responder
from um.telephony.sip.session_timer import (
    Session,
    agreed_by_them,
    agreed_by_us,
    raised,
)
from um.telephony.sip.transfer import (
    LONGEST_SECONDS,
    Cue,
    Transfer,
    is_refer_event,
    next_state,
    read_notify,
)

AGAIN_SECONDS: Final = 1.0
"""A refresh waits so long for an offer that is under way."""
TIMED_OUT: Final = 408
"""What no answer at all counts as (§8.1.3.1)."""
_GLARE_SECONDS: Final = 2.0
"""§14.1: who did not make the Call-ID tries again within so long after a 491."""
_NO_CALL: Final = frozenset({408, 481})
_NOT_TAKEN: Final = frozenset({405, 501})
_EXPIRED: Final = reason(RECOVERY_ON_TIMER_EXPIRY, "Session timer expired")
_NO_SUBSCRIPTION: Final = Reply(481, "Subscription Does Not Exist")


@dataclass(slots=True)
class Initiative:
    """Of one endpoint.

    Args:
        calls: which there are.
        asking: carries the requests,
        offers: and the re-INVITEs.
        responder: our fields, as the settings are now.
        randomness: of the wait after a 491.
        events: gets what the user must hear.
    """

    calls: Calls
    asking: Asking
    offers: Offers
    responder: Callable[[], Responder]
    randomness: Randomness
    events: deque[Event]

    # ---- our user's wishes

    def offer(self, call: SipCall, sdp: bytes, now: float) -> bool:
        """Offer new media; False, and nothing is sent, while another offer is under way."""
        if not call.settled:
            return False
        self.offers.send(call, sdp, self.responder(), now)
        return True

    def refer(self, call: SipCall, target: str, now: float) -> None:
        """Ask the peer to call `target` instead of us (RFC 3515 §2.4.1); `TransferEnded` follows."""
        call.transfer = Transfer.ASKED
        self.calls.expect(call, Deadline.TRANSFER, now + LONGEST_SECONDS)
        extension = target.replace("#", "%23")  # no character of a user part (RFC 3261 §25.1)
        uri = target if ":" in target else f"sip:{extension}@{_core_of(call)}"
        local = call.dialog.local.rpartition(";tag=")[0]
        self._ask(call, "REFER", now, ("refer-to", f"<{uri}>"), ("referred-by", local))

    def bye(self, call: SipCall, fields: tuple[Field, ...], now: float) -> None:
        """Leave."""
        self._ask(call, "BYE", now, *fields)

    def end(self, call: SipCall, why: End, reasons: tuple[Reason, ...] = ()) -> None:
        """The call is over; our user is told, unless it has hung up."""
        self.calls.forget(call)
        if call.hanging_up is None:
            self.events.append(CallEnded(call.key, why, reasons))

    # ---- the session

    def agreed(self, call: SipCall, now: float) -> None:
        """A 2xx of ours to a session refresh request leaves."""
        self._keep(call, agreed_by_us(call.terms, now, call.session))

    def _keep(self, call: SipCall, session: Session | None) -> None:
        call.session = session
        refresh = session.refresh_at if session is not None else None
        self.calls.expect(call, Deadline.REFRESH, refresh)
        self.calls.expect(call, Deadline.EXPIRY, session.ends_at if session is not None else None)

    def _refresh(self, call: SipCall, now: float) -> None:
        if call.session is None:
            return
        if call.updates:
            self._ask(call, "UPDATE", now, *call.session.fields)
        elif call.settled:
            self.offers.send(call, call.description, self.responder(), now, refresh=True)
        else:
            self.calls.expect(call, Deadline.REFRESH, now + AGAIN_SECONDS)

    # ---- time

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for what, call in self.calls.overdue(now):
            match what:
                case Deadline.REFRESH:
                    self._refresh(call, now)
                case Deadline.EXPIRY:
                    self._expire(call, now)
                case Deadline.TRANSFER:
                    self._transfer(call, Cue.TIMEOUT, 0)

    def _expire(self, call: SipCall, now: float) -> None:
        fields = call.hanging_up or (_EXPIRED,)
        self.end(call, End.EXPIRED)
        self.bye(call, fields, now)

    # ---- their answers

    def answered(self, answer: Answer, now: float) -> None:
        """The final answer to a request of ours; after the call's end it is of no interest."""
        call = self.calls.get(answer.owner.partition(" ")[2])
        if call is None or answer.request.method == "BYE":
            return
        response = answer.response
        if response is None and answer.request.method == "REFER":
            self._transfer(call, Cue.REFUSED, 0)
        elif response is None or response.status in _NO_CALL:
            self._expire(call, now)
        elif answer.request.method == "REFER":
            taken = response.status < 300
            self._transfer(call, Cue.ACCEPTED if taken else Cue.REFUSED, response.status)
        elif response.status < 300:
            self._refreshed(call, response, now)
        else:
            self._not_refreshed(call, response, now)

    def offer_ended(self, outcome: Outcome, now: float) -> None:
        """A re-INVITE has its answer: our user hears of it, but for a refresh that changes nothing."""
        call, response = outcome.call, outcome.response
        if self.calls.get(call.key) is not call:
            return
        status = response.status if response is not None else TIMED_OUT
        if response is not None and status < 300:
            self._refreshed(call, response, now)
            if response.body or not outcome.refresh:
                self.events.append(OfferAnswered(call.key, response.body))
        elif not outcome.refresh:
            self.events.append(OfferRefused(call.key, status))
        elif response is None or status in _NO_CALL:
            self._expire(call, now)
        else:
            self._not_refreshed(call, response, now)

    def _refreshed(self, call: SipCall, response: Response, now: float) -> None:
        call.dialog.follow(response.contact)
        if call.session is not None:
            self._keep(call, agreed_by_them(response, now, call.session))

    def _not_refreshed(self, call: SipCall, response: Response, now: float) -> None:
        """§14.1 and RFC 4028 §10: follow the status and try again, but not for ever."""
        if call.session is None:
            return
        more = raised(response, call.session) if response.status == 422 else None
        if response.status in _NOT_TAKEN and call.updates:
            call.updates = False
            self._refresh(call, now)
        elif more is not None:
            call.session = more
            self._refresh(call, now)
        elif response.status == 491:
            wait = self.randomness.getrandbits(16) / 65_536 * _GLARE_SECONDS
            self.calls.expect(call, Deadline.REFRESH, now + wait)
        else:  # half of what is left, until there is not enough
            left = call.session.ends_at - now
            again = now + left / 2 if left > AGAIN_SECONDS else None
            self.calls.expect(call, Deadline.REFRESH, again)

    # ---- the transfer

    def notified(self, call: SipCall, request: Request) -> Reply:
        """Answer a NOTIFY inside a call: only those that our REFER asked for are ours."""
        if call.transfer is None or not is_refer_event(request):
            return _NO_SUBSCRIPTION
        cue, status = read_notify(request)
        if cue is not None:
            self._transfer(call, cue, status)
        return Reply(200, "OK")

    def left(self, call: SipCall) -> End:
        """Why a BYE came: a transferee that accepted may leave before it tells of the rest."""
        accepted = call.transfer in {Transfer.ACCEPTED, Transfer.DONE}
        return End.TRANSFERRED if accepted else End.BYE

    def _transfer(self, call: SipCall, cue: Cue, status: int) -> None:
        present = call.transfer
        if present is None or present.over:
            return
        call.transfer = next_state(present, cue)
        if call.transfer.over:
            self.calls.expect(call, Deadline.TRANSFER, None)
            done = call.transfer is Transfer.DONE
            self.events.append(TransferEnded(call.key, done, status))

    # ---- requests

    def _ask(self, call: SipCall, method: str, now: float, *fields: Field) -> None:
        responder, hop = self.responder(), call.dialog.next_hop()
        via = responder.via(hop.transport)
        contact = responder.contact_for(call.invite.request)
        request = call.dialog.request(method, via, contact, fields=fields)
        self.asking.ask(f"{method} {call.key}", request, hop, now, dialog=call.dialog)


def _core_of(call: SipCall) -> str:
    """The host that an extension of the core is dialled at: where our own requests go."""
    hop = call.dialog.next_hop()
    host, port = hop.otherwise
    known = hop.listening is not None or not hop.reliable
    return host_port(host, port if known and port != 5060 else None)

"""The offers of one call once it is up: theirs (re-INVITE, UPDATE) and ours of T.38 (RFC 3264 §8).

Laws:
- Exactly one answer to each offer of theirs; what does not fit is refused and changes nothing.
- What we offer is `Changeover`'s to decide: when, how often, and what a refusal means.
- After `close` nothing is offered any more.
"""

from collections.abc import Callable
from typing import Protocol

import structlog

from um.core.errors import UnavailableError
from um.telephony.application import EndReason, FaxMedia
from um.telephony.call_media import CallMedia
from um.telephony.changeover import PATIENCE_SECONDS, Changeover, Next
from um.telephony.media_house import MediaHouse
from um.telephony.offer import NotAcceptableError, is_t38_alone
from um.telephony.sdp import SdpError
from um.telephony.transport import DelayedCall, Reactor, SipPort

log = structlog.get_logger(__name__)


def refusal(error: SdpError | NotAcceptableError) -> tuple[int, str]:
    """Status and reason phrase for an offer that is not taken (RFC 3261 §13.3.1.3)."""
    if isinstance(error, NotAcceptableError):
        return 488, "Not Acceptable Here"
    return 400, "Bad Session Description"


class OfferHouse(MediaHouse, Protocol):
    """What offers need of the server around them."""

    reactor: Reactor


class Guarding(Protocol):
    """The call, as its offers see it."""

    name: str
    """At the endpoint."""

    def end(self, reason: EndReason) -> None: ...

    def guard(self, step: Callable[[], None]) -> None:
        """Run a step of the application; what it raises ends this call only."""
        ...


class Renegotiation:
    """Joins the call's media, its SIP dialog and the application where they agree on media anew."""

    def __init__(self, house: OfferHouse, sip: SipPort, media: CallMedia, call: Guarding) -> None:
        self._house = house
        self._sip = sip
        self._media = media
        self._call = call
        self._changeover = Changeover()
        self._changed: Callable[[FaxMedia], None] | None = None
        self._make_way: Callable[[], bool] | None = None
        self._patience: DelayedCall | None = None
        """Runs while an offer of T.38 of ours waits for its answer."""
        self._over = False

    def close(self) -> None:
        """The call is over."""
        self._over = True
        self._offer_ended()

    # ---- what the application asks for

    def take_t38(self, changed: Callable[[FaxMedia], None]) -> None:
        """See `Call.take_t38`."""
        self._changed = changed
        self._media.take_t38()

    def yield_to_t38(self, make_way: Callable[[], bool]) -> None:
        """See `Call.yield_to_t38`."""
        self._make_way = make_way

    def offer_t38(self) -> None:
        """See `Call.offer_t38`. Nothing is offered that is agreed already."""
        if self._over or not self._media.started or self._media.is_t38:
            return
        if not self._changeover.may_try():
            return
        sdp = self._media.offer(t38=True)
        if not self._sip.endpoint.offer(self._call.name, sdp, self._now()):
            self._offer_again()  # another offer is under way
            return
        log.info("telephony.t38-offered", call=self._media.name)
        self._patience = self._house.reactor.callLater(PATIENCE_SECONDS, self._lose_patience)
        self._sip.work()

    # ---- what the other side says

    def offered(self, body: bytes) -> None:
        """A re-INVITE or UPDATE: the same media, on hold or not, perhaps elsewhere."""
        endpoint, name, now = self._sip.endpoint, self._call.name, self._now()
        if is_t38_alone(body) and self._yields():
            self._media.take_t38()
        try:
            answer = self._media.describe(body)
        except (SdpError, NotAcceptableError) as error:
            endpoint.refuse_offer(name, *refusal(error), now)
        else:
            endpoint.accept_offer(name, answer, now)
            if body:  # else it is we who offered: their ACK has the answer
                self.tell_of_media()

    def answered(self, body: bytes) -> None:
        """The other side took our offer; media goes on as `body` says."""
        wanted = self._offer_ended()
        if self._over:
            return
        if self.learn_answer(body):
            self.tell_of_media()
        elif wanted:  # it took the offer and refused its media: the call has none now
            self._offer_audio()
        else:
            self._call.end(EndReason.FAILURE)

    def refused(self, status: int) -> None:
        """The session stays as it was."""
        wanted = self._offer_ended()
        if self._over:
            return
        log.info("telephony.offer-refused", call=self._media.name, status=status)
        self._house.metrics.count("telephony_offers_refused")
        what = self._changeover.refused(status)
        if what is Next.END or not wanted:
            self._call.end(EndReason.FAILURE)
        elif what is Next.AGAIN:
            self._offer_again()

    def learn_answer(self, body: bytes) -> bool:
        """Take the answer to an offer of ours; False if it does not fit."""
        try:
            self._media.learn_answer(body)
        except (SdpError, NotAcceptableError) as error:
            log.info("telephony.bad-answer", call=self._media.name, error=error.code)
            return False
        return True

    def tell_of_media(self) -> None:
        """Whoever has the socket must know where to send, and what."""
        changed = self._changed
        if changed is None or not self._media.handed_over:
            return
        try:
            media = self._media.fax_media
        except UnavailableError:
            log.info("telephony.no-modem-media", call=self._media.name)
            return
        self._call.guard(lambda: changed(media))

    def _yields(self) -> bool:
        """Whether the application gives the call up to the fax; asked until it does."""
        make_way, yields = self._make_way, False
        if make_way is None or not self._house.settings.takes_t38:
            return False

        def ask() -> None:
            nonlocal yields
            yields = make_way()

        self._call.guard(ask)
        if yields:
            self._make_way = None
        return yields

    def _offer_ended(self) -> bool:
        """Our offer has its answer; whether it was one of T.38."""
        patience, self._patience = self._patience, None
        if patience is not None and patience.active():
            patience.cancel()
        return patience is not None

    def _offer_again(self) -> None:
        pause = self._changeover.pause_seconds(self._house.randomness.getrandbits(32))
        self._house.reactor.callLater(pause, self.offer_t38)

    def _offer_audio(self) -> None:
        """Go back to what was before our offer of T.38."""
        sdp = self._media.offer(t38=False)
        if self._sip.endpoint.offer(self._call.name, sdp, self._now()):
            self._sip.work()
        else:
            self._call.end(EndReason.FAILURE)

    def _lose_patience(self) -> None:
        """Our offer of T.38 waits for too long: take it back."""
        if not self._over:
            log.info("telephony.offer-withdrawn", call=self._media.name)
            self._sip.endpoint.withdraw_offer(self._call.name, self._now())
            self._sip.work()

    def _now(self) -> float:
        return self._house.clock.monotonic()

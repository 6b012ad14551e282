"""One call: joins the SIP endpoint, the call's media and the application that has the call.

Laws:
- The application is told of `answered` at the ACK, and of `ended` exactly once, whatever happens
  (also when the caller gives up before the answer); nothing is told after that.
- An application that raises loses its own call and nothing else.
- Signalling stays here when the media is handed over.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from um.core.account import Account, Number, NumberUse
from um.core.errors import UnavailableError
from um.telephony.application import (
    ApplicationFactory,
    CallApplication,
    CallInfo,
    EndReason,
    FaxMedia,
    HandOver,
    MediaHandOver,
)
from um.telephony.call_media import CallMedia
from um.telephony.media_house import Local
from um.telephony.offer import NotAcceptableError, is_t38_alone
from um.telephony.presses import Presses, Way
from um.telephony.renegotiation import OfferHouse, Renegotiation, refusal
from um.telephony.rtp.session import Audio, Digit, MediaLost, PlaybackFinished, RtpEvent
from um.telephony.sdp import SdpError
from um.telephony.sip.events import CallOffered
from um.telephony.sip.message import Field
from um.telephony.sip.reason import (
    NORMAL_CLEARING,
    RECOVERY_ON_TIMER_EXPIRY,
    TEMPORARY_FAILURE,
    reason,
)
from um.telephony.transport import DelayedCall, SipPort

__all__ = ["CallHouse", "LiveCall", "Local"]

log = structlog.get_logger(__name__)

_VOICE: Final = "voice"
_FAX: Final = "fax"
"""The application of a call that is T.38 from its first offer on."""
_NORMAL: Final = (reason(NORMAL_CLEARING, "Normal clearing"),)
_BYE_REASONS: Final[Mapping[EndReason, tuple[Field, ...]]] = {
    **dict.fromkeys(EndReason, _NORMAL),
    EndReason.NO_MEDIA: (reason(RECOVERY_ON_TIMER_EXPIRY, "No media"),),
    EndReason.TOO_LONG: (reason(RECOVERY_ON_TIMER_EXPIRY, "Call too long"),),
    EndReason.DRAIN: (reason(TEMPORARY_FAILURE, "Shutting down"),),
    EndReason.FAILURE: (reason(TEMPORARY_FAILURE, "Internal failure"),),
}
"""What the core is told (RFC 3326); the session timer's own BYE is the endpoint's."""


class CallHouse(OfferHouse, Protocol):
    """What a call needs of the server around it."""

    applications: Mapping[str, ApplicationFactory]

    def forget(self, call: "LiveCall") -> None:
        """The call is over."""
        ...


class LiveCall:
    """Implements `um.telephony.application.Call`."""

    def __init__(
        self, house: CallHouse, sip: SipPort, offered: CallOffered, info: CallInfo, *, local: Local
    ) -> None:
        self.info = info
        self.name = offered.call
        self._house = house
        self._sip = sip
        self._offer = offered.request.body
        self._media = CallMedia(
            house,
            self._tell,
            name=info.call_id,
            core=offered.source.address[0],
            local=local,
        )
        self._presses = Presses()
        self.offers = Renegotiation(house, sip, self._media, self)
        self._account: Account | None = None
        self._number: Number | None = None
        self._application: CallApplication | None = None
        self._answering = False
        self._over = False
        self._has_failed = False
        self._not_transferred: Callable[[], None] | None = None
        """What to tell the application if a transfer under way comes to nothing."""
        self._limit: DelayedCall | None = None

    # ---- what the application sees

    @property
    def account(self) -> Account:
        if self._account is None:
            raise UnavailableError("The call belongs to no account")
        return self._account

    @property
    def number(self) -> Number:
        if self._number is None:
            raise UnavailableError("The call belongs to no number")
        return self._number

    @property
    def waveform(self) -> bool:
        return self._media.waveform

    def answer(self) -> None:
        """Bind a media port and send 200 OK; without a port the call is refused with 503."""
        if self._answering or self._over:
            return
        try:
            self._media.open()
            sdp = self._media.describe(self._offer)
        except (SdpError, NotAcceptableError) as error:
            self._refuse(*refusal(error))
            return
        except UnavailableError:
            self._refuse(503, "Service Unavailable")
            return
        self._answering = True
        self._sip.endpoint.answer(self.name, sdp, self._now())
        self._sip.work()

    def reject(self, status: int, reason: str) -> None:
        """Refuse; `ended` does not follow."""
        if not self._answering and not self._over:
            self._sip.endpoint.reject(self.name, status, reason, self._now())
            self._application = None
            self._finish(EndReason.APPLICATION)
            self._sip.work()

    def play(self, samples: bytes) -> None:
        self._media.play(samples)

    def stop_playing(self) -> None:
        self._media.stop_playing()

    def be_at_ease(self, *, at_ease: bool) -> None:
        self._media.be_at_ease(at_ease=at_ease)

    def hang_up(self) -> None:
        """Send BYE; `ended` follows in the loop's next turn."""
        self.end(EndReason.APPLICATION)

    def transfer(self, target: str, refused: Callable[[], None]) -> None:
        """See `Call.transfer`; before the ACK it is refused, too."""
        if self._over or self._not_transferred is not None or not self._media.started:
            self.call_later(0, lambda: None if self._over else refused())
            return
        self._not_transferred = refused
        log.info("telephony.transfer", call=self.info.call_id, target=target)
        self._sip.endpoint.refer(self.name, target, self._now())
        self._sip.work()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        timer: DelayedCall = self._house.reactor.callLater(seconds, lambda: self.guard(callback))

        def cancel() -> None:
            if timer.active():
                timer.cancel()

        return cancel

    def hand_over_media(self) -> MediaHandOver:
        """See `Call.hand_over_media`. Raises UnavailableError when no media flows."""
        return self._media.hand_over()

    def take_t38(self, changed: Callable[[FaxMedia], None]) -> None:
        """See `Call.take_t38`."""
        self.offers.take_t38(changed)

    def yield_to_t38(self, make_way: Callable[[], bool]) -> None:
        """See `Call.yield_to_t38`."""
        self.offers.yield_to_t38(make_way)

    def offer_t38(self) -> None:
        """See `Call.offer_t38`."""
        self.offers.offer_t38()

    # ---- what the server says

    def begin(self, application: str, account: Account | None, number: Number | None) -> None:
        """Give the call to an application; one that is unknown or fails refuses the call."""
        both = number is not None and number.use is NumberUse.BOTH
        may_be_fax = application == _VOICE and both and _FAX in self._house.applications
        if may_be_fax and is_t38_alone(self._offer):
            application = _FAX
        factory = self._house.applications.get(application)
        if factory is None:
            log.error("telephony.no-application", application=application, call=self.info.call_id)
            self._refuse(500, "Server Internal Error")
            return
        self._account, self._number = account, number
        self.begin_with(factory)

    def begin_with(self, factory: ApplicationFactory) -> None:
        """Give the call to what `factory` makes."""
        if self._over:
            return
        try:
            self._application = factory(self)
        except Exception:
            log.exception("telephony.application-failed", call=self.info.call_id)
            self._failed()

    def cancelled(self, *, elsewhere: bool) -> None:
        """The caller gave up, or got `elsewhere` what he wanted; 487 has been sent."""
        self._finish(EndReason.ELSEWHERE if elsewhere else EndReason.CALLER)

    def acknowledged(self, body: bytes, *, first: bool) -> None:
        """The ACK came: media flows; its `body` answers an offer of ours."""
        if self._over:
            return
        if body and not self.offers.learn_answer(body):
            self.end(EndReason.FAILURE)
            return
        if not first:
            if body:
                self.offers.tell_of_media()
            return
        if not self._media.agreed:  # we offered, and no answer came (RFC 3261 §13.2.1)
            self.end(EndReason.FAILURE)
            return
        self._media.start()
        self._limit = self._house.reactor.callLater(
            self._house.settings.max_call_seconds, lambda: self.end(EndReason.TOO_LONG)
        )
        if self._application is not None:
            self.guard(self._application.answered)

    def transfer_ended(self, *, done: bool, status: int) -> None:
        """The core has the caller, or the call goes on."""
        log.info("telephony.transfer-ended", call=self.info.call_id, done=done, status=status)
        refused, self._not_transferred = self._not_transferred, None
        if done:
            self.end(EndReason.TRANSFERRED)
        elif refused is not None and not self._over:
            self.guard(refused)

    def signalled(self, digit: str) -> None:
        """A key press in INFO."""
        if self._media.started and not self._over:
            self._media.catch_up()
            self._press(digit, Way.INFO)

    def lost(self, reason: EndReason) -> None:
        """The other side ended the call."""
        self._finish(reason)

    def end(self, reason: EndReason) -> None:
        """End the call from our side, whatever state it is in; `ended` follows in the next turn."""
        if self._over:
            return
        if self._answering:
            self._sip.endpoint.hang_up(self.name, self._now(), fields=_BYE_REASONS[reason])
        else:
            self._sip.endpoint.reject(self.name, 480, "Temporarily Unavailable", self._now())
        self._finish(reason, later=True)
        self._sip.work()

    # ---- the application and the end

    def _tell(self, event: RtpEvent) -> None:
        application = self._application
        if isinstance(event, MediaLost):
            self.end(EndReason.NO_MEDIA)
        elif application is None:
            return
        elif isinstance(event, Audio):
            self.guard(lambda: application.audio(event.samples))
            for digit in self._media.keys_in(event.samples):
                self._press(digit, Way.TONE)
        elif isinstance(event, Digit):
            self._press(event.digit, Way.EVENT)
        elif isinstance(event, PlaybackFinished):
            self.guard(application.playback_finished)

    def _press(self, digit: str, way: Way) -> None:
        """Tell of a key press once, whichever ways it comes."""
        application = self._application
        if application is not None and self._presses.is_new(digit, way, self._now()):
            self.guard(lambda: application.digit(digit))

    def guard(self, step: Callable[[], None]) -> None:
        """Run a step of the application; what it raises ends this call only.

        Once it has failed it hears of the end, and of nothing else.
        """
        if self._has_failed:
            return
        try:
            step()
        except HandOver as decision:
            self._hand_over(decision.application)
        except Exception:
            log.exception("telephony.application-failed", call=self.info.call_id)
            self._failed()

    def _hand_over(self, name: str) -> None:
        if self._over:  # the caller was quicker: the first application hears of the end
            return
        log.info("telephony.handed-over", call=self.info.call_id, application=name)
        factory = self._house.applications.get(name)
        if factory is None:
            log.error("telephony.no-application", application=name, call=self.info.call_id)
            self.end(EndReason.FAILURE)
            return
        self._house.metrics.count(f"calls_handed_over_{name}")
        self._media.stop_playing()
        self._media.be_at_ease(at_ease=False)
        self.begin_with(factory)
        if self._application is not None:
            self.guard(self._application.answered)

    def _failed(self) -> None:
        self._has_failed = True
        self._house.metrics.count("telephony_application_failures")
        self.end(EndReason.FAILURE)

    def _refuse(self, status: int, reason: str) -> None:
        """We refuse, not the application: it is told that the call ended."""
        self._sip.endpoint.reject(self.name, status, reason, self._now())
        self._finish(EndReason.FAILURE, later=True)
        self._sip.work()

    def _finish(self, reason: EndReason, *, later: bool = False) -> None:
        if self._over:
            return
        self._over = True
        self.offers.close()
        self._drain_media()
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._media.close()
        if later:
            self._house.reactor.callLater(0, lambda: self._say_ended(reason))
        else:
            self._say_ended(reason)

    def _drain_media(self) -> None:
        application = self._application
        if application is None or self._has_failed:
            return
        for samples in self._media.drain():
            try:
                application.audio(samples)
            except HandOver:
                return  # too late for another application
            except Exception:
                log.exception("telephony.application-failed", call=self.info.call_id)
                return

    def _say_ended(self, reason: EndReason) -> None:
        log.info("telephony.call-ended", call=self.info.call_id, reason=reason.value)
        self._house.metrics.count(f"calls_ended_{reason.value.replace('-', '_')}")
        self._house.forget(self)
        application, self._application = self._application, None
        if application is None:
            return
        try:
            application.ended(reason)
        except Exception:
            log.exception("telephony.application-failed", call=self.info.call_id)

    def _now(self) -> float:
        return self._house.clock.monotonic()

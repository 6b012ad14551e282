"""One call: joins the SIP endpoint, the media session and the application that has the call.

Laws:
- The application is told of `answered` at the ACK, and of `ended` exactly once, whatever happens
  (also when the caller gives up before the answer); nothing is told after that.
- An application that raises loses its own call and nothing else.
- Signalling stays here when the media is handed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Protocol

import structlog

from um.core.account import Account, Number
from um.core.errors import UnavailableError
from um.core.ports import Clock, Metrics
from um.telephony.application import (
    ApplicationFactory,
    CallApplication,
    CallInfo,
    EndReason,
    HandOver,
    MediaHandOver,
    ToneDetector,
)
from um.telephony.codec import Codecs
from um.telephony.offer import Agreed, MediaNegotiation, NotAcceptableError
from um.telephony.presses import Presses, Way
from um.telephony.randomness import Randomness
from um.telephony.rtp.dtmf import DIGITS
from um.telephony.rtp.session import (
    Audio,
    Digit,
    MediaLost,
    PlaybackFinished,
    RtpEvent,
    RtpSession,
)
from um.telephony.rtp.source import Address
from um.telephony.rtp.speaker import StreamState
from um.telephony.sdp import SdpError
from um.telephony.settings import TelephonySettings
from um.telephony.sip.events import CallOffered
from um.telephony.transport import DelayedCall, MediaPort, MediaPorts, Reactor, SipPort

log = structlog.get_logger(__name__)

_NOT_ACCEPTABLE: Final = (488, "Not Acceptable Here")


class CallHouse(Protocol):
    """What a call needs of the server around it."""

    settings: TelephonySettings
    applications: Mapping[str, ApplicationFactory]
    reactor: Reactor
    clock: Clock
    metrics: Metrics
    randomness: Randomness
    ports: MediaPorts
    codecs: Codecs
    tones: Callable[[], ToneDetector] | None

    def forget(self, call: "LiveCall") -> None:
        """The call is over."""
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """Where a call's listener is: what we bind media to, and what we advertise."""

    bind: str
    advertised: str


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
        self._core = offered.source.address[0]
        self._local = local
        self._account: Account | None = None
        self._number: Number | None = None
        self._application: CallApplication | None = None
        self._port: MediaPort | None = None
        self._negotiation: MediaNegotiation | None = None
        self._session: RtpSession | None = None
        self._presses = Presses()
        self._tones: ToneDetector | None = None
        self._answering = False
        self._up = False
        self._over = False
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

    def answer(self) -> None:
        """Bind a media port and send 200 OK; without a port the call is refused with 503."""
        if self._answering or self._over:
            return
        try:
            self._open_media()
            sdp = self._describe()
        except NotAcceptableError:
            self._refuse(*_NOT_ACCEPTABLE)
            return
        except SdpError:
            self._refuse(400, "Bad Session Description")
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
        if self._session is not None:
            self._session.play(samples)

    def stop_playing(self) -> None:
        if self._session is not None:
            self._session.stop_playing()

    def hang_up(self) -> None:
        """Send BYE; `ended` follows in the loop's next turn."""
        self.end(EndReason.APPLICATION)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        timer: DelayedCall = self._house.reactor.callLater(seconds, lambda: self._guard(callback))

        def cancel() -> None:
            if timer.active():
                timer.cancel()

        return cancel

    def hand_over_media(self) -> MediaHandOver:
        """See `Call.hand_over_media`. Raises UnavailableError when no media flows."""
        session, port = self._session, self._port
        if session is None or port is None or session.remote is None:
            raise UnavailableError("The call has no media to hand over")
        if not session.codec.waveform:
            raise UnavailableError(f"{session.codec.name} carries no modem")
        self._log_media(session)
        self._session = None
        return MediaHandOver(
            socket=port.give_away(),
            remote=session.remote,
            payload_type=session.payload_type,
            ptime_ms=session.ptime_ms,
            next_sequence=session.stream.sequence,
            next_timestamp=session.stream.timestamp,
            ssrc=session.stream.ssrc,
        )

    # ---- what the server says

    def begin(self, application: str, account: Account | None, number: Number | None) -> None:
        """Give the call to an application; one that is unknown or fails refuses the call."""
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

    def cancelled(self) -> None:
        """The caller gave up; 487 has been sent."""
        self._finish(EndReason.CALLER)

    def acknowledged(self, body: bytes, *, first: bool) -> None:
        """The ACK came: media flows; its `body` answers an offer of ours."""
        if self._over:
            return
        if body and self._negotiation is not None and not self._learn_answer(body):
            self.end(EndReason.FAILURE)
            return
        if not first:
            return
        if self._session is None:  # we offered, and no answer came (RFC 3261 §13.2.1)
            self.end(EndReason.FAILURE)
            return
        self._up = True
        self._limit = self._house.reactor.callLater(
            self._house.settings.max_call_seconds, lambda: self.end(EndReason.TOO_LONG)
        )
        if self._application is not None:
            self._guard(self._application.answered)

    def media_offered(self, body: bytes) -> None:
        """A re-INVITE or UPDATE: the same media, on hold or not, perhaps elsewhere (RFC 3264 §8)."""
        endpoint, now = self._sip.endpoint, self._now()
        if self._negotiation is None:
            endpoint.refuse_offer(self.name, *_NOT_ACCEPTABLE, now)
            return
        try:
            if body:
                answer, agreed = self._negotiation.answer(body)
                self._agree(agreed)
            else:
                answer = self._negotiation.offer()
        except NotAcceptableError:
            endpoint.refuse_offer(self.name, *_NOT_ACCEPTABLE, now)
        except SdpError:
            endpoint.refuse_offer(self.name, 400, "Bad Session Description", now)
        else:
            endpoint.accept_offer(self.name, answer, now)

    def signalled(self, digit: str) -> None:
        """A key press in INFO."""
        if self._up and not self._over:
            self._press(digit, Way.INFO)

    def lost(self, reason: EndReason) -> None:
        """The other side ended the call."""
        self._finish(reason)

    def end(self, reason: EndReason) -> None:
        """End the call from our side, whatever state it is in; `ended` follows in the next turn."""
        if self._over:
            return
        if self._answering:
            self._sip.endpoint.hang_up(self.name, self._now())
        else:
            self._sip.endpoint.reject(self.name, 480, "Temporarily Unavailable", self._now())
        self._finish(reason, later=True)
        self._sip.work()

    def tick(self, now: float) -> None:
        """Every 20 ms."""
        if self._session is not None:
            self._session.tick(now)
            self._work()

    # ---- media

    def _open_media(self) -> None:
        self._port = self._house.ports.open(
            self._local.bind, self._receive, on_report=self._receive_report
        )
        session_id = self._house.randomness.getrandbits(48)
        self._negotiation = MediaNegotiation(
            self._local.advertised, self._port.number, session_id, self._house.codecs
        )

    def _describe(self) -> bytes:
        """Our answer to the INVITE's offer, or our offer if it had none."""
        assert self._negotiation is not None
        if not self._offer:
            return self._negotiation.offer()
        answer, agreed = self._negotiation.answer(self._offer)
        self._agree(agreed)
        return answer

    def _learn_answer(self, body: bytes) -> bool:
        assert self._negotiation is not None
        try:
            self._agree(self._negotiation.read_answer(body))
        except (SdpError, NotAcceptableError) as error:
            log.info("telephony.bad-answer", call=self.info.call_id, error=error.code)
            return False
        return True

    def _agree(self, agreed: Agreed) -> None:
        if self._session is not None:
            self._session.renegotiate(agreed)
        elif self._port is not None and not self._up:
            bits = self._house.randomness.getrandbits
            self._session = RtpSession(
                agreed,
                core=self._core,
                stream=StreamState(bits(16), bits(32), bits(32)),
                now=self._now(),
                metrics=self._house.metrics,
                codecs=self._house.codecs,
                no_media_seconds=self._house.settings.no_media_seconds,
            )

    def _receive(self, data: bytes, address: Address) -> None:
        if self._session is not None:
            self._session.receive_datagram(data, address, self._now())
            self._work()

    def _receive_report(self, data: bytes, address: Address) -> None:
        if self._session is not None:
            self._session.receive_report(data, address, self._now())

    def _work(self) -> None:
        session, port = self._session, self._port
        if session is None or port is None:
            return
        for data, address in session.datagrams_to_send():
            port.send(data, address)
        for data, address in session.reports_to_send():
            port.send_report(data, address)
        while (event := session.next_event()) is not None:
            if self._up and self._session is session:
                self._tell(event)

    def _tell(self, event: RtpEvent) -> None:
        application = self._application
        if isinstance(event, MediaLost):
            self.end(EndReason.NO_MEDIA)
        elif application is None:
            return
        elif isinstance(event, Audio):
            self._guard(lambda: application.audio(event.samples))
            self._listen_for_tones(event.samples)
        elif isinstance(event, Digit):
            self._press(event.digit, Way.EVENT)
        elif isinstance(event, PlaybackFinished):
            self._guard(application.playback_finished)

    def _press(self, digit: str, way: Way) -> None:
        """Tell of a key press once, whichever ways it comes."""
        application = self._application
        if application is not None and self._presses.is_new(digit, way, self._now()):
            self._guard(lambda: application.digit(digit))

    def _listen_for_tones(self, samples: bytes) -> None:
        """Keys by their tones, only where no telephone events were agreed."""
        session, make = self._session, self._house.tones
        if session is None or make is None or session.has_events:
            return
        if self._tones is None:
            self._tones = make()
        for tone in self._tones.feed(samples):
            if tone in DIGITS and self._session is session:
                self._press(tone, Way.TONE)

    # ---- the application and the end

    def _guard(self, step: Callable[[], None]) -> None:
        """Run a step of the application; what it raises ends this call only."""
        try:
            step()
        except HandOver as decision:
            self._hand_over(decision.application)
        except Exception:
            log.exception("telephony.application-failed", call=self.info.call_id)
            self._failed()

    def _hand_over(self, name: str) -> None:
        log.info("telephony.handed-over", call=self.info.call_id, application=name)
        factory = self._house.applications.get(name)
        if factory is None or self._over:
            log.error("telephony.no-application", application=name, call=self.info.call_id)
            self.end(EndReason.FAILURE)
            return
        if self._session is not None:
            self._session.stop_playing()
        self.begin_with(factory)
        if self._application is not None:
            self._guard(self._application.answered)

    def _failed(self) -> None:
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
        self._drain_session()
        self._part_from_media()
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        if self._port is not None:
            self._port.close()
        if later:
            self._house.reactor.callLater(0, lambda: self._say_ended(reason))
        else:
            self._say_ended(reason)

    def _part_from_media(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if self._port is not None:
            for data, address in session.reports_to_send():
                self._port.send_report(data, address)
        self._log_media(session)

    def _log_media(self, session: RtpSession) -> None:
        log.info("telephony.media", call=self.info.call_id, **asdict(session.statistics))

    def _drain_session(self) -> None:
        """What waited behind a gap is still the caller's speech."""
        if self._session is None or not self._up or self._application is None:
            return
        self._session.finish(self._now())
        application = self._application
        while (event := self._session.next_event()) is not None:
            if isinstance(event, Audio):
                try:
                    application.audio(event.samples)
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

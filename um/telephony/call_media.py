"""The media of one call: its port, what was agreed of it (RFC 3264), and the RTP session.

Laws:
- Nothing that was heard is told before `start` (the ACK).
- What is heard is told a fifth of a second at a time (at ease half a second), and before whatever comes
  after it: an application costs more than the codec.
- After `hand_over` or `close` no datagram leaves and none is taken in; what is agreed of the media
  after that is for whoever has the socket.
- Where nobody waits for an answer (`be_at_ease`), what comes is taken in every fifth beat only (`beats`).
- There is RTP, or T.38 for whoever takes the socket; T.38 itself is not spoken here.
- Knows no signalling: descriptions come and go as octets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Final

import structlog

from um.core.errors import UnavailableError
from um.telephony.application import SAMPLE_RATE, FaxMedia, MediaHandOver, ToneDetector
from um.telephony.datagrams import Datagram
from um.telephony.media_house import Local, MediaHouse
from um.telephony.offer import PTIME_MS, Agreed, AgreedT38, MediaNegotiation, NotAcceptableError
from um.telephony.rtp.dtmf import DIGITS
from um.telephony.rtp.g711 import PCMU
from um.telephony.rtp.session import Audio, RtpEvent, RtpSession
from um.telephony.rtp.source import Address
from um.telephony.rtp.speaker import StreamState
from um.telephony.transport import MediaPort

log = structlog.get_logger(__name__)

_DISCARD_PORT = 9
"""RFC 863: where nobody listens, until the peer's first datagram says where it is."""
MOST_AT_EASE: Final = 32
"""Datagrams of a tenth of a second; more is a flood, or what a stall of the process has left."""
_TOLD_OCTETS: Final = 2 * SAMPLE_RATE // 5
_TOLD_AT_EASE_OCTETS: Final = SAMPLE_RATE


class CallMedia:
    """What one call hears and says. `tell` gets each event once media has started."""

    def __init__(
        self,
        house: MediaHouse,
        tell: Callable[[RtpEvent], None],
        *,
        name: str,
        core: str,
        local: Local,
    ) -> None:
        self._house = house
        self._tell = tell
        self.name = name
        """The call, for the log."""
        self._core = core
        """The host that signals: media may come from there though its SDP names another."""
        self._local = local
        self._port: MediaPort | None = None
        self._negotiation: MediaNegotiation | None = None
        self._session: RtpSession | None = None
        self._agreed: Agreed | AgreedT38 | None = None
        self._takes_t38 = False
        self._handed_over = False
        self._tones: ToneDetector | None = None
        self._started = False
        self._turn = house.beats.join(self)
        self._heard: list[bytes] = []
        self._heard_octets = 0

    @property
    def agreed(self) -> bool:
        """Whether both sides know where media goes."""
        return self._agreed is not None

    @property
    def is_t38(self) -> bool:
        """Whether the call is in T.38 by now."""
        return isinstance(self._agreed, AgreedT38)

    @property
    def handed_over(self) -> bool:
        """Whether the socket is another's."""
        return self._handed_over

    @property
    def waveform(self) -> bool:
        """Whether the agreed codec keeps waveforms."""
        return self._session is not None and self._session.codec.waveform

    @property
    def started(self) -> bool:
        """Whether the call is up."""
        return self._started

    # ---- what is agreed

    def open(self) -> None:
        """Bind a port. Raises UnavailableError if there is none."""
        self._port = self._house.ports.open(
            self._local.bind, self._receive, on_report=self._receive_reports
        )
        session_id = self._house.randomness.getrandbits(48)
        self._negotiation = MediaNegotiation(
            self._local.advertised,
            self._port.number,
            session_id,
            self._house.codecs,
            takes_t38=self._takes_t38,
        )

    def take_t38(self) -> None:
        """T.38 fits from now on."""
        self._takes_t38 = True
        if self._negotiation is not None:
            self._negotiation.takes_t38 = True

    def describe(self, offer: bytes) -> bytes:
        """Our answer to `offer`, or our own offer if it is empty.

        Raises SdpError, and NotAcceptableError, also before `open`.
        """
        if self._negotiation is None:
            raise NotAcceptableError
        if not offer:
            return self._negotiation.offer()
        answer, agreed = self._negotiation.answer(offer)
        self._agree(agreed)
        return answer

    def offer(self, *, t38: bool) -> bytes:
        """Our offer of T.38, or of audio, for a re-INVITE. Raises NotAcceptableError before `open`."""
        if self._negotiation is None:
            raise NotAcceptableError
        return self._negotiation.offer_t38() if t38 else self._negotiation.offer_audio()

    def learn_answer(self, body: bytes) -> None:
        """Take the answer to our offer. Raises SdpError, NotAcceptableError."""
        if self._negotiation is not None:
            self._agree(self._negotiation.read_answer(body))

    def _agree(self, agreed: Agreed | AgreedT38) -> None:
        self._agreed = agreed
        if isinstance(agreed, AgreedT38):
            self._end_session()
        elif self._session is not None:
            self._session.renegotiate(agreed)
        elif self._port is not None and not self._handed_over:
            self._session = RtpSession(
                agreed,
                core=self._core,
                stream=self._new_stream(),
                now=self._now(),
                metrics=self._house.metrics,
                codecs=self._house.codecs,
                no_media_seconds=self._house.settings.no_media_seconds,
                unbroken=self._house.settings.send_silence,
            )

    def _new_stream(self) -> StreamState:
        bits = self._house.randomness.getrandbits
        return StreamState(bits(16), bits(32), bits(32))

    # ---- while the call is up

    def start(self) -> None:
        """The call is up: what is heard is told from now on."""
        self._started = True

    def play(self, samples: bytes) -> None:
        if self._session is not None:
            self._make_up(self._session)
            self._turn.speak_up()
            self._session.play(samples)

    def stop_playing(self) -> None:
        if self._session is not None:
            self._session.stop_playing()

    def be_at_ease(self, *, at_ease: bool) -> None:
        """See `Call.be_at_ease`."""
        self._turn.want(ease=at_ease)
        if not at_ease:
            self._rouse()

    def speak(self, now: float) -> None:
        """See `Member`."""
        session, port = self._session, self._port
        if session is None or port is None:
            return
        beats = self._turn.owed()
        ends = session.finishes_within(beats)
        if ends:  # what came until now was said before the end, what comes from now on after it
            port.take(now)
        session.speak(beats)
        self._send(session)
        if ends:
            session.listen(now)
            self._tell_events(session)

    def listen(self, now: float) -> None:
        """See `Member`."""
        session, port, turn = self._session, self._port, self._turn
        if session is None or port is None:
            return
        all_came = True
        if turn.at_ease:
            self._make_up(session)
            all_came = port.take(now, MOST_AT_EASE)
        session.listen(now)
        self._send(session)
        self._tell_events(session)
        if self._session is session:
            turn.judge(calm=session.take_calm() and all_came, silent=session.is_silent)
            port.rest(resting=turn.at_ease)

    def _make_up(self, session: RtpSession) -> None:
        """Say what is due in the beats that have passed."""
        session.speak(self._turn.owed())
        self._send(session)

    def _rouse(self) -> None:
        """Listen in each beat again."""
        self._turn.rouse()
        if self._port is not None:
            self._port.rest(resting=False)

    def _receive(self, datagrams: Sequence[Datagram]) -> None:
        session = self._session
        if session is not None:
            session.receive(datagrams)
            self._tell_events(session)

    def keys_in(self, samples: bytes) -> Iterator[str]:
        """Key presses by their tones, only where no telephone events were agreed."""
        session, make = self._session, self._house.tones
        if session is None or make is None or session.has_events:
            return
        if self._tones is None:
            self._tones = make()
        for tone in self._tones.feed(samples):
            if tone in DIGITS and self._session is session:
                yield tone

    def _receive_reports(self, datagrams: Sequence[Datagram]) -> None:
        for data, address, at in datagrams:
            if self._session is not None:
                self._session.receive_report(data, address, at)

    def _send(self, session: RtpSession) -> None:
        port = self._port
        if port is None:
            return
        for data, address in session.datagrams_to_send():
            port.send(data, address)
        for data, address in session.reports_to_send():
            port.send_report(data, address)

    def _tell_events(self, session: RtpSession) -> None:
        while (event := session.next_event()) is not None:
            if not self._started or self._session is not session:
                continue
            if isinstance(event, Audio):
                self._heard.append(event.samples)
                self._heard_octets += len(event.samples)
                if self._heard_octets >= self._told_octets:
                    self.tell_heard()
            else:
                self.tell_heard()
                self._tell(event)

    @property
    def _told_octets(self) -> int:
        return _TOLD_AT_EASE_OCTETS if self._turn.at_ease else _TOLD_OCTETS

    def catch_up(self) -> None:
        """Tell what was heard before something that comes another way."""
        if self._port is not None:
            self._port.take(self._now())
        self._rouse()
        self.tell_heard()

    def tell_heard(self) -> None:
        """Tell what was heard and is not told yet."""
        if self._heard:
            self._tell(Audio(self._take_heard()))

    def _take_heard(self) -> bytes:
        samples = b"".join(self._heard)
        self._heard.clear()
        self._heard_octets = 0
        return samples

    # ---- the end

    def hand_over(self) -> MediaHandOver:
        """Give the socket away with all it takes to go on. Raises UnavailableError without media."""
        given = self._given_away()
        self._handed_over = True
        self._turn.leave()
        return given

    def _given_away(self) -> MediaHandOver:
        session, port = self._session, self._port
        if isinstance(self._agreed, AgreedT38) and port is not None:
            return self._hand_over_t38(port, self._agreed)
        if session is None or port is None or session.remote is None:
            raise UnavailableError("The call has no media to hand over")
        if not session.codec.waveform:
            raise UnavailableError(f"{session.codec.name} carries no modem")
        self._make_up(session)
        self._end_session()
        return MediaHandOver(
            socket=port.give_away(),
            remote=session.remote,
            payload_type=session.payload_type,
            ptime_ms=session.ptime_ms,
            next_sequence=session.stream.sequence,
            next_timestamp=session.stream.timestamp,
            ssrc=session.stream.ssrc,
            core=self._core,
        )

    def _hand_over_t38(self, port: MediaPort, agreed: AgreedT38) -> MediaHandOver:
        stream = self._new_stream()  # for audio, should the call go back to it
        return MediaHandOver(
            socket=port.give_away(),
            remote=agreed.remote or self._unknown_place,
            payload_type=PCMU,
            ptime_ms=PTIME_MS,
            next_sequence=stream.sequence,
            next_timestamp=stream.timestamp,
            ssrc=stream.ssrc,
            t38=agreed.terms,
            core=self._core,
        )

    @property
    def fax_media(self) -> FaxMedia:
        """What is agreed by now. Raises UnavailableError where a modem gets through by neither."""
        agreed = self._agreed
        if agreed is None:
            raise UnavailableError("The call has no media")
        remote = agreed.remote or self._unknown_place
        if isinstance(agreed, AgreedT38):
            return FaxMedia(remote, PCMU, agreed.terms)
        if not agreed.codec.waveform:
            raise UnavailableError(f"{agreed.codec.name} carries no modem")
        return FaxMedia(remote, agreed.payload_type, None)

    @property
    def _unknown_place(self) -> Address:
        return self._core, _DISCARD_PORT

    def drain(self) -> Iterator[bytes]:
        """What waited for a beat or behind a gap: it is still the caller's speech."""
        session = self._session
        if session is None or not self._started:
            return
        if self._port is not None:
            self._port.take(self._now())
        if self._heard:
            yield self._take_heard()
        session.finish(self._now())
        while (event := session.next_event()) is not None:
            if isinstance(event, Audio):
                yield event.samples

    def close(self) -> None:
        """Give the port back; harmless when it was never bound or was given away."""
        session = self._session
        if session is not None and self._port is not None:
            for data, address in session.reports_to_send():
                self._port.send_report(data, address)
        self._end_session()
        self._turn.leave()
        if self._port is not None:
            self._port.close()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        self._rouse()
        self._take_heard()
        if session is not None:
            self._log(session)

    def _log(self, session: RtpSession) -> None:
        log.info("telephony.media", call=self.name, **asdict(session.statistics))

    def _now(self) -> float:
        return self._house.clock.monotonic()

"""The media of one call: its port, what was agreed of it (RFC 3264), and the RTP session.

Laws:
- Nothing that was heard is told before `start` (the ACK).
- What is heard is told a fifth of a second at a time, and before whatever comes after it: an
  application costs more than the codec.
- After `hand_over` or `close` no datagram leaves and none is taken in; what is agreed of the media
  after that is for whoever has the socket.
- There is RTP, or T.38 for whoever takes the socket; T.38 itself is not spoken here.
- Knows no signalling: descriptions come and go as octets.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Final, Protocol

import structlog

from um.core.errors import UnavailableError
from um.core.ports import Clock, Metrics
from um.telephony.application import SAMPLE_RATE, FaxMedia, MediaHandOver, ToneDetector
from um.telephony.codec import Codecs
from um.telephony.offer import PTIME_MS, Agreed, AgreedT38, MediaNegotiation, NotAcceptableError
from um.telephony.randomness import Randomness
from um.telephony.rtp.dtmf import DIGITS
from um.telephony.rtp.g711 import PCMU
from um.telephony.rtp.session import Audio, RtpEvent, RtpSession
from um.telephony.rtp.source import Address
from um.telephony.rtp.speaker import StreamState
from um.telephony.settings import TelephonySettings
from um.telephony.transport import MediaPort, MediaPorts

log = structlog.get_logger(__name__)

_DISCARD_PORT = 9
"""RFC 863: where nobody listens, until the peer's first datagram says where it is."""
_TOLD_OCTETS: Final = 2 * SAMPLE_RATE // 5


class MediaHouse(Protocol):
    """What the media of a call needs of the server around it."""

    settings: TelephonySettings
    clock: Clock
    metrics: Metrics
    randomness: Randomness
    ports: MediaPorts
    codecs: Codecs
    tones: Callable[[], ToneDetector] | None


@dataclass(frozen=True, slots=True)
class Local:
    """Where a call's listener is: what we bind media to, and what we advertise."""

    bind: str
    advertised: str


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
        self._name = name
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
            self._local.bind, self._receive, on_report=self._receive_report
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
            self._session.play(samples)

    def stop_playing(self) -> None:
        if self._session is not None:
            self._session.stop_playing()

    def tick(self, now: float) -> None:
        """Every 20 ms."""
        session = self._session
        if session is None:
            return
        session.tick(now)
        self._send(session)
        self._tell_events(session)

    def _receive(self, data: bytes, address: Address, now: float) -> None:
        session = self._session
        if session is not None:
            session.receive_datagram(data, address, now)
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

    def _receive_report(self, data: bytes, address: Address, now: float) -> None:
        if self._session is not None:
            self._session.receive_report(data, address, now)

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
                if self._heard_octets >= _TOLD_OCTETS:
                    self.tell_heard()
            else:
                self.tell_heard()
                self._tell(event)

    def tell_heard(self) -> None:
        """Tell what was heard before something that comes another way."""
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
        session, port = self._session, self._port
        if isinstance(self._agreed, AgreedT38) and port is not None:
            return self._hand_over_t38(port, self._agreed)
        if session is None or port is None or session.remote is None:
            raise UnavailableError("The call has no media to hand over")
        if not session.codec.waveform:
            raise UnavailableError(f"{session.codec.name} carries no modem")
        self._end_session()
        self._handed_over = True
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
        self._handed_over = True
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
            self._port.take_last(self._now())
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
        if self._port is not None:
            self._port.close()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        self._take_heard()
        if session is not None:
            self._log(session)

    def _log(self, session: RtpSession) -> None:
        log.info("telephony.media", call=self._name, **asdict(session.statistics))

    def _now(self) -> float:
        return self._house.clock.monotonic()

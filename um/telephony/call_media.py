"""The media of one call: its port, what was agreed of it (RFC 3264), and the RTP session.

Laws:
- Nothing that was heard is told before `start` (the ACK).
- After `hand_over` or `close` no datagram leaves and none is taken in.
- Knows no signalling: descriptions come and go as octets.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

import structlog

from um.core.errors import UnavailableError
from um.core.ports import Clock, Metrics
from um.telephony.application import MediaHandOver, ToneDetector
from um.telephony.codec import Codecs
from um.telephony.offer import Agreed, MediaNegotiation, NotAcceptableError
from um.telephony.randomness import Randomness
from um.telephony.rtp.dtmf import DIGITS
from um.telephony.rtp.session import Audio, RtpEvent, RtpSession
from um.telephony.rtp.source import Address
from um.telephony.rtp.speaker import StreamState
from um.telephony.settings import TelephonySettings
from um.telephony.transport import MediaPort, MediaPorts

log = structlog.get_logger(__name__)


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
        self._tones: ToneDetector | None = None
        self._started = False

    @property
    def agreed(self) -> bool:
        """Whether both sides know where media goes, and we still have it."""
        return self._session is not None

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
            self._local.advertised, self._port.number, session_id, self._house.codecs
        )

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

    def learn_answer(self, body: bytes) -> None:
        """Take the answer to our offer. Raises SdpError, NotAcceptableError."""
        if self._negotiation is not None:
            self._agree(self._negotiation.read_answer(body))

    def _agree(self, agreed: Agreed) -> None:
        if self._session is not None:
            self._session.renegotiate(agreed)
        elif self._port is not None and not self._started:
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
        if self._session is not None:
            self._session.tick(now)
            self._work()

    def _receive(self, data: bytes, address: Address) -> None:
        if self._session is not None:
            self._session.receive_datagram(data, address, self._now())
            self._work()

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
            if self._started and self._session is session:
                self._tell(event)

    # ---- the end

    def hand_over(self) -> MediaHandOver:
        """Give the socket away with all it takes to go on. Raises UnavailableError without media."""
        session, port = self._session, self._port
        if session is None or port is None or session.remote is None:
            raise UnavailableError("The call has no media to hand over")
        if not session.codec.waveform:
            raise UnavailableError(f"{session.codec.name} carries no modem")
        self._log(session)
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

    def drain(self) -> Iterator[bytes]:
        """What waited behind a gap: it is still the caller's speech."""
        session = self._session
        if session is None or not self._started:
            return
        session.finish(self._now())
        while (event := session.next_event()) is not None:
            if isinstance(event, Audio):
                yield event.samples

    def close(self) -> None:
        """Give the port back; harmless when it was never bound or was given away."""
        session, self._session = self._session, None
        if session is not None:
            if self._port is not None:
                for data, address in session.reports_to_send():
                    self._port.send_report(data, address)
            self._log(session)
        if self._port is not None:
            self._port.close()

    def _log(self, session: RtpSession) -> None:
        log.info("telephony.media", call=self._name, **asdict(session.statistics))

    def _now(self) -> float:
        return self._house.clock.monotonic()

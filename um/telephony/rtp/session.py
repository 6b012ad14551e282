"""One call's RTP (RFC 3550, 3551, 4733): packets in, samples out; samples in, packets out.

Laws:
- `speak` every 20 ms is the only thing that sends. `listen` follows it, after what has come until then:
  many calls speak first, so that nobody's prompt waits for what others say. `tick` is both. Only where
  what is played ends (`finishes_within`), what has come is taken first and the end told at once.
- Packets count only from the source that is latched (`source`). Others are dropped, counted.
- What is heard has true length (`hearing`), and is told before the end of what was played meanwhile.
- RTCP goes to and comes from the same neighbour, on its own port; it never moves the media.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from um.core.ports import Metrics
from um.telephony.codec import Codec, Codecs
from um.telephony.offer import PTIME_MS, Agreed
from um.telephony.rtp.g711 import G711
from um.telephony.rtp.hearing import Hearing
from um.telephony.rtp.jitter import CLOCK_RATE
from um.telephony.rtp.packet import HEADER, VERSION_2, RtpError, is_rtcp, parse_packet
from um.telephony.rtp.reception import MediaStatistics, Reception
from um.telephony.rtp.reports import Reporter
from um.telephony.rtp.source import Address, Source
from um.telephony.rtp.speaker import Speaker, StreamState

TICK_SECONDS: Final = 0.02
NO_MEDIA_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Audio:
    """Samples heard, in order: signed 16 bits, native byte order, 8000 a second."""

    samples: bytes


@dataclass(frozen=True, slots=True)
class Digit:
    """One key press."""

    digit: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """All that was queued has been sent."""


@dataclass(frozen=True, slots=True)
class MediaLost:
    """Nothing came for `no_media_seconds`; told once."""


RtpEvent = Audio | Digit | PlaybackFinished | MediaLost


class RtpSession:
    """The media of one call.

    Args:
        agreed: the outcome of offer and answer.
        core: IP address that the signalling comes from.
        stream: random first sequence number, timestamp and SSRC (RFC 3550 §5.1).
        now: monotonic time in seconds: listening begins.
        metrics: counts what is dropped.
        codecs: what may be heard besides the codec that was agreed.
        no_media_seconds: silence of the network that ends a call.
        unbroken: send silence where nothing is played (`speaker`).
    """

    def __init__(
        self,
        agreed: Agreed,
        *,
        core: str,
        stream: StreamState,
        now: float,
        metrics: Metrics,
        codecs: Codecs = G711,
        no_media_seconds: float = NO_MEDIA_SECONDS,
        unbroken: bool = False,
    ) -> None:
        self._agreed = agreed
        self._metrics = metrics
        self._no_media_seconds = no_media_seconds
        self._source = Source(core, agreed.remote)
        self._speaker = Speaker(stream, unbroken=unbroken)
        self._reporter = Reporter(stream.ssrc, now)
        self._reception: Reception | None = None
        self._events: deque[RtpEvent] = deque()
        self._heard: list[bytes] = []
        """What no event tells yet."""
        self._hearing = Hearing(
            codecs,
            now=now,
            heard=self._heard.append,
            pressed=lambda digit: self._tell(Digit(digit)),
        )
        self._outbox: list[tuple[bytes, Address]] = []
        self._reports: list[tuple[bytes, Address]] = []
        self._heard_at = now
        self._lost = False
        self._spoken = False
        """The queue ran empty, which is not told yet."""
        self._odd = False
        """Something came that was not the plain going on of the stream."""
        self._received = 0
        self._foreign = 0

    @property
    def remote(self) -> Address | None:
        """Where we send: the latched source, else what the session description says."""
        return self._source.remote

    @property
    def codec(self) -> Codec:
        """What we send."""
        return self._agreed.codec

    @property
    def payload_type(self) -> int:
        """Its number in this call."""
        return self._agreed.payload_type

    @property
    def ptime_ms(self) -> int:
        return self._agreed.ptime_ms

    @property
    def has_events(self) -> bool:
        """Whether key presses come as telephone events (RFC 4733)."""
        return self._agreed.event_type is not None

    @property
    def stream(self) -> StreamState:
        """The next packet's sequence number and timestamp, and our SSRC."""
        return self._speaker.stream

    @property
    def statistics(self) -> MediaStatistics:
        """How it went so far."""
        reception, order = self._reception, self._hearing.order
        round_trip = self._reporter.round_trip_seconds
        return MediaStatistics(
            codec=self._agreed.codec.name,
            sent=self._reporter.sent,
            received=self._received,
            lost=order.lost,
            discarded=order.dropped,
            foreign=self._foreign,
            jitter_ms=round(reception.jitter * 1000 / CLOCK_RATE, 1) if reception else 0.0,
            source_changes=self._source.changes,
            remote_lost=self._reporter.remote_lost,
            round_trip_ms=None if round_trip is None else round(round_trip * 1000, 1),
        )

    # ---- network side

    def receive(self, datagrams: Iterable[tuple[bytes, Address, float]]) -> None:
        """Take datagrams in the order in which they came, each with its source and its time."""
        for data, address, at in datagrams:
            if not self._follows(data, address, at):
                self.receive_datagram(data, address, at)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take one datagram. Bad or foreign ones are dropped and counted, nothing is raised."""
        if self._follows(data, address, now):
            return
        self._odd = True
        if is_rtcp(data):
            self.receive_report(data, address, now)
            return
        try:
            packet = parse_packet(data)
        except RtpError:
            self._metrics.count("rtp_malformed_packets")
            return
        if not self._source.admits(address):
            self._foreign += 1
            self._metrics.count("rtp_foreign_packets")
            return
        self._heard_at = now
        timed = packet.payload_type != self._agreed.event_type
        if timed:
            self._hearing.arrived(packet, now)
        for chosen in self._source.choose(packet, now):
            reception = self._reception
            if reception is None or reception.ssrc != chosen.ssrc:
                reception = self._reception = Reception.of(chosen)
            self._received += 1
            reception.count(chosen, now, timed=timed)
            self._hearing.receive(chosen, self._agreed, now)

    def _follows(self, data: bytes, address: Address, now: float) -> bool:
        """The short way of nearly every packet: the next one of the stream that is heard.

        It leads where the long way leads, with a third of the steps: on it depends how many calls a
        processor carries. False, and nothing done, for all other datagrams.
        """
        reception = self._reception
        if reception is None or len(data) <= HEADER.size:
            return False
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        if (
            first != VERSION_2
            or second != self._agreed.payload_type
            or not self._source.hears(address, ssrc)
            or not reception.is_next(ssrc, sequence)
        ):
            return False
        name = ssrc, sequence, timestamp
        if not self._hearing.follow(name, data[HEADER.size :], self._agreed, now):
            return False
        reception.follow(timestamp, now)
        self._heard_at = now
        self._received += 1
        return True

    def receive_report(self, data: bytes, address: Address, now: float) -> None:
        """Take one RTCP datagram; what is bad or from elsewhere is dropped and counted.

        A report is a sign of life: one who only listens may send nothing else.
        """
        if not self._source.is_near(address[0]):
            self._metrics.count("rtcp_foreign_packets")
            return
        try:
            ended = self._reporter.receive(data, now)
        except RtpError:
            self._metrics.count("rtcp_malformed_packets")
            return
        if self._source.ssrc in ended:
            self._source.release()
        if not ended:
            self._heard_at = now

    def next_event(self) -> RtpEvent | None:
        """The oldest event not yet taken, or None."""
        if self._heard:
            self._tell_heard()
        return self._events.popleft() if self._events else None

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """The RTP that must leave now, in order."""
        if not self._outbox:
            return []
        outgoing, self._outbox = self._outbox, []
        return outgoing

    def reports_to_send(self) -> list[tuple[bytes, Address]]:
        """The RTCP that must leave now, from the port above ours."""
        if not self._reports:
            return []
        outgoing, self._reports = self._reports, []
        return outgoing

    def tick(self, now: float) -> None:
        """Every 20 ms: `speak` and `listen`."""
        self.speak()
        self.listen(now)

    def speak(self, beats: int = 1) -> None:
        """So many times 20 ms have passed: put out what is due."""
        agreed = self._agreed
        if not agreed.sends or self._source.remote is None:
            return
        if agreed.ptime_ms == PTIME_MS and self._speaker.pass_silently(beats):
            return
        coder = self._hearing.coder(agreed.codec)
        for _ in range(beats):
            self._spoken |= self._speaker.beat(
                coder, agreed.payload_type, agreed.ptime_ms, self._put_out
            )

    def listen(self, now: float) -> None:
        """All that has come was taken: give up gaps, tell what was spoken, notice that nothing comes."""
        self._hearing.tick(self._agreed, now)
        if self._spoken:
            self._spoken = False
            self._hearing.catch_up(now)
            self._tell(PlaybackFinished())
        report = self._reporter.due(self._reception, self._speaker.timestamp, now)
        if report is not None:
            self._report(report)
        if not self._agreed.receives:
            self._heard_at = now  # on hold: nothing is owed to us
        elif not self._lost and now - self._heard_at >= self._no_media_seconds:
            self._lost = True
            self._tell(MediaLost())

    def take_calm(self) -> bool:
        """Whether, since this was asked last, all that came was one stream's plain going on."""
        odd, self._odd = self._odd, False
        return not odd and not self._hearing.order.holds

    @property
    def is_silent(self) -> bool:
        """Whether nothing is said but the packet a second."""
        return self._speaker.rests

    def finishes_within(self, beats: int) -> bool:
        """Whether all that is played will have been said by then: whoever hears its end may answer at once."""
        return self._speaker.ends_within(beats)

    # ---- user side

    def play(self, samples: bytes) -> None:
        """Queue samples behind those already queued; half a sample at the end is dropped."""
        self._spoken = False
        self._speaker.play(samples)

    def stop_playing(self) -> None:
        """Drop what is queued; no `PlaybackFinished` follows."""
        self._spoken = False
        self._speaker.stop_playing()

    def renegotiate(self, agreed: Agreed) -> None:
        """Go on with a new agreement (re-INVITE): the source may be another one from here on."""
        self._odd = True
        self._source.redescribe(agreed.remote)
        self._agreed = agreed

    def finish(self, now: float) -> None:
        """The call ends: give out what waits behind a gap, say goodbye."""
        self._hearing.finish(self._agreed, now)
        if self._reporter.sent or self._reception is not None:
            self._report(self._reporter.farewell(self._reception, self._speaker.timestamp, now))

    def _tell(self, event: RtpEvent) -> None:
        if self._heard:
            self._tell_heard()
        self._events.append(event)

    def _tell_heard(self) -> None:
        self._events.append(Audio(b"".join(self._heard)))
        self._heard.clear()

    def _put_out(self, packet: bytes, payload_octets: int) -> None:
        remote = self._source.remote
        if remote is not None:
            self._outbox.append((packet, remote))
            self._reporter.count(payload_octets)

    def _report(self, data: bytes) -> None:
        """Where they want it (a=rtcp, RFC 3605), unless media comes from elsewhere than they said."""
        remote = self.remote
        if remote is None:
            return
        described = remote == self._agreed.remote
        place = self._agreed.rtcp if described and self._agreed.rtcp else (remote[0], remote[1] + 1)
        if place[1] < 65_536:
            self._reports.append((data, place))

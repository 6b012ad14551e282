"""The receiving side of one call's media: RTP packets in, samples and key presses out.

Laws:
- What is heard has true length: losses, pauses and key presses are filled (`timeline`), by the
  codec's own concealment, by comfort noise where the sender described its silence, or by silence.
- A loss holds up what follows it for a quarter of a second at most.
- What is heard is told late where the other side sends nothing: `catch_up` before anything begins
  that must not hold what was heard before it.
"""

from array import array
from collections.abc import Callable
from typing import Final

from um.telephony.codec import Codec, Codecs, Coder
from um.telephony.offer import Agreed
from um.telephony.rtp.dtmf import EventReceiver
from um.telephony.rtp.jitter import ReorderBuffer
from um.telephony.rtp.noise import ComfortNoise
from um.telephony.rtp.packet import RtpPacket
from um.telephony.rtp.timeline import Timeline

WAIT_SECONDS: Final = 0.25
"""Recordings and menus need no low delay, and nothing waits where nothing is lost."""
COMFORT_NOISE: Final = 13
"""RFC 3551 §6."""
_PIECE_SAMPLES: Final = 160
_QUIET_LEVEL: Final = 100
"""Mean absolute level of what may be left out of a pause."""


class Hearing:
    """What one call's other side says.

    Args:
        codecs: those that may be heard without having been agreed, by static number.
        now: monotonic time in seconds: listening begins.
        heard: takes samples, in order.
        pressed: takes the digit of each key press.
    """

    def __init__(
        self,
        codecs: Codecs,
        *,
        now: float,
        heard: Callable[[bytes], None],
        pressed: Callable[[str], None],
    ) -> None:
        self._codecs = codecs
        self._heard = heard
        self._pressed = pressed
        self.order = ReorderBuffer(WAIT_SECONDS)
        self._timeline = Timeline(now)
        self._presses = EventReceiver()
        self._coders: dict[str, Coder] = {}
        self._coder: Coder | None = None
        self._noise: ComfortNoise | None = None

    def arrived(self, packet: RtpPacket, now: float) -> None:
        """A packet came from the right address, perhaps of a stream that is not heard yet."""
        self._timeline.arrived(packet, now)

    def receive(self, packet: RtpPacket, agreed: Agreed, now: float) -> None:
        """Take a packet of the stream that is heard."""
        for ready in self.order.put(packet, now):
            self._take(ready, agreed, now)

    def follow(
        self, name: tuple[int, int, int], payload: bytes, agreed: Agreed, now: float
    ) -> bool:
        """Take a packet of the agreed codec if it simply goes on with what is heard; else False.

        `name` is SSRC, sequence and timestamp. What comes of it is what `arrived` and `receive` would
        make of it.
        """
        ssrc, sequence, timestamp = name
        if not (self.order.is_next(ssrc, sequence) and self._timeline.is_next(ssrc, timestamp)):
            return False
        coder = self.coder(agreed.codec)
        length = coder.length(payload)
        if not length:
            return False
        self.order.follow()
        self._timeline.follow(timestamp, length, now)
        self._coder, self._noise = coder, None
        self._heard(coder.decode(payload))
        return True

    def tick(self, agreed: Agreed, now: float) -> None:
        """Every 20 ms: give up gaps, let time go on where nothing comes."""
        if self.order.holds:
            for ready in self.order.take(now):
                self._take(ready, agreed, now)
        missing = self._timeline.stalled(now)
        if missing:
            self._fill(missing)

    def catch_up(self, now: float) -> None:
        """Let the time go on up to `now` where nothing comes: what follows belongs to what begins.

        A sender may stop while it has nothing to say; the silence of it would be told up to a second
        late, and stand at the beginning of a recording.
        """
        missing = self._timeline.caught_up(now, patience_seconds=WAIT_SECONDS)
        if missing:
            self._fill(missing)

    def finish(self, agreed: Agreed, now: float) -> None:
        """The call ends: give out what waits behind a gap."""
        for ready in self.order.flush():
            self._take(ready, agreed, now)

    def coder(self, codec: Codec) -> Coder:
        """This call's coder, the same for both directions."""
        coder = self._coders.get(codec.name)
        if coder is None:
            coder = self._coders[codec.name] = codec.make()
        return coder

    def _take(self, packet: RtpPacket, agreed: Agreed, now: float) -> None:
        """One packet in sequence; other payloads only keep the order."""
        number = packet.payload_type
        if number == agreed.payload_type:
            self._speech(packet, self.coder(agreed.codec), now)
        elif number == agreed.event_type:
            digit = self._presses.receive(packet)
            if digit is not None:
                self._pressed(digit)
        elif number == COMFORT_NOISE or number == agreed.noise_type:  # noqa: PLR1714 - each packet
            self._conceal(self._timeline.gap_before(packet, 0, now))
            self._noise = ComfortNoise(packet.payload)
        else:
            codec = self._codecs.numbered(number)
            if codec is not None:
                self._speech(packet, self.coder(codec), now)

    def _speech(self, packet: RtpPacket, coder: Coder, now: float) -> None:
        length = coder.length(packet.payload)
        if not length:
            return
        missing = self._timeline.gap_before(packet, length, now)
        if missing:
            self._conceal(missing)
        self._coder, self._noise = coder, None
        samples = coder.decode(packet.payload)
        if self._timeline.owed and _is_quiet(samples):
            self._timeline.pay(length)  # silence was made up for it when it did not come
        else:
            self._heard(samples)

    def _conceal(self, missing: int) -> None:
        """A gap: what the codec makes of it, then noise or silence."""
        if self._noise is None and self._coder is not None:
            covered = self._coder.conceal(missing)
            if covered:
                self._heard(covered)
                missing -= len(covered) // 2
        self._fill(missing)

    def _fill(self, missing: int) -> None:
        for start in range(0, missing, _PIECE_SAMPLES):
            count = min(_PIECE_SAMPLES, missing - start)
            self._heard(self._noise.samples(count) if self._noise else bytes(2 * count))


def _is_quiet(samples: bytes) -> bool:
    values = array("h", samples)
    return sum(map(abs, values)) < _QUIET_LEVEL * len(values)

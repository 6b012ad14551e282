"""Key presses as RFC 4733 telephone events: each told once, whatever the network does.

An event is known by its RTP timestamp, which all of its packets share (§2.5.1.2), so it is told at
the first packet that arrives, and the others, the threefold end included, are recognised. A press
too long for one event goes on in a segment 0xFFFF later without a marker (§2.5.1.3): no new press.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from um.telephony.rtp.packet import RtpPacket

DIGITS: Final = "0123456789*#ABCD"
_REMEMBERED: Final = 16
_LONGEST_SEGMENT: Final = 0xFFFF


@dataclass(slots=True)
class EventReceiver:
    """The events of one RTP stream."""

    _known: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _last: tuple[int, int] | None = None
    """Event code and timestamp of the newest."""

    def receive(self, packet: RtpPacket) -> str | None:
        """The digit, if this packet is the first of a press; None otherwise.

        Anything that is no event of four octets, or an event that is no digit, is None too.
        """
        if len(packet.payload) < 4 or packet.payload[0] >= len(DIGITS):
            return None
        code, name = packet.payload[0], (packet.ssrc, packet.timestamp)
        if name in self._known:
            return None
        self._known.append(name)
        last, self._last = self._last, (code, packet.timestamp)
        following = last and ((last[1] + _LONGEST_SEGMENT) & 0xFFFFFFFF)
        if last and not packet.marker and last[0] == code and following == packet.timestamp:
            return None
        return DIGITS[code]

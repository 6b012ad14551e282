"""Whom we listen to and talk to: one address, and from it one stream at a time.

Laws (against RTP bleed and injection):
- The address of the session description is always right; until it speaks, the first that sends
  from the core's host or from the described host is latched (symmetric RTP, RFC 4961). All others
  are foreign. A new agreement may move the source: it is latched anew.
- A second SSRC takes over when three packets of it came with none of the present stream between
  them; then none of them is lost. Before that it is not heard.
"""

from dataclasses import dataclass, field
from typing import Final

from um.telephony.rtp.jitter import sequence_distance
from um.telephony.rtp.packet import RtpPacket

Address = tuple[str, int]
PROBATION_PACKETS: Final = 3
_WAITING_SECONDS: Final = 0.5
_MAX_WAITING: Final = 10


@dataclass(slots=True)
class Source:
    """The other side of one call's media."""

    core: str
    """IP address that the signalling comes from."""
    described: Address | None
    """Where the session description says that they listen; None if it does not."""
    changes: int = 0
    """How often another SSRC took over."""
    _latched: Address | None = None
    _moving: bool = False
    _ssrc: int | None = None
    _waiting: list[tuple[RtpPacket, float]] = field(default_factory=list)
    _in_a_row: int = 0

    @property
    def remote(self) -> Address | None:
        """Where we send: the latched source, else what the session description says."""
        return self._latched or self.described

    @property
    def ssrc(self) -> int | None:
        """The stream that is heard."""
        return self._ssrc

    def redescribe(self, described: Address | None) -> None:
        """A new agreement (re-INVITE)."""
        if described != self.described:
            self._latched = None
        self.described = described
        self._moving = True
        self.release()

    def release(self) -> None:
        """The stream has ended (RTCP BYE, a new agreement): the next one is heard at once."""
        self._ssrc = None
        self._waiting.clear()

    def allows(self, address: Address) -> bool:
        """Whether a packet from `address` would count."""
        if address in {self.described, self._latched}:
            return True
        if self._latched is not None and not self._moving:
            return False
        return self.is_near(address[0])

    def admits(self, address: Address) -> bool:
        """Whether a packet from `address` counts; latches it."""
        if not self.allows(address):
            return False
        if address not in {self.described, self._latched}:
            self._moving = False
        self._latched = address
        return True

    def is_near(self, host: str) -> bool:
        """Whether media, or reports on it, may come from `host`."""
        hosts = {self.core, *(each[0] for each in (self.described, self._latched) if each)}
        return host in hosts

    def hears(self, address: Address, ssrc: int) -> bool:
        """Whether a packet would go the shortest way: `admits` and `choose` would change nothing."""
        return address == self._latched and ssrc == self._ssrc and not self._in_a_row

    def choose(self, packet: RtpPacket, now: float) -> list[RtpPacket]:
        """Take a packet of an admitted address; returns what is to be heard."""
        if packet.ssrc == self._ssrc:
            self._in_a_row = 0
            return [packet]
        if self._ssrc is None:
            self._ssrc = packet.ssrc
            return [packet]
        if self._waiting and self._waiting[-1][0].ssrc != packet.ssrc:
            self._waiting.clear()
            self._in_a_row = 0
        self._waiting = [each for each in self._waiting if now - each[1] < _WAITING_SECONDS]
        self._waiting = [*self._waiting[1 - _MAX_WAITING :], (packet, now)]
        self._in_a_row += 1
        if self._in_a_row < PROBATION_PACKETS:
            return []
        released = sorted(
            (each for each, _ in self._waiting),
            key=lambda each: sequence_distance(each.sequence, packet.sequence),
        )
        self._waiting.clear()
        self._in_a_row = 0
        self._ssrc = packet.ssrc
        self.changes += 1
        return released

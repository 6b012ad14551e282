"""A fax session over T.38: packets (IFP) go in by `receive`, those for the far end come out of `transmit`.

A page is held back as over audio: the terminal's clock stands still, and what the far end says
meanwhile counts only as speech or silence, so that the answer goes into a pause of its repetitions.
"""

from collections import deque
from typing import Final, Protocol

from fax.disconnect import disconnect_packets
from fax.hold import SILENCE_LEVEL
from fax.session import FaxSession, State, Terminal
from fax.terminals import OutgoingIfp

_DATA: Final = 0x40
"""Type-of-msg: data; without it an indicator (T.38 §7.2)."""
_BUSY_AFTER_DATA_TICKS: Final = 10
"""Data comes every 30 to 100 ms while a frame is sent."""
_BUSY_AFTER_INDICATOR_TICKS: Final = 65
"""A carrier was announced: a preamble of 1 s (T.30 §5.3.1) may pass before its data."""
_SPEECH: Final = 2.0 * SILENCE_LEVEL


class PacketTerminal(Terminal, Protocol):
    """What the session needs of `fax.terminals.T38Fax`."""

    def receive(self, ifp: bytes, sequence: int) -> None: ...
    def transmit(self) -> list[OutgoingIfp]: ...


class T38Session(FaxSession):
    """See `fax.session`."""

    def __init__(self, terminal: PacketTerminal, *, max_pages: int) -> None:
        super().__init__(terminal, max_pages=max_pages)
        self._packets = terminal
        self._disconnect = deque(disconnect_packets())
        self._kept_out = 0
        """Packets that the terminal was not given; it is to see no gap where they were."""
        self._busy_ticks = 0

    def receive(self, ifp: bytes, sequence: int) -> None:
        """Take the packet with this number; while a page is held it only tells that the far end speaks."""
        self._note_speech(ifp)
        if self._state is State.TALKING:
            self._packets.receive(ifp, sequence - self._kept_out)
            self._look_at_terminal()
        else:
            self._kept_out += 1

    def transmit(self) -> list[OutgoingIfp]:
        """Let 20 ms pass and return what is to be sent in them."""
        self._busy_ticks -= 1
        if self._state is State.HOLDING:
            self._hold.hear(_SPEECH if self._busy_ticks > 0 else 0)
            self._tick_hold()
        if self._state is State.DISCONNECTING:
            return self._say_disconnect()
        if self._state is not State.TALKING:
            return []
        packets = self._packets.transmit()
        self._look_at_terminal()
        return packets

    def _note_speech(self, ifp: bytes) -> None:
        if ifp[0] & _DATA:
            self._busy_ticks = _BUSY_AFTER_DATA_TICKS
        else:
            is_carrier = ifp[0] >> 1 & 0x0F != 0 or len(ifp) > 1
            self._busy_ticks = _BUSY_AFTER_INDICATOR_TICKS if is_carrier else 0

    def _say_disconnect(self) -> list[OutgoingIfp]:
        self._hold.hear(_SPEECH if self._busy_ticks > 0 else 0)
        if not self._may_disconnect():
            return []
        if not self._disconnect:
            self._disconnected()
            return []
        return self._disconnect.popleft()

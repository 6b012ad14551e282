"""A fax session over audio: samples go in by `receive`, one frame every 20 ms comes out of `transmit`."""

from typing import Protocol

from fax.disconnect import disconnect_samples
from fax.gap import GapFilling
from fax.session import FaxSession, State, Terminal
from fax.spandsp import FRAME_SAMPLES

_FRAME_OCTETS = FRAME_SAMPLES * 2
_SILENCE = bytes(_FRAME_OCTETS)


class Modem(Terminal, Protocol):
    """What the session needs of `fax.terminals.AudioFax`."""

    def receive(self, samples: bytes) -> None: ...
    def transmit(self) -> bytes: ...


class AudioSession(FaxSession):
    """See `fax.session`."""

    def __init__(self, modem: Modem, *, max_pages: int) -> None:
        super().__init__(modem, max_pages=max_pages)
        self._modem = modem
        self._gap = GapFilling(b"")
        self._disconnect = disconnect_samples()

    def receive(self, samples: bytes) -> None:
        """Take samples from the line; while a page is held only their level counts."""
        self._gap = GapFilling(samples[-_FRAME_OCTETS:])
        self._hear(samples)

    def receive_nothing(self, count: int) -> None:
        """Take `count` lost samples."""
        self._hear(self._gap.fill(count))

    def _hear(self, samples: bytes) -> None:
        if self._state is State.TALKING:
            self._modem.receive(samples)
            self._look_at_terminal()
        else:
            self._hold.hear(_level(samples))

    def transmit(self) -> bytes:
        """Let 20 ms pass and return the 160 samples to be sent in them."""
        if self._state is State.HOLDING:
            self._tick_hold()
        if self._state is State.DISCONNECTING:
            return self._say_disconnect()
        if self._state is not State.TALKING:
            return _SILENCE
        samples = self._modem.transmit()
        self._look_at_terminal()
        return samples

    def _say_disconnect(self) -> bytes:
        if not self._may_disconnect():
            return _SILENCE
        frame, self._disconnect = (
            self._disconnect[:_FRAME_OCTETS],
            self._disconnect[_FRAME_OCTETS:],
        )
        if not frame:
            self._disconnected()
        return frame.ljust(_FRAME_OCTETS, b"\0")


def _level(samples: bytes) -> float:
    """Mean absolute level of every eighth sample: enough to tell a modem from silence."""
    some = memoryview(samples[: len(samples) & ~1]).cast("h")[::8].tolist()
    return sum(map(abs, some)) / len(some) if some else 0.0

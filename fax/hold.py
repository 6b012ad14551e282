"""When a page that is safe may be confirmed: the sender must be listening.

The sender of a fax repeats its end-of-page command when no answer comes within T4 = 3 s, three
times in all (T.30 §5.4.2). An answer sent into such a repetition is lost and ends an ECM call. So
the answer goes at once in the first 2.2 s, and after that only in the pauses between repetitions.
Measured with SpanDSP 0.0.6 at both ends, with and without ECM: holds of 2 to 10 s go through.
Time is counted in ticks of 20 ms.
"""

TICKS_A_SECOND = 50
_AT_ONCE_TICKS = 110
"""2.2 s: the sender's T4 (3 s, less 15 %) has not run out before it hears our preamble."""
_PAUSE_TICKS = 5
"""100 ms of silence: the repeated command is over."""
_LATE_IN_PAUSE_TICKS = 75
"""1.5 s into a pause the next repetition may be too near."""
LONGEST_HOLD_TICKS = 11 * TICKS_A_SECOND
"""The pause after the sender's third try ends about here; after it comes its DCN."""
SILENCE_LEVEL = 100
"""Mean absolute level (16 bit) under which a frame is silence; a modem at -43 dBm0 is above."""


class ConfirmationHold:
    """Counts one wait."""

    def __init__(self) -> None:
        self._waited = 0
        self._silent = 0

    def hear(self, level: float) -> None:
        """Take the mean absolute level of the sender's last frame."""
        self._silent = self._silent + 1 if level < SILENCE_LEVEL else 0

    def tick(self) -> None:
        """Let 20 ms pass."""
        self._waited += 1

    @property
    def may_answer(self) -> bool:
        """Whether an answer begun now is heard."""
        if self._waited < _AT_ONCE_TICKS:
            return True
        return _PAUSE_TICKS <= self._silent < _LATE_IN_PAUSE_TICKS

    @property
    def expired(self) -> bool:
        """Whether the sender has given up by now."""
        return self._waited >= LONGEST_HOLD_TICKS

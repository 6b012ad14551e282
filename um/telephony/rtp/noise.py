"""Comfort noise (RFC 3389): what a silent line sounds like where packets stop coming.

Only the level is used, not the spectrum. It is capped well below what a recorder takes for speech,
so that a caller's silence stays silence to whoever waits for it.
"""

from array import array
from functools import cache
from typing import Final

LOUDEST_DBOV: Final = 50
"""Minus dBov: mean absolute level 90 of 32768."""
_TABLE_SAMPLES: Final = 4001
_FULL_SCALE: Final = 32768
_SQRT_3: Final = 3**0.5
"""Peak over root mean square of evenly spread samples."""


@cache
def _noise(level: int) -> bytes:
    """Half a second of white noise at -`level` dBov, by a linear congruential generator."""
    peak = _FULL_SCALE * 10 ** (-level / 20) * _SQRT_3
    state, samples = 1, array("h")
    for _ in range(_TABLE_SAMPLES):
        state = (1_103_515_245 * state + 12_345) & 0x7FFFFFFF
        samples.append(round(peak * (2 * (state >> 8) / (1 << 23) - 1)))
    return samples.tobytes()


class ComfortNoise:
    """Noise without end at the level that a packet asked for."""

    def __init__(self, payload: bytes) -> None:
        """Args: payload: of a packet of payload type 13 (§3); none at all is silence."""
        level = payload[0] & 0x7F if payload else 127
        self._table = _noise(max(level, LOUDEST_DBOV))
        self._offset = 0

    def samples(self, count: int) -> bytes:
        """The next `count` samples."""
        start, size = self._offset, 2 * count
        self._offset = (start + size) % len(self._table)
        return (self._table * ((start + size) // len(self._table) + 1))[start : start + size]

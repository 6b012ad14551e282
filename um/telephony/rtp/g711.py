"""G.711 companding by tables: mu-law and A-law to and from signed 16-bit samples.

Samples are native byte order. Decoding is two `bytes.translate`, encoding one table look-up a
sample; `audioop` is gone from Python 3.13.
"""

import sys
from array import array
from functools import partial
from typing import Final

from um.telephony.codec import Codec, Codecs

_MU_BIAS: Final = 0x21
_MU_CLIP: Final = 8158
PCMU: Final = 0
PCMA: Final = 8
_CONCEALED_SAMPLES: Final = 160


def _segment(value: int, first: int) -> int:
    """How many times `first` doubles before it covers `value`."""
    return max(0, (value >> first).bit_length())


def _mu_encoded(sample14: int) -> int:
    """14-bit sample -> mu-law octet (ITU-T G.711 table 2)."""
    mask = 0x7F if sample14 < 0 else 0xFF
    magnitude = min(abs(sample14), _MU_CLIP) + _MU_BIAS
    segment = _segment(magnitude, 6)
    return (segment << 4 | (magnitude >> (segment + 1)) & 0x0F) ^ mask


def _a_encoded(sample13: int) -> int:
    """13-bit sample -> A-law octet (ITU-T G.711 table 1), even bits inverted."""
    mask = 0x55 if sample13 < 0 else 0xD5
    magnitude = -sample13 - 1 if sample13 < 0 else sample13
    segment = _segment(magnitude, 5)
    step = 1 if segment < 2 else segment
    return (segment << 4 | (magnitude >> step) & 0x0F) ^ mask


def _mu_decoded(octet: int) -> int:
    octet = ~octet & 0xFF
    magnitude = (((octet & 0x0F) << 3) + 0x84 << ((octet & 0x70) >> 4)) - 0x84
    return -magnitude if octet & 0x80 else magnitude


def _a_decoded(octet: int) -> int:
    octet ^= 0x55
    segment = (octet & 0x70) >> 4
    magnitude = ((octet & 0x0F) << 4) + 8
    if segment:
        magnitude = (magnitude + 0x100) << (segment - 1)
    return magnitude if octet & 0x80 else -magnitude


class Law:
    """One companding law."""

    def __init__(self, payload_type: int) -> None:
        decoded = _mu_decoded if payload_type == PCMU else _a_decoded
        values = [decoded(octet) & 0xFFFF for octet in range(256)]
        self._low = bytes(value & 0xFF for value in values)
        self._high = bytes(value >> 8 for value in values)
        self._encoded = _table(payload_type)
        self.silence = self._encoded[0]

    def decode(self, data: bytes) -> bytes:
        """Octets to samples: twice as many octets."""
        samples = bytearray(2 * len(data))
        low, high = (0, 1) if sys.byteorder == "little" else (1, 0)
        samples[low::2] = data.translate(self._low)
        samples[high::2] = data.translate(self._high)
        return bytes(samples)

    def encode(self, samples: bytes) -> bytes:
        """Samples (an even number of octets) to octets: half as many."""
        return bytes(map(self._encoded.__getitem__, array("H", samples)))


def _table(payload_type: int) -> bytes:
    """The octet for each unsigned reading of a 16-bit sample."""
    shift, encoded = (2, _mu_encoded) if payload_type == PCMU else (3, _a_encoded)
    steps = 1 << (16 - shift)
    signed = [*range(steps // 2), *range(-steps // 2, 0)]
    return b"".join(bytes([encoded(value)]) * (1 << shift) for value in signed)


LAWS: Final = {PCMU: Law(PCMU), PCMA: Law(PCMA)}
"""By RTP payload type (RFC 3551 §6)."""


class G711Coder:
    """A `Coder`. A loss fades out what was heard last, within 20 ms.

    ITU-T G.711 appendix I does more; the packets of a voicemail are short, and silence is no harm.
    """

    def __init__(self, payload_type: int) -> None:
        self._law = LAWS[payload_type]
        self._last = b""

    def length(self, payload: bytes) -> int:
        return len(payload)

    def decode(self, payload: bytes) -> bytes:
        self._last = self._law.decode(payload)
        return self._last

    def encode(self, samples: bytes) -> bytes:
        if samples.count(0) == len(samples):
            return bytes([self._law.silence]) * (len(samples) // 2)
        return self._law.encode(samples)

    def conceal(self, samples: int) -> bytes:
        length = min(samples, _CONCEALED_SAMPLES, len(self._last) // 2)
        if not length:
            return b""
        faded = array("h", self._last[-2 * length :])
        for index in range(length):
            faded[index] = faded[index] * (length - index) // (2 * length)
        self._last = b""
        return faded.tobytes()


G711: Final = Codecs(
    (
        Codec("PCMU", PCMU, partial(G711Coder, PCMU)),
        Codec("PCMA", PCMA, partial(G711Coder, PCMA)),
    )
)
"""Both laws, which every telephone speaks."""

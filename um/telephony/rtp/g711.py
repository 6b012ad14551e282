"""G.711 companding: mu-law and A-law to and from signed 16-bit samples, by audioop.

Samples are native byte order. audioop left the standard library with Python 3.13, where its
maintained successor of the same name (audioop-lts) is installed. Its tables take a tenth of the time
that look-ups in Python take, fifty times a second and call.
"""

import warnings
from array import array
from functools import partial
from typing import Final

from um.telephony.codec import Codec, Codecs

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

PCMU: Final = 0
PCMA: Final = 8
_CONCEALED_SAMPLES: Final = 160


class Law:
    """One companding law."""

    def __init__(self, payload_type: int) -> None:
        is_mu = payload_type == PCMU
        self._expand = audioop.ulaw2lin if is_mu else audioop.alaw2lin
        self._compress = audioop.lin2ulaw if is_mu else audioop.lin2alaw
        self.silence = self._compress(bytes(2), 2)[0]

    def decode(self, data: bytes) -> bytes:
        """Octets to samples: twice as many octets."""
        return self._expand(data, 2)

    def encode(self, samples: bytes) -> bytes:
        """Samples (an even number of octets) to octets: half as many."""
        return self._compress(samples, 2)


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

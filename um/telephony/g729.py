"""G.729 (RFC 3551 §4.5.6) by libbcg729 through cffi in ABI mode, where the library is installed.

The only module that knows libbcg729. Annex B is heard (silence descriptions, untransmitted frames)
and never sent. Laws: the library is called with whole frames only (10 octets or 2, 80 samples);
its states live as long as their coder.
"""

from functools import cache
from typing import Any, Final

import cffi
import structlog

from um.telephony.codec import Codec

log = structlog.get_logger(__name__)

LIBRARY: Final = "libbcg729.so.0"
PAYLOAD_TYPE: Final = 18
FRAME_SAMPLES: Final = 80
FRAME_OCTETS: Final = 10
SID_OCTETS: Final = 2
_CONCEALED_SAMPLES: Final = 4 * FRAME_SAMPLES
"""What the decoder's own concealment is good for; noise of a described silence has no such limit."""
_DECLARATIONS: Final = """
void *initBcg729DecoderChannel(void);
void closeBcg729DecoderChannel(void *decoder);
void bcg729Decoder(void *decoder, const uint8_t *octets, uint8_t length, uint8_t erased,
                   uint8_t sid, uint8_t rfc3389, int16_t *signal);
void *initBcg729EncoderChannel(uint8_t vad);
void closeBcg729EncoderChannel(void *encoder);
void bcg729Encoder(void *encoder, const int16_t *signal, uint8_t *octets, uint8_t *length);
"""


@cache
def _binding() -> Any:
    """The library with its cffi, once. Raises OSError where it is not installed."""
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    return ffi, ffi.dlopen(LIBRARY)


class G729Coder:
    """A `Coder`."""

    def __init__(self) -> None:
        self._ffi, self._lib = _binding()
        ffi, lib = self._ffi, self._lib
        self._decoder = ffi.gc(lib.initBcg729DecoderChannel(), lib.closeBcg729DecoderChannel)
        self._encoder = ffi.gc(lib.initBcg729EncoderChannel(0), lib.closeBcg729EncoderChannel)
        self._signal = ffi.new("int16_t[]", FRAME_SAMPLES)
        self._octets = ffi.new("uint8_t[]", FRAME_OCTETS)
        self._length = ffi.new("uint8_t *")
        self._resting = False
        """A silence description was heard last: what is missing is its noise, not a loss."""

    def length(self, payload: bytes) -> int:
        """Frames of 10 octets, then perhaps a silence description of 2 (§4.5.6)."""
        frames, rest = divmod(len(payload), FRAME_OCTETS)
        return FRAME_SAMPLES * (frames + (rest == SID_OCTETS)) if rest in {0, SID_OCTETS} else 0

    def decode(self, payload: bytes) -> bytes:
        if not self.length(payload):
            return b""
        starts = range(0, len(payload), FRAME_OCTETS)
        return b"".join(self._frame(payload[at : at + FRAME_OCTETS]) for at in starts)

    def encode(self, samples: bytes) -> bytes:
        size = 2 * FRAME_SAMPLES
        encoded = []
        for start in range(0, len(samples), size):
            frame = samples[start : start + size].ljust(size, b"\0")
            self._ffi.memmove(self._signal, frame, size)
            self._lib.bcg729Encoder(self._encoder, self._signal, self._octets, self._length)
            encoded.append(bytes(self._ffi.buffer(self._octets, self._length[0])))
        return b"".join(encoded)

    def conceal(self, samples: int) -> bytes:
        wanted = samples if self._resting else min(samples, _CONCEALED_SAMPLES)
        frames = -(-wanted // FRAME_SAMPLES)
        return b"".join(self._frame(b"") for _ in range(frames))[: 2 * wanted]

    def _frame(self, octets: bytes) -> bytes:
        """One frame; none at all means that it was lost, or not sent because nothing was said."""
        erased, sid = not octets, len(octets) == SID_OCTETS
        if octets:
            self._resting = sid
        source = octets or self._ffi.NULL
        self._lib.bcg729Decoder(
            self._decoder, source, len(octets), int(erased), int(sid), 0, self._signal
        )
        return bytes(self._ffi.buffer(self._signal))


def _parameters(theirs: str) -> str:
    """`annexb=no` unless they ask for annex B by name (RFC 4856 §2.1.9, RFC 7261)."""
    asked = theirs.lower().replace(" ", "").split(";")
    return "annexb=yes" if "annexb=yes" in asked else "annexb=no"


G729: Final = Codec("G729", PAYLOAD_TYPE, G729Coder, waveform=False, parameters=_parameters)


def installed() -> tuple[Codec, ...]:
    """G.729 if the library is there, else nothing; never raises."""
    try:
        _binding()
    except OSError:
        log.info("telephony.no-g729", library=LIBRARY)
        return ()
    return (G729,)

"""The DCN of T.30, as sound and as packets: how a fax that cannot be kept is broken off unconfirmed.

SpanDSP has its confirmation queued by the time a page turns out not to be safe, and no way to take
it back; so its state is left alone and the line gets this instead: one second of V.21 channel 2
flags and one HDLC frame (T.30 §5.3, V.21 §3), over T.38 what stands for them (T.38 §7).
"""

import math
import struct
from functools import cache

from fax.terminals import OutgoingIfp
from um.telephony.application import SAMPLE_RATE

_BIT_RATE = 300
_MARK_HZ, _SPACE_HZ = 1650, 1850
_AMPLITUDE = 7000
"""About -13 dBm0, as fax machines send."""
_FLAG = (0, 1, 1, 1, 1, 1, 1, 0)
_PREAMBLE_FLAGS = 38
"""One second of flags (T.30 §5.3.1)."""
_PREAMBLE_TICKS = 50
"""The same second, in ticks of 20 ms."""
_NO_SIGNAL, _V21_PREAMBLE = b"\x00", b"\x06"
"""T.38 indicators (§7.3.1)."""
_HDLC_DATA = b"\xc0\x01\x80"
"""V.21 data, one field of HDLC octets follows (§7.3.2, §7.4); the length less one comes next."""
_HDLC_FRAME_ENDS = b"\xc0\x01\x40"
"""Frame check right, and the signal ends."""
_INDICATOR_TIMES = 3
_DCN_FRAME = bytes([0xFF, 0xC8, 0x5F])
"""Address, control (final frame) and DCN = X101 1111 with X = 0, in the order sent, left to right."""


def _bits(octets: bytes) -> list[int]:
    return [octet >> (7 - bit) & 1 for octet in octets for bit in range(8)]


def _frame_check(bits: list[int]) -> list[int]:
    """CRC of ISO/IEC 13239: x^16+x^12+x^5+1, preset to ones, complemented."""
    register = 0xFFFF
    for bit in bits:
        feedback = register >> 15 ^ bit
        register = register << 1 & 0xFFFF ^ (0x1021 if feedback else 0)
    return [(register ^ 0xFFFF) >> (15 - bit) & 1 for bit in range(16)]


def _stuffed(bits: list[int]) -> list[int]:
    """Insert a zero after each five ones."""
    out: list[int] = []
    ones = 0
    for bit in bits:
        out.append(bit)
        ones = ones + 1 if bit else 0
        if ones == 5:
            out.append(0)
            ones = 0
    return out


@cache
def disconnect_samples() -> bytes:
    """The whole signal, 16-bit linear at 8000 samples a second, about 1.3 s."""
    content = _bits(_DCN_FRAME)
    bits = [*_FLAG * _PREAMBLE_FLAGS, *_stuffed(content + _frame_check(content)), *_FLAG * 2]
    count = len(bits) * SAMPLE_RATE // _BIT_RATE
    phase = 0.0
    out = bytearray()
    for sample in range(count):
        bit = bits[sample * _BIT_RATE // SAMPLE_RATE]
        phase += 2 * math.pi * (_MARK_HZ if bit else _SPACE_HZ) / SAMPLE_RATE
        out += struct.pack("=h", round(_AMPLITUDE * math.sin(phase)))
    return bytes(out)


@cache
def disconnect_packets() -> tuple[list[OutgoingIfp], ...]:
    """The same over T.38: what is to be sent in each tick of 20 ms."""
    frame = _HDLC_DATA + (len(_DCN_FRAME) - 1).to_bytes(2, "big") + _DCN_FRAME
    pause: list[list[OutgoingIfp]] = [[] for _ in range(_PREAMBLE_TICKS)]
    return (
        [OutgoingIfp(_V21_PREAMBLE, _INDICATOR_TIMES)],
        *pause,
        [OutgoingIfp(frame, 1)],
        [],
        [OutgoingIfp(_HDLC_FRAME_ENDS, _INDICATOR_TIMES)],
        [OutgoingIfp(_NO_SIGNAL, _INDICATOR_TIMES)],
    )

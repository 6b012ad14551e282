"""Linear samples to MP3, with the length written into the file.

LAME's library gives bare frames: a decoder then plays its start-up delay and the padding of the last
frame, up to 0.3 s of silence at 8000 samples a second, and guesses the duration. So a first frame
with the Info tag (G. Bouvigne, "MP3 Info Tag revision 1") is put before them: frame count, length in
octets, seek table, delay and padding. Decoders that know it play exactly what was said.
"""

import struct
from typing import TYPE_CHECKING

import lameenc

from voicemail.level import SAMPLE_RATE

if TYPE_CHECKING:
    from array import array

BIT_RATE_KBPS = 24
QUALITY = 7
"""LAME's scale. 7 takes two thirds of the time of 5 and, at this bit rate, comes nearer to the speech (decision 0034)."""
ENCODER_DELAY = 576
"""Samples that LAME puts before the first (ENCDELAY in its `encoder.h`)."""
FRAME_SAMPLES = 576
"""Samples of one MPEG-2.5 Layer III frame."""
FRAME_OCTETS = 72 * BIT_RATE_KBPS * 1000 // SAMPLE_RATE

_TAG_OFFSET = 4 + 9
"""Frame header and the side information of a mono MPEG-2 frame come first."""
_PADDING_BIT = 0x02


def encode_mp3(samples: "array[int]") -> bytes:
    """Encode mono samples at 24 kbit/s; 3000 octets a second and at most three frames more."""
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(BIT_RATE_KBPS)
    encoder.set_in_sample_rate(SAMPLE_RATE)
    encoder.set_out_sample_rate(SAMPLE_RATE)
    encoder.set_channels(1)
    encoder.set_quality(QUALITY)
    encoder.silence()
    frames = bytes(encoder.encode(samples.tobytes()) + encoder.flush())
    return _info_frame(frames, len(samples)) + frames


def _info_frame(frames: bytes, samples: int) -> bytes:
    """The frame that describes the others: a valid, silent frame to a decoder that knows no tag."""
    count = len(frames) // FRAME_OCTETS
    padding = count * FRAME_SAMPLES - ENCODER_DELAY - samples
    header = bytearray(frames[:4])
    header[2] &= ~_PADDING_BIT & 0xFF
    tag = struct.pack(">4sIII", b"Info", 0b1111, count, FRAME_OCTETS + len(frames))
    tag += bytes(position * 256 // 100 for position in range(100))  # constant bit rate: linear
    tag += struct.pack(">I", 100 - 10 * QUALITY)
    tag += b"LAME3.100" + bytes([0x01])  # tag revision 0, constant bit rate
    tag += bytes(10)  # low-pass, peak and gains: not said
    tag += bytes([BIT_RATE_KBPS])
    tag += (ENCODER_DELAY << 12 | max(0, min(padding, 0xFFF))).to_bytes(3, "big")
    tag += bytes(4)  # source, gain, preset: not said
    tag += struct.pack(">I", FRAME_OCTETS + len(frames))
    return (bytes(header).ljust(_TAG_OFFSET, b"\0") + tag).ljust(FRAME_OCTETS, b"\0")

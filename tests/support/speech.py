"""Speech for calls: made with espeak-ng, compared by correlation, read back from MP3 by ffmpeg.

Samples are signed 16-bit linear in native order, mono, 8000 a second, as bytes. The helpers that
compare need numpy (tests only); `say` needs Debian's espeak-ng and ffmpeg alone.
"""

import subprocess
from array import array
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

SAMPLE_RATE = 8000
RAW = ["-f", "s16le", "-c:a", "pcm_s16le", "-ar", str(SAMPLE_RATE), "-ac", "1"]

WORDS = (
    "Good afternoon, this is Anna from the harbour office. Your parcel of seventeen blue lanterns "
    "arrived this morning. Please call me back before six, on five five five, one two three four. "
    "Thank you, and good bye."
)


@cache
def say(text: str = WORDS, *, seconds: float | None = None, voice: str = "en") -> bytes:
    """`text` spoken; with `seconds` repeated or cut to exactly that length."""
    spoken = _run(["espeak-ng", "-v", voice, "--stdout", text])
    samples = _run(["ffmpeg", "-v", "error", "-i", "pipe:0", *RAW, "pipe:1"], spoken)
    if seconds is None:
        return samples
    octets = round(seconds * SAMPLE_RATE) * 2
    return (samples * (octets // len(samples) + 1))[:octets]


def silence(seconds: float) -> bytes:
    """Digital silence."""
    return bytes(round(seconds * SAMPLE_RATE) * 2)


def duration(samples: bytes) -> float:
    """Length in seconds."""
    return len(samples) / 2 / SAMPLE_RATE


def packets(samples: bytes, *, ms: int = 20) -> list[bytes]:
    """Cut as a telephone sends it."""
    size = SAMPLE_RATE * ms // 1000 * 2
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def save_wav(samples: bytes, path: Path) -> Path:
    """Write a WAV file that any program reads."""
    _run(["ffmpeg", "-v", "error", "-y", *RAW[:2], *RAW[4:], "-i", "pipe:0", str(path)], samples)
    return path


def decode_mp3(data: bytes) -> bytes:
    """What a player would play of an MP3 (or any other) file in memory.

    From a file, as players do: from a pipe ffmpeg would not cut the padding of the last frame.
    """
    with NamedTemporaryFile(prefix="um-speech-") as file:
        file.write(data)
        file.flush()
        return _run(["ffmpeg", "-v", "error", "-i", file.name, *RAW, "pipe:1"])


def correlates(one: bytes, other: bytes, *, max_shift_seconds: float = 0.5) -> float:
    """Normalised cross-correlation at the best shift, 0 to 1: 1 is the same but for loudness.

    Both are compared over the length of the shorter. Codecs keep far above 0.8; other speech of the
    same voice stays below 0.2.
    """
    import numpy as np

    first, second = (np.frombuffer(each, "<i2").astype(np.float64) for each in (one, other))
    if not first.any() or not second.any():
        return 0.0
    size = 1 << (len(first) + len(second)).bit_length()
    spectrum = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    products = np.fft.irfft(spectrum, size)
    limit = round(max_shift_seconds * SAMPLE_RATE)
    best = max(products[: limit + 1].max(), products[-limit:].max() if limit else 0.0)
    return float(best / (np.linalg.norm(first) * np.linalg.norm(second)))


def resembles(
    said: bytes, heard: bytes, *, max_shift_seconds: float = 0.5, slack_seconds: float = 0.35
) -> float:
    """Like `correlates`, where `heard` may have pauses that `said` has not: a busy sender stalls.

    Each quarter of a second of `said` is sought where the one before it was found, or later, up to
    `slack_seconds` in all; the first that is found, up to `max_shift_seconds` away. What lies behind the
    end of `heard` is not sought: look at its length, too. Weighted by how loud the pieces are. Where
    words are missing it is below 0.5, which `correlates` may not notice.
    """
    import numpy as np

    one, other = (np.frombuffer(each, "<i2").astype(np.float64) for each in (said, heard))
    size = SAMPLE_RATE // 4
    far, slack = (round(each * SAMPLE_RATE) for each in (max_shift_seconds, slack_seconds))
    pieces = [one[begin : begin + size] for begin in range(0, len(one) - size + 1, size)]
    weights = [float(np.linalg.norm(piece)) for piece in pieces]
    earliest, latest, found = -far, far, False
    like = whole = 0.0
    for number, (piece, weight) in enumerate(zip(pieces, weights, strict=True)):
        if weight < max(weights) / 100:
            continue
        start = max(0, number * size + earliest)
        there = other[start : max(0, number * size + latest + size)]
        if len(there) < size:
            break
        energy = np.convolve(there**2, np.ones(size), "valid")
        likeness = np.correlate(there, piece, "valid") / (np.sqrt(energy) * weight + 1e-9)
        best = int(likeness.argmax())
        if found and likeness[best] < likeness[0] + 0.05:
            best = 0
        if found or likeness[best] > 0.5:
            earliest = start + best - number * size
            latest, found = latest if found else earliest + slack, True
        like += weight * float(likeness[best])
        whole += weight
    return like / whole if whole else 0.0


def level(samples: bytes) -> float:
    """Mean absolute level."""
    values = array("h", samples)
    return sum(map(abs, values)) / len(values) if values else 0.0


def _run(command: list[str], data: bytes = b"") -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout

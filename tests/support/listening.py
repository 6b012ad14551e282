"""Whether a phrase was spoken somewhere in what a telephone heard. Needs numpy (tests only)."""

import numpy as np


def heard_within(phrase: bytes, heard: bytes) -> float:
    """The best likeness of `phrase` with any stretch of `heard`, 0 to 1, whatever its loudness.

    Both are signed 16 bits, mono, 8000 a second. G.711 keeps far above 0.8; a stretch that says
    something else stays below 0.5. 0 if `heard` is the shorter.
    """
    wanted, sound = (np.frombuffer(each, "<i2").astype(np.float64) for each in (phrase, heard))
    if not len(wanted) or len(sound) < len(wanted):
        return 0.0
    size = 1 << (len(wanted) + len(sound)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(wanted, size))
    products = np.fft.irfft(spectrum, size)[: len(sound) - len(wanted) + 1]
    energy = np.concatenate(([0.0], np.cumsum(sound**2)))
    stretches = np.sqrt(energy[len(wanted) :] - energy[: len(energy) - len(wanted)])
    floor = np.linalg.norm(wanted) * 1e-3  # silence is like nothing
    return float((products / np.maximum(stretches, floor)).max() / np.linalg.norm(wanted))

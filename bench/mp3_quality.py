"""How near MP3s come to the speech they were made of, at each setting of LAME's quality.

Voices of espeak-ng and the spoken prompts of Debian's sound pack; each is levelled as a message is. Decoded by
FFmpeg, as players do, and laid over the source.
"""

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.report import report
from tests.support.speech import decode_mp3, say
from voicemail import mp3
from voicemail.audio import prepare
from voicemail.prompts import SOUNDS, Prompts

if TYPE_CHECKING:
    from array import array

FRAME = 160
VOICES = ("en", "en+f3", "en-us+m7", "de", "de+f4", "fr", "es+f2", "it", "pl", "pt-br+m3")
PROMPTS = (
    *(
        "vm-intro",
        "vm-review",
        "vm-isunavail",
        "im-sorry",
        "vm-opts",
        "vm-helpexit",
        "demo-congrats",
    ),
    *(
        "demo-instruct",
        "vm-options",
        "vm-changeto",
        "vm-login",
        "privacy-instructions",
        "priv-callee-options",
    ),
)
Samples = NDArray[np.float64]


def sources() -> dict[str, "array[int]"]:
    """Levelled speech by its name."""
    prompts = Prompts(SOUNDS)
    spoken = {f"espeak-ng {voice}": say(voice=voice) for voice in VOICES}
    spoken |= {f"prompt {name}": prompts.samples(name) for name in PROMPTS}
    return {name: found for name, each in spoken.items() if (found := prepare(each)) is not None}


def frames(samples: Samples) -> Samples:
    return samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)


def spectra(samples: Samples) -> Samples:
    """In dB, of overlapping windows of 32 ms; 60 dB below the loudest is the floor."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 256)[::128] * np.hanning(256)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    floor = power.max() * 1e-6
    decibels: Samples = 10 * np.log10(np.maximum(power, floor))
    return decibels


def compare(source: Samples, heard: Samples) -> tuple[float, float, float, float]:
    """Segmental SNR in dB, log-spectral distance in dB, median and 1st percentile of cosines."""
    length = min(len(source), len(heard))
    left, right = frames(source[:length]), frames(heard[:length])
    loud = np.sqrt((left**2).mean(axis=1)) > 200
    left, right = left[loud], right[loud]
    noise = ((left - right) ** 2).sum(axis=1)
    segmental = np.clip(10 * np.log10((left**2).sum(axis=1) / np.maximum(noise, 1)), -10, 35)
    distance = np.sqrt(((spectra(source[:length]) - spectra(heard[:length])) ** 2).mean(axis=1))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines = (left * right).sum(axis=1) / np.maximum(norms, 1)
    return (
        float(segmental.mean()),
        float(distance.mean()),
        float(np.median(cosines)),
        float(np.percentile(cosines, 1)),
    )


def row(quality: int, spoken: dict[str, "array[int]"]) -> tuple[object, ...]:
    mp3.QUALITY = quality
    figures, seconds, cpu = [], 0.0, 0.0
    for samples in spoken.values():
        began = time.process_time()
        data = mp3.encode_mp3(samples)
        cpu += time.process_time() - began
        seconds += len(samples) / 8000
        heard = np.frombuffer(decode_mp3(data), "<i2").astype(np.float64)
        figures.append(compare(np.array(samples, np.float64), heard))
    table = np.array(figures)
    mean, worst_snr = table.mean(axis=0), table[:, 0].min()
    return (
        quality,
        f"{mean[0]:.2f}",
        f"{worst_snr:.2f}",
        f"{mean[1]:.2f}",
        f"{table[:, 1].max():.2f}",
        f"{mean[2]:.4f}",
        f"{mean[3]:.3f}",
        f"{1000 * cpu * 60 / seconds:.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    parser.parse_args()
    spoken = sources()
    total = sum(map(len, spoken.values())) / 8000
    report(
        "Voicemail: LAME's quality",
        command="python -m bench.mp3_quality",
        head=(
            *("quality", "segmental SNR dB", "of the worst voice", "log-spectral distance dB"),
            *("of the worst voice", "cosine, median", "cosine, 1st percentile", "CPU ms a minute"),
        ),
        rows=[row(quality, spoken) for quality in (0, 2, 5, 7, 9)],
        notes=f"{len(spoken)} voices and prompts, {total:.0f} s, 24 kbit/s, mono, 8000 samples a second; levelled as a "
        "message is, decoded by FFmpeg. Frames of 20 ms with a level above 200; distance: spectra of 32 ms down to "
        "-60 dB. Means over the voices.",
    )


if __name__ == "__main__":
    main()

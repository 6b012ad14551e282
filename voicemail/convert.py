"""Any audio file to telephone samples; the file may be hostile.

Laws:
- FFmpeg runs as a process of its own, under limits of time, memory and output, killed when late.
- The container is recognised by its first octets and named to FFmpeg, and only local files may be
  opened: a playlist in disguise can neither read other files nor reach the network.
- Whatever is wrong with the file is RefusedDocumentError with a reason that may be shown.
- FFmpeg decodes and resamples in one run. pydub, which would first probe the file with a second
  program and without limits, and hold it whole at its own rate, takes over at the safe WAV.
"""

import subprocess
import warnings
from array import array
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile

import structlog

from um.core.errors import RefusedDocumentError, UnavailableError
from voicemail.level import SAMPLE_RATE

with warnings.catch_warnings():
    # pydub warns of a missing ffmpeg and of its own regular expressions; both are seen in tests.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment
    from pydub.exceptions import CouldntDecodeError

log = structlog.get_logger(__name__)

LONGEST_SECONDS = 3600
"""One hour of audio: far above any message, far below what would fill a disk."""
TIMEOUT_SECONDS = 60.0
CPU_SECONDS = 40
MEMORY_OCTETS = 1 << 30

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "wav"),
    (8, b"AIFF", "aiff"),
    (8, b"AIFC", "aiff"),
    (4, b"ftyp", "mov"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (0, b".snd", "au"),
    (0, b"caff", "caf"),
    (0, b"#!AMR", "amr"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"ID3", "mp3"),
)
"""Offset, octets and FFmpeg's name of the containers that are taken."""


def convert(data: bytes, *, longest_seconds: int = LONGEST_SECONDS) -> "array[int]":
    """Decode an audio file to mono samples, 8000 a second, native order. Blocks: not for the loop.

    Raises RefusedDocumentError (no audio, broken, too long), UnavailableError (no FFmpeg, no disk).
    """
    container = _container(data)
    try:
        with NamedTemporaryFile(prefix="um-audio-") as file:
            file.write(data)
            file.flush()
            decoded = _decode(Path(file.name), container, longest_seconds + 1)
    except OSError as error:
        raise UnavailableError from error
    samples = _samples(decoded)
    if not samples:
        raise RefusedDocumentError("The file holds no sound", why="sound_none")
    if len(samples) > longest_seconds * SAMPLE_RATE:
        raise RefusedDocumentError(
            f"The sound is longer than {longest_seconds} seconds",
            why="sound_long",
            most=longest_seconds,
        )
    return samples


def _container(data: bytes) -> str:
    """FFmpeg's name of the container."""
    for offset, magic, name in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return name
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        # A frame header: ADTS has layer 0 (ISO 13818-7 §6.2), MPEG audio has 1 to 3.
        return "mp3" if data[1] & 0x06 else "aac"
    raise RefusedDocumentError(
        "The file is empty" if not data else "The file is no known audio", why="sound_unknown"
    )


def _decode(path: Path, container: str, seconds: int) -> bytes:
    """Run FFmpeg; returns a WAV."""
    limits = ["prlimit", f"--cpu={CPU_SECONDS}", f"--as={MEMORY_OCTETS}", "--core=0", "--nofile=64"]
    source = ["-protocol_whitelist", "file", "-f", container, "-i", f"file:{path}"]
    target = ["-map", "0:a:0", "-t", str(seconds), "-ac", "1", "-ar", str(SAMPLE_RATE)]
    output = ["-threads", "1", "-f", "wav", "-c:a", "pcm_s16le", "pipe:1"]
    quiet = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error"]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and nothing of the file is in the arguments
            [*limits, *quiet, *source, *target, *output],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RefusedDocumentError("The sound could not be decoded in time") from error
    if done.returncode:
        log.info("audio.refused", container=container, status=done.returncode)
        raise RefusedDocumentError("The sound could not be decoded")
    return done.stdout


def _samples(decoded: bytes) -> "array[int]":
    try:
        segment = AudioSegment.from_file(BytesIO(decoded), format="wav")
    except CouldntDecodeError as error:
        raise RefusedDocumentError("The sound could not be decoded") from error
    segment = segment.set_channels(1).set_frame_rate(SAMPLE_RATE).set_sample_width(2)
    return array("h", segment.raw_data)

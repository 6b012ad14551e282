"""Spoken prompts: WAV files of a sound pack, as samples ready to be played.

Laws:
- A prompt that is missing, empty or no telephone WAV is skipped with a log line; it never ends a call.
- Files are read once, when first needed or by `preload`, and kept.
- An operator's own folder comes first, then what was made for the language and its pack, then
  those of `en`.
"""

import math
import sys
import wave
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import structlog

from voicemail.events import Clip, Words
from voicemail.level import SAMPLE_RATE

log = structlog.get_logger(__name__)

SOUNDS = Path("/usr/share/asterisk/sounds")
"""Where Debian's `asterisk-core-sounds-*` packages are."""
FALLBACK_LANGUAGE = "en"
PROOF = "vm-intro.wav"
"""A folder that has this file is a voicemail sound pack."""

BEEP_HERTZ = 1000
BEEP_SECONDS = 0.4
BEEP_AMPLITUDE = 8000


class Prompts:
    """The prompts of all languages.

    Args:
        sounds: folder of the packs, one a language, named like `en_US_f_Allison` or `en`.
        own: the operator's prompts, used before any pack; folders by language or plain files.
        made: what `voicemail.made` has spoken for the prompts that no pack has, by language.
    """

    def __init__(
        self, sounds: Path = SOUNDS, *, own: Path | None = None, made: Path | None = None
    ) -> None:
        self._own = own
        self.made = made
        self._packs = find_packs(sounds)
        self._cache: dict[tuple[str, str], bytes] = {}
        if FALLBACK_LANGUAGE not in self._packs:
            log.warning("prompts.no-pack", folder=str(sounds), language=FALLBACK_LANGUAGE)

    @property
    def languages(self) -> frozenset[str]:
        """Languages that have a pack."""
        return frozenset(self._packs)

    def samples(self, name: str, *, language: str = FALLBACK_LANGUAGE) -> bytes:
        """One prompt, e.g. `vm-intro` or `digits/5`: linear samples, native order.

        Empty if there is none.
        """
        key = (name, language)
        if key not in self._cache:
            self._cache[key] = self._load(name, language)
        return self._cache[key]

    def spoken(self, words: Words, *, language: str = FALLBACK_LANGUAGE) -> bytes:
        """Several prompts and clips, one after the other."""
        return b"".join(
            word.samples if isinstance(word, Clip) else self.samples(word, language=language)
            for word in words
        )

    def preload(self, names: Iterable[str], *, language: str = FALLBACK_LANGUAGE) -> None:
        """Read prompts ahead, so that the first call does not wait for the disk."""
        for name in names:
            self.samples(name, language=language)

    def _load(self, name: str, language: str) -> bytes:
        for folder in self._folders(language):
            path = folder / f"{name}.wav"
            if path.is_file() and (samples := _read(path)):
                return samples
        if name == "beep":
            return make_beep()
        log.warning("prompts.missing", prompt=name, language=language)
        return b""

    def _folders(self, language: str) -> list[Path]:
        primary = language[:2].lower()  # `fr-CA` is served by `fr`
        own = [self._own / primary, self._own] if self._own else []
        folders = own
        for language_ in dict.fromkeys([primary, FALLBACK_LANGUAGE]):
            folders += [self.made / language_] if self.made else []
            folders += [self._packs[language_]] if language_ in self._packs else []
        return folders


def find_packs(sounds: Path) -> Mapping[str, Path]:
    """The sound packs under `sounds`, by language (`en`, `fr`); the first by name of each.

    `sounds` may also be one pack itself: then it is the fallback language's.
    """
    if (sounds / PROOF).is_file():
        return MappingProxyType({FALLBACK_LANGUAGE: sounds})
    packs: dict[str, Path] = {}
    for folder in sorted(sounds.iterdir()) if sounds.is_dir() else []:
        if (folder / PROOF).is_file():
            packs.setdefault(folder.name[:2].lower(), folder)
    return MappingProxyType(packs)


def make_beep() -> bytes:
    """A tone of 1000 Hz, for a pack without one; its ends are faded so that they do not click."""
    total = round(BEEP_SECONDS * SAMPLE_RATE)
    fade = SAMPLE_RATE // 100
    tone = array("h")
    for position in range(total):
        loudness = min(1.0, position / fade, (total - position) / fade)
        swing = math.sin(2 * math.pi * BEEP_HERTZ * position / SAMPLE_RATE)
        tone.append(round(BEEP_AMPLITUDE * loudness * swing))
    return tone.tobytes()


def _read(path: Path) -> bytes:
    """The samples of a telephone WAV, native order; empty, and logged, if it is anything else."""
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        log.warning("prompts.unreadable", path=str(path), error=str(error))
        return b""
    if shape != (1, 2, SAMPLE_RATE):
        log.warning("prompts.not-telephone", path=str(path), channels_width_rate=shape)
        return b""
    samples = array("h", data[: len(data) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    if not samples:
        log.warning("prompts.empty", path=str(path))
    return samples.tobytes()

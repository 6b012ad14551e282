"""The prompts that no sound pack has, spoken by espeak-ng once and kept as files.

Laws:
- Made at start, into a folder of the data directory; a file that is there is left alone, and an
  operator's own recording of the same name goes before it (`voicemail.prompts`).
- Without espeak-ng they are missing, which is logged: a prompt that is missing is skipped.
- Text is given on standard input, never as an argument.
"""

import subprocess
from array import array
from collections.abc import Collection
from pathlib import Path

import structlog

from um.core.errors import UMError
from voicemail.audio import encode_wav
from voicemail.convert import convert
from voicemail.texts import LACKING, MENU_TEXTS, TEXTS

log = structlog.get_logger(__name__)

PROGRAM = "espeak-ng"
TIMEOUT_SECONDS = 20.0
LONGEST_TEXT = 300
"""Characters of a text that an operator wrote: half a minute of speech."""


def make_prompts(
    folder: Path, languages: Collection[str] = tuple(TEXTS), *, phrases: Collection[str] = ()
) -> int:
    """Speak what is missing in `folder`; returns how many were made. Blocks: not for the loop.

    Args:
        folder: gets a folder for each language.
        languages: those that are spoken here; one without texts of ours is passed over.
        phrases: those of `MENU_TEXTS` that the menus need.
    """
    made = 0
    for language in languages:
        menu = MENU_TEXTS.get(language, {})
        texts = dict(TEXTS.get(language, {}))
        texts.update(LACKING.get(language, {}))
        texts.update((name, menu[name]) for name in phrases if name in menu)
        for name, text in texts.items():
            path = folder / language / f"{name}.wav"
            if path.is_file():
                continue
            samples = speak(text, language)
            if not samples:
                return made  # no espeak-ng: asking again would not help
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(encode_wav(samples))
            temporary.replace(path)
            made += 1
    return made


def speak(text: str, language: str) -> "array[int]":
    """`text` as samples (8000 a second); empty, and logged, if it cannot be spoken. Blocks."""
    voice = language[:2].lower()
    voice = voice if voice in TEXTS else "en"
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the text comes by standard input
            [PROGRAM, "-v", voice, "--stdin", "--stdout"],
            input=text[:LONGEST_TEXT].encode(),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
        return convert(done.stdout)
    except (OSError, subprocess.SubprocessError, UMError) as error:
        log.warning("prompts.not-made", language=language, error=str(error))
        return array("h")

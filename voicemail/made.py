"""The prompts that no sound pack has, spoken by espeak-ng once and kept as files.

Laws:
- Made at start, into a folder of the data directory; a file that is there is left alone, and an
  operator's own recording of the same name goes before it (`voicemail.prompts`).
- Without espeak-ng they are missing, which is logged: a prompt that is missing is skipped.
- Text is given on standard input, never as an argument.
"""

import subprocess
from array import array
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import structlog

from um.core.errors import UMError
from voicemail.audio import encode_wav
from voicemail.convert import convert

log = structlog.get_logger(__name__)

PROGRAM = "espeak-ng"
TIMEOUT_SECONDS = 20.0
LONGEST_TEXT = 300
"""Characters of a text that an operator wrote: half a minute of speech."""

TEXTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": MappingProxyType(
            {
                "um-fax": "new fax.",
                "um-faxes": "new faxes.",
                "um-invoice": "new invoice.",
                "um-invoices": "new invoices.",
                "um-welcome": "Welcome to your mailbox. First, please choose a password.",
                "um-mailbox": "Please enter the mailbox number, then press the pound key.",
                "um-locked": "This mailbox is locked, because a wrong password was entered too "
                "often. Please try again later.",
                "um-account-closed": "This account is closed.",
                "um-account-suspended": "This account is suspended. You can listen to your "
                "messages, but change nothing.",
            }
        ),
        "fr": MappingProxyType(
            {
                "um-fax": "nouvelle télécopie.",
                "um-faxes": "nouvelles télécopies.",
                "um-invoice": "nouvelle facture.",
                "um-invoices": "nouvelles factures.",
                "um-welcome": "Bienvenue dans votre boîte vocale. Veuillez d'abord choisir un mot "
                "de passe.",
                "um-mailbox": "Entrez le numéro de la boîte vocale, puis appuyez sur la touche "
                "dièse.",
                "um-locked": "Cette boîte vocale est verrouillée, car un mauvais mot de passe a "
                "été entré trop souvent. Veuillez réessayer plus tard.",
                "um-account-closed": "Ce compte est fermé.",
                "um-account-suspended": "Ce compte est suspendu. Vous pouvez écouter vos "
                "messages, mais rien modifier.",
            }
        ),
        "es": MappingProxyType(
            {
                "um-fax": "fax nuevo.",
                "um-faxes": "faxes nuevos.",
                "um-invoice": "factura nueva.",
                "um-invoices": "facturas nuevas.",
                "um-welcome": "Bienvenido a su buzón. Primero, elija una contraseña.",
                "um-mailbox": "Marque el número del buzón y pulse la tecla almohadilla.",
                "um-locked": "Este buzón está bloqueado, porque se marcó demasiadas veces una "
                "contraseña incorrecta. Inténtelo más tarde.",
                "um-account-closed": "Esta cuenta está cerrada.",
                "um-account-suspended": "Esta cuenta está suspendida. Puede escuchar sus "
                "mensajes, pero no cambiar nada.",
            }
        ),
    }
)
"""By language and prompt. `um-` keeps their names apart from every pack's."""


def make_prompts(folder: Path, languages: Collection[str] = tuple(TEXTS)) -> int:
    """Speak what is missing in `folder`; returns how many were made. Blocks: not for the loop.

    `languages`: those that are spoken here; one without texts of ours is passed over.
    """
    made = 0
    for language in languages:
        for name, text in TEXTS.get(language, {}).items():
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

"""Programs that the configuration asks for and that are not on this machine.

Nothing fails for want of them: a fax is delivered without its text, and the operator is told.
"""

import shutil

from fax.ocr import DEFAULT_LANGUAGE, installed_languages, language_of
from fax.settings import SRGB_PROFILE
from fax.sheets import PROGRAM
from um.config import Config


def missing_programs(config: Config) -> dict[str, str]:
    """Key path to what is missing and what follows from it."""
    missing = {}
    if config.fax.ocr and (why := _no_ocr(config)):
        missing["fax.ocr"] = why
    if not SRGB_PROFILE.exists():
        missing["fax"] = f"{SRGB_PROFILE} (libgs-common) is missing: faxes are not marked as PDF/A"
    if config.web.listen_tls and shutil.which(PROGRAM) is None:
        missing["web.listen_tls"] = (
            f"{PROGRAM} (poppler-utils) is not installed: the portal shows no pages of faxes and bills"
        )
    return missing


def _no_ocr(config: Config) -> str:
    there = installed_languages()
    if there is None:
        return "tesseract (tesseract-ocr) is not installed: faxes are delivered without their text"
    wanted = set((config.fax.ocr_language or language_of(config.server.language)).split("+"))
    if wanted <= there:
        return ""
    packages = ", ".join(f"tesseract-ocr-{name}" for name in sorted(wanted - there))
    instead = f"read as {DEFAULT_LANGUAGE}" if DEFAULT_LANGUAGE in there else "not read"
    return f"{packages} is not installed: faxes are {instead}"

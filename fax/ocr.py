"""Tesseract, the only module that runs it: the words on a fax's pages, read before it is delivered.

A stored message never changes, so its text is read first or never. Laws: a fax waits for its text no
longer than the settings say, whatever tesseract does; a page that is not read in its time, or not
without an error, has no text and nothing else is lost; one page at a time is read in the whole
process, behind everything else that the machine has to do (nice 19), in `fax.sandbox`.
"""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from fax.layout import READING_DPI
from fax.pdf import PdfMaker
from fax.sandbox import MIB, Limits, Sandbox
from fax.tsv import words_of
from fax.words import Word, lines_of
from um.core.errors import UMError
from um.core.ports import Metrics, NoMetrics

log = structlog.get_logger(__name__)

PROGRAM = "tesseract"
MAX_PAGE_TEXT_OCTETS = 6 * 1024
"""UTF-8 of one page's text; `fax.room` reserves it. What is beyond is left out."""
LANGUAGES = {
    "cs": "ces",
    "da": "dan",
    "de": "deu",
    "el": "ell",
    "en": "eng",
    "es": "spa",
    "et": "est",
    "fi": "fin",
    "fr": "fra",
    "hu": "hun",
    "it": "ita",
    "ja": "jpn",
    "ko": "kor",
    "nb": "nor",
    "nl": "nld",
    "no": "nor",
    "pl": "pol",
    "pt": "por",
    "ro": "ron",
    "ru": "rus",
    "sk": "slk",
    "sv": "swe",
    "tr": "tur",
    "uk": "ukr",
    "zh": "chi_sim",
}
"""An account's language (ISO 639-1) by tesseract's name; Debian has each as `tesseract-ocr-NAME`."""
DEFAULT_LANGUAGE = "eng"
_LIST_SECONDS = 10.0
_MAX_TSV_OCTETS = 4 * MIB

Words = dict[int, tuple[Word, ...]]
"""What was read, by the page's place among all pages, from 1."""


def installed_languages() -> frozenset[str] | None:
    """The languages that tesseract can read here; None if it is not installed. Blocks for a moment."""
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    folders = Path("/usr/share/tesseract-ocr").glob("*/tessdata")
    return frozenset(file.stem for folder in folders for file in folder.glob("*.traineddata"))


class FaxReader:
    """Reads the pages of faxes, one after another.

    `language` is tesseract's name of one or several joined by `+`; empty: the account's own.
    """

    def __init__(
        self,
        pdf: PdfMaker,
        *,
        language: str = "",
        page_seconds: float = 20.0,
        total_seconds: float = 60.0,
        metrics: Metrics | None = None,
    ) -> None:
        self._pdf = pdf
        self._language = language
        self._page_seconds = page_seconds
        self._total_seconds = total_seconds
        self._metrics = metrics or NoMetrics()
        self._sandbox = Sandbox()
        self._turn = asyncio.Semaphore(1)
        self._closing = asyncio.Event()

    async def read(self, documents: bytes | Sequence[bytes], account_language: str) -> Words:
        """What can be read in the time there is; waits for its turn in it. Raises nothing."""
        found: Words = {}
        language = await asyncio.to_thread(self._chosen, account_language)
        if not language:
            return found
        reading = asyncio.ensure_future(self._read_all(documents, language, found))
        closing = asyncio.ensure_future(self._closing.wait())
        both = (reading, closing)
        try:
            await asyncio.wait(
                both, timeout=self._total_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not reading.done():
                log.warning("fax.not-read-in-time", pages_read=len(found))
                self._metrics.count("fax_ocr_failures")
        finally:
            for task in both:
                task.cancel()
            ended, _ = await asyncio.gather(*both, return_exceptions=True)
        if isinstance(ended, Exception):  # not its cancellation
            log.error("fax.not-read", exc_info=ended)
        return found

    def close(self) -> None:
        """Read no more: what waits for its text goes without it."""
        self._closing.set()

    def _chosen(self, account_language: str) -> str:
        """The language to read in; empty if nothing can be read here, which is logged."""
        there = installed_languages()
        if there is None:
            log.warning("fax.no-ocr", reason="tesseract is not installed")
            return ""
        wanted = self._language or language_of(account_language)
        if set(wanted.split("+")) <= there:
            return wanted
        log.warning("fax.ocr-language-missing", language=wanted)
        return DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in there else ""

    async def _read_all(
        self, documents: bytes | Sequence[bytes], language: str, found: Words
    ) -> None:
        """Fill `found` page by page: what is in it when the time is up is kept."""
        async with self._turn:
            number = 0
            while True:
                number += 1
                try:
                    picture = await self._pdf.picture(documents, number)
                except UMError as error:
                    log.warning("fax.page-not-read", page=number, reason=error.code)
                    return
                if picture is None:
                    return
                if picture and (words := await self._read_page(picture, language, number)):
                    found[number] = words

    async def _read_page(self, picture: bytes, language: str, number: int) -> tuple[Word, ...]:
        """The words of one picture; it goes in and they come out by memory, never by a file."""
        names = ("fax-picture", "fax-words")
        incoming, outgoing = (os.memfd_create(name, os.MFD_CLOEXEC) for name in names)
        try:
            os.writev(incoming, [picture])
            os.lseek(incoming, 0, os.SEEK_SET)
            if await self._run(language, (incoming, outgoing)):
                table = os.pread(outgoing, _MAX_TSV_OCTETS, 0)
                return bounded(words_of(table.decode("utf-8", "replace")))
        finally:
            os.close(incoming)
            os.close(outgoing)
        log.warning("fax.page-not-read", page=number, reason=PROGRAM)
        self._metrics.count("fax_ocr_failures")
        return ()

    async def _run(self, language: str, streams: tuple[int, int]) -> bool:
        dpi = str(READING_DPI)
        command = (PROGRAM, "stdin", "stdout", "-l", language, "--dpi", dpi, "tsv")
        limits = Limits(
            wall_seconds=self._page_seconds,
            cpu_seconds=int(self._page_seconds) + 1,
            file_octets=_MAX_TSV_OCTETS,
            nice=19,
        )
        # Its own threads would take the processors from the calls.
        one_thread = (("OMP_THREAD_LIMIT", "1"),)
        return await self._sandbox.run(command, limits, environment=one_thread, streams=streams)


def language_of(account_language: str) -> str:
    """Tesseract's name of an account's language (`en`, `fr-CA`)."""
    return LANGUAGES.get(account_language.lower()[:2], DEFAULT_LANGUAGE)


def bounded(words: Sequence[Word]) -> tuple[Word, ...]:
    """The first words, up to MAX_PAGE_TEXT_OCTETS."""
    left = MAX_PAGE_TEXT_OCTETS
    kept = []
    for word in words:
        left -= len(word.text.encode("utf-8", "replace")) + 1
        if left < 0:
            break
        kept.append(word)
    return tuple(kept)


def page_texts(words: Words) -> dict[int, str]:
    """The text of each page that has any."""
    return {number: lines_of(page) for number, page in words.items() if page}

"""The numbers and places of fax, with the product's defaults."""

from dataclasses import dataclass
from pathlib import Path

from fax.tiff import MAX_PAGES

SRGB_PROFILE = Path("/usr/share/color/icc/ghostscript/srgb.icc")
"""Debian's libgs-common, which ghostscript brings: an ICC profile of version 2, as PDF 1.4 asks."""


@dataclass(frozen=True, slots=True)
class FaxSettings:
    """What an operator may set."""

    domain: str
    """Of the addresses in a message's From and To."""
    ecm: bool = True
    """Offer error correction to senders."""
    max_pages: int = MAX_PAGES
    enable_t38: bool = True
    """Take T.38 where it is offered, and offer it."""
    t38_offer_seconds: float = 2.5
    """So long after the fax has begun we offer T.38; 0: only the core does."""
    paper: str = "a4"
    """`a4` or `letter`: the width of a PDF's pages."""
    header_line: bool = True
    """Write sender, time and page above every page of a PDF."""
    ocr: bool = False
    """Read the pages' text before a fax is delivered."""
    ocr_language: str = ""
    """Tesseract's name of the languages to read in; empty: the account's own."""
    ocr_seconds: float = 60.0
    """How long at most a fax waits for its text."""
    max_call_seconds: float = 7200
    """Reservations outlive the call by ten minutes."""
    retry_seconds: tuple[float, ...] = (1, 2, 5, 10, 30, 60)
    """Pauses between tries while the storage is gone; the last one repeats."""
    pdf_workers: int = 2

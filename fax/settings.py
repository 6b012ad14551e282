"""The numbers of fax, with the product's defaults."""

from dataclasses import dataclass

from fax.tiff import MAX_PAGES


@dataclass(frozen=True, slots=True)
class FaxSettings:
    """What an operator may set."""

    domain: str
    """Of the addresses in a message's From and To."""
    ecm: bool = True
    """Offer error correction to senders."""
    max_pages: int = MAX_PAGES
    paper: str = "a4"
    """`a4` or `letter`: the width of a PDF's pages."""
    max_call_seconds: float = 7200
    """Reservations outlive the call by ten minutes."""
    retry_seconds: tuple[float, ...] = (1, 2, 5, 10, 30, 60)
    """Pauses between tries while the storage is gone; the last one repeats."""
    pdf_workers: int = 2

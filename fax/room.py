"""How much of a mailbox a fax will take: RFC822.SIZE before there is a message, never too low."""

from um.policy.quota import base64_octets

FIRST_PAGE_OCTETS = 256 * 1024
"""Promised before a call is answered: a dense page in fine resolution."""
_MESSAGE_OCTETS = 16 * 1024
"""Header, text part with its notes, boundaries; measured under 4 KiB."""
_PDF_OCTETS = 36 * 1024
"""Colour profile, PDF/A marks, the letters of the header line: 30 KiB if all there are occur in it."""
_PDF_PAGE_OCTETS = 1200
"""Page object, image dictionary, header line and cross references; measured under 950."""
_TEXT_PAGE_OCTETS = 3 * 6 * 1024
"""The text of a page (`fax.ocr`) as quoted-printable, three octets for one."""
_LAYER_PAGE_OCTETS = 16 * 1024
"""The same in the PDF (`fax.text_layer`)."""


def message_octets(page_octets: int, pages: int, *, ocr: bool = False) -> int:
    """The size that a message of so many pages, `page_octets` of TIFF together, cannot pass."""
    pdf = page_octets + _PDF_OCTETS + _PDF_PAGE_OCTETS * pages
    if not ocr:
        return _MESSAGE_OCTETS + base64_octets(pdf)
    layers = _LAYER_PAGE_OCTETS * pages
    return _MESSAGE_OCTETS + _TEXT_PAGE_OCTETS * pages + base64_octets(pdf + layers)

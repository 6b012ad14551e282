"""How much of a mailbox a fax will take: RFC822.SIZE before there is a message, never too low."""

from um.policy.quota import base64_octets

FIRST_PAGE_OCTETS = 256 * 1024
"""Promised before a call is answered: a dense page in fine resolution."""
_MESSAGE_OCTETS = 16 * 1024
"""Header, text part with its notes, boundaries; measured under 4 KiB."""
_PDF_OCTETS = 2 * 1024
_PDF_PAGE_OCTETS = 1024
"""Page object, image dictionary and cross references; measured under 700."""


def message_octets(page_octets: int, pages: int) -> int:
    """The size that a message of so many pages, `page_octets` of TIFF together, cannot pass."""
    return _MESSAGE_OCTETS + base64_octets(page_octets + _PDF_OCTETS + _PDF_PAGE_OCTETS * pages)

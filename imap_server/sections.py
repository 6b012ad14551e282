"""Where the octets of a section lie in a message (RFC 3501 §6.4.5 `BODY[section]<partial>`)."""

from functools import lru_cache

from imap_server.wire.fetch import Section
from um.core.message import Content
from um.mime.fields import MAX_HEADER_OCTETS
from um.mime.headers import select_fields
from um.mime.index import PartIndex

SPANS = 4096
"""Places of parts that are remembered: at most 3 kB each."""


def span_of(content: Content, section: Section) -> tuple[int, int] | None:
    """Where the section's octets are in the blob; of HEADER.FIELDS where the header is.

    No message's own header is longer than MAX_HEADER_OCTETS. That of a message within it may be as
    long as a message: fields are chosen from its beginning, lest each item take the time of all of it.
    """
    if not section.path and not section.what:
        whole: tuple[int, int] | None = (0, content.size_octets)
    else:
        whole = _span_of_part(content.structure, section.path, section.what)
    if whole is not None and section.fields is not None:
        return whole[0], min(whole[1], whole[0] + MAX_HEADER_OCTETS)
    if whole is None or section.start is None:
        return whole
    start = min(whole[0] + section.start, whole[1])
    return start, min(start + section.count, whole[1])


@lru_cache(maxsize=SPANS)
def _span_of_part(structure: bytes, path: tuple[int, ...], what: str) -> tuple[int, int] | None:
    return PartIndex.decode(structure).span(path, what)


def chosen_fields(header: bytes, section: Section) -> bytes:
    """Of a header what HEADER.FIELDS, or its opposite, asks for."""
    names = [name.decode("ascii") for name in section.fields or ()]
    return select_fields(header, names, negate=section.negate)


def partial(octets: bytes, section: Section) -> bytes:
    """The partial that is asked for, or all."""
    if section.start is None:
        return octets
    return octets[section.start : section.start + section.count]

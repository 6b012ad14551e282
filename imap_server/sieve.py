"""Rules out by many headers at once what they cannot hold: one look in C instead of one in Python each.

Pure. Laws:
- A message is ruled out only if `Candidate.field_values` of no field could hold the text. What is
  not ruled out may still not match: it is asked as if there were no sieve.
- A header's piece is the header in one line, without regard to case; where there is anything to
  decode (RFC 2047, octets beyond ASCII) it is the decoded values of all fields.
- Pieces are bounded: a header longer than LONGEST_OCTETS is never ruled out.
"""

from collections.abc import Sequence

from imap_server.candidate import FIELD_NAME, folded, folded_values
from imap_server.wire.search import (
    And,
    BodyContains,
    HeaderContains,
    ModSeqAtLeast,
    Numbers,
    SearchKey,
    SentDate,
)

MOST_TEXTS = 4
LONGEST_OCTETS = 4096
"""Most have less than 1 kB."""
KEPT_OCTETS = 16 * 1024 * 1024
"""Of pieces, for all sessions together."""
BETWEEN = b"\0"
"""Between pieces, and in none of them."""
ANYTHING = b"\xff"
"""The piece of a message that may hold whatever is looked for: no octet of UTF-8."""


def needed_texts(key: SearchKey) -> list[bytes]:
    """Texts, folded, each of which the header of every message that matches has; none: no sieve.

    Nor is there one for a key that names some messages: these are quickly asked.
    """
    keys = key.keys if isinstance(key, And) else (key,)
    if any(isinstance(each, Numbers | ModSeqAtLeast) for each in keys):
        return []
    texts = [
        folded(each.text)
        for each in keys
        if isinstance(each, HeaderContains) and FIELD_NAME.fullmatch(each.name)
    ]
    return [text for text in texts if text and BETWEEN not in text][:MOST_TEXTS]


def asks_all_headers(key: SearchKey) -> bool:
    """Whether nothing of the key is decided without headers, so that all have to be loaded."""
    keys = key.keys if isinstance(key, And) else (key,)
    return all(isinstance(each, HeaderContains | BodyContains | SentDate) for each in keys)


def plain_pieces(headers: Sequence[bytes]) -> bytes | None:
    """The pieces, joined, of headers that say what they mean as they stand; None if one does not."""
    if max(map(len, headers)) > LONGEST_OCTETS:
        return None
    pieces = _unfolded(BETWEEN.join(headers))
    return pieces if _is_plain(pieces) and pieces.count(BETWEEN) == len(headers) - 1 else None


def piece(header: bytes) -> bytes:
    """The piece of any header."""
    if len(header) > LONGEST_OCTETS:
        return ANYTHING
    unfolded = _unfolded(header)
    if _is_plain(unfolded) and BETWEEN not in unfolded:
        return unfolded
    return folded_values(header).replace(BETWEEN, b"\n")


def may_hold(pieces: bytes, texts: Sequence[bytes]) -> list[bool] | None:
    """Of each of the pieces, joined, whether the message may hold all of `texts`; None: none may."""
    if any(text not in pieces for text in texts) and ANYTHING not in pieces:
        return None
    return [
        all(text in each for text in texts) or each == ANYTHING for each in pieces.split(BETWEEN)
    ]


def _unfolded(header: bytes) -> bytes:
    """In one line, each field as `Candidate.field_values` has it, without regard to case."""
    if b"\t" in header:
        header = header.replace(b"\r\n\t", b"\r\n ")
    return header.replace(b"\r\n", b"").lower()


def _is_plain(unfolded: bytes) -> bool:
    """Whether it says what it means: ASCII, no encoded words, CR and LF only together.

    Single octets are looked for first: that is many times as quick as two.
    """
    return (
        unfolded.isascii()
        and b"\r" not in unfolded
        and b"\n" not in unfolded
        and (b"?" not in unfolded or b"=?" not in unfolded)
    )

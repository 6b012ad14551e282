"""Mailbox names as they are written (RFC 3501 §5.1, §5.1.3, §9 `mailbox`)."""

import unicodedata

from imap_server.wire import utf7
from imap_server.wire.tokens import BadCommandError, Scanner
from um.core.message import INBOX

MAX_NAME = 255
"""Characters of a mailbox name."""


def canonical(name: str) -> str:
    """INBOX, alone or as the first level, in capitals (RFC 3501 §5.1)."""
    first, slash, rest = name.partition("/")
    return INBOX + slash + rest if first.isascii() and first.upper() == INBOX else name


def decoded(scan: Scanner, wire: bytes) -> str:
    """The Unicode name of a name or pattern: in modified UTF-7, or in UTF-8 (RFC 6855 §3)."""
    try:
        name = wire.decode("utf-8") if scan.utf8 else utf7.decode(wire)
    except (ValueError, UnicodeError):
        spelling = "UTF-8" if scan.utf8 else "modified UTF-7"
        raise BadCommandError(f"Mailbox name is not {spelling}") from None
    if len(name) > MAX_NAME:
        raise BadCommandError("Mailbox name too long")
    return name


def normalized(scan: Scanner, name: str) -> str:
    """The name of a folder that is to be: Net-Unicode, if UTF-8 is spoken (RFC 9051 §5.1)."""
    return canonical(unicodedata.normalize("NFC", name) if scan.utf8 else name)


def mailbox(scan: Scanner) -> str:
    """RFC 3501 §9 `mailbox`."""
    return canonical(decoded(scan, scan.astring()))

"""URLs of messages (RFC 5092 §5), as far as CATENATE takes them: relative, of the own account.

`[/mailbox][;UIDVALIDITY=n]/;UID=n[/;SECTION=…][/;PARTIAL=o.l]`; without a mailbox the selected one is
meant (RFC 4469 §3). A URL with a server or with an authorization to read is none of these.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from imap_server.wire.fetch import Section, parse_section
from imap_server.wire.names import MAX_NAME, canonical
from imap_server.wire.tokens import BadCommandError, Scanner

MAX_URL = 4096
_URL = re.compile(
    r"(?:/(?P<mailbox>[^;]+))?(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?/?"
    r";UID=(?P<uid>[1-9][0-9]{0,9})"
    r"(?:/;SECTION=(?P<section>[^;]+?))?"
    r"(?:/;PARTIAL=(?P<start>[0-9]{1,10})(?:\.(?P<count>[1-9][0-9]{0,9}))?)?",
    re.IGNORECASE,
)


class InvalidUrlError(Exception):
    """The text is no URL of a message."""


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """One message, or a part of it."""

    mailbox: str | None
    """None: the selected one."""
    uidvalidity: int | None
    uid: int
    section: Section


def parse_url(written: bytes) -> MessageUrl:
    """Read a URL. Raises InvalidUrlError."""
    if len(written) > MAX_URL or not written.isascii():
        raise InvalidUrlError
    match = _URL.fullmatch(written.decode("ascii"))
    if match is None:
        raise InvalidUrlError
    start = match["start"]
    origin = "" if start is None else f"<{start}.{match['count'] or 0xFFFFFFFF}>"
    section = b"[" + unquote_to_bytes(match["section"] or "") + b"]" + origin.encode("ascii")
    scan = Scanner([section])
    try:
        wanted = parse_section(scan, peek=True)
        scan.end()
    except BadCommandError as error:
        raise InvalidUrlError from error
    validity = match["validity"]
    return MessageUrl(
        None if match["mailbox"] is None else _mailbox(match["mailbox"]),
        None if validity is None else int(validity),
        int(match["uid"]),
        wanted,
    )


def _mailbox(written: str) -> str:
    """Mailbox names are in UTF-8 there, whatever the session speaks (RFC 5092 §8)."""
    try:
        name = unquote_to_bytes(written.removesuffix("/")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidUrlError from error
    if not name or len(name) > MAX_NAME:
        raise InvalidUrlError
    return canonical(name)

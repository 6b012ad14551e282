"""Messages as an mbox file (RFC 4155, in the variant that quotes without loss: mboxrd). Pure.

mbox has no place for flags; what mail programs have agreed on stands in three fields of the header:
`Status` (R read, O old), `X-Status` (A answered, F flagged, T draft, D deleted), `X-Keywords`.
"""

import re
from collections.abc import Collection
from datetime import UTC, datetime

from um.core.message import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
_OURS = re.compile(
    rb"^(?:Status|X-Status|X-Keywords)[ \t]*:.*\n(?:[ \t].*\n)*", re.MULTILINE | re.IGNORECASE
)
_LETTERS = ((ANSWERED, "A"), (FLAGGED, "F"), (DRAFT, "T"), (DELETED, "D"))


def mbox_entry(message: bytes, at: datetime, *, flags: Collection[str] = ()) -> bytes:
    """One message: a line that begins it, lines ended by LF, and an empty line.

    Args:
        message: RFC 5322.
        at: when it came, aware.
        flags: system flags and keywords, as IMAP writes them.
    """
    begin = f"From MAILER-DAEMON {at.astimezone(UTC):%a %b %d %H:%M:%S %Y}\n".encode("ascii")
    lines = message.replace(b"\r\n", b"\n")
    if not lines.endswith(b"\n"):
        lines += b"\n"
    head, empty, body = _split(lines)
    marked = _OURS.sub(b"", head) + _status(flags)
    return begin + _FROM.sub(rb">\1", marked + empty + body) + b"\n"


def _split(lines: bytes) -> tuple[bytes, bytes, bytes]:
    """Header block, the empty line, body; each may be missing."""
    if lines.startswith(b"\n"):
        return b"", b"\n", lines[1:]
    end = lines.find(b"\n\n")
    return (lines, b"", b"") if end < 0 else (lines[: end + 1], b"\n", lines[end + 2 :])


def _status(flags: Collection[str]) -> bytes:
    """The fields; what a stranger wrote in fields of these names was not ours and is left out."""
    fields = ["Status: RO" if SEEN in flags else "Status: O"]
    if letters := "".join(letter for flag, letter in _LETTERS if flag in flags):
        fields.append(f"X-Status: {letters}")
    if words := sorted(each for each in flags if not each.startswith("\\")):
        fields.append(f"X-Keywords: {' '.join(words)}")
    return "".join(f"{each}\n" for each in fields).encode("utf-8", "replace")

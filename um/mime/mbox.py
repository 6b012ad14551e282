"""Messages as an mbox file (RFC 4155, in the variant that quotes without loss: mboxrd). Pure."""

import re
from datetime import UTC, datetime

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)


def mbox_entry(message: bytes, at: datetime) -> bytes:
    """One message: a line that begins it, lines ended by LF, and an empty line.

    Args:
        message: RFC 5322.
        at: when it came, aware.
    """
    head = f"From MAILER-DAEMON {at.astimezone(UTC):%a %b %d %H:%M:%S %Y}\n".encode("ascii")
    lines = message.replace(b"\r\n", b"\n")
    end = b"\n" if lines.endswith(b"\n") else b"\n\n"
    return head + _FROM.sub(rb">\1", lines) + end

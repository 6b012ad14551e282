"""The message-summary event package (RFC 3842): a lamp as the body of a NOTIFY.

Pure: values in, octets out.
"""

from typing import Final

from um.core.waiting import Lamp, Waiting

PACKAGE: Final = "message-summary"
CONTENT_TYPE: Final = "application/simple-message-summary"
DEFAULT_SECONDS: Final = 3600
"""A subscription without Expires (RFC 3842 §3.4)."""


def account_uri(number: str, domain: str) -> str:
    """The mailbox of `number`, as Message-Account, From and To name it."""
    return f"sip:{number}@{domain}"


def summary(lamp: Lamp, domain: str) -> bytes:
    """The body (RFC 3842 §5.2). Both lines are always there, with zeros too."""
    lines = (
        f"Messages-Waiting: {'yes' if lamp.on else 'no'}",
        f"Message-Account: {account_uri(lamp.number, domain)}",
        f"Voice-Message: {_counts(lamp.voice)}",
        f"Fax-Message: {_counts(lamp.fax)}",
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _counts(waiting: Waiting) -> str:
    urgent = f"({waiting.urgent_new}/{waiting.urgent_old})"
    return f"{waiting.new}/{waiting.old} {urgent}"

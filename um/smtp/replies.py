"""The one table from errors to SMTP and LMTP replies (RFC 5321 §4.2.3, RFC 3463)."""

import errno
from typing import NamedTuple

from um.core.errors import UMError
from um.mime.clean import clean_text


class Reply(NamedTuple):
    """A reply code with its enhanced status code."""

    code: int
    status: str

    def text(self, words: str) -> str:
        """The line without its CRLF: 7-bit, whatever `words` holds."""
        ascii_words = clean_text(words, 200).encode("ascii", "replace").decode()
        return f"{self.code} {self.status} {ascii_words}"


ACCEPTED = Reply(250, "2.0.0")
RECIPIENT_OK = Reply(250, "2.1.5")
SENDER_OK = Reply(250, "2.1.0")
ACCESS_DENIED = Reply(554, "5.7.1")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0")
SHUTTING_DOWN = Reply(421, "4.3.2")
TIMED_OUT = Reply(421, "4.4.2")
TLS_FAILED = Reply(454, "4.7.0")
INTERNAL = Reply(451, "4.3.0")
DISK_FULL = Reply(452, "4.3.1")
OTHER_TEMPORARY = Reply(451, "4.3.0")
OTHER_PERMANENT = Reply(554, "5.3.0")

OF_ERROR = {
    "not-found": Reply(550, "5.1.1"),
    "relay-denied": Reply(550, "5.7.1"),
    "account-suspended": Reply(450, "4.2.1"),
    "account-closed": Reply(550, "5.2.1"),
    "read-only": Reply(450, "4.2.1"),
    "quota-exceeded": Reply(552, "5.2.2"),
    "too-large": Reply(552, "5.3.4"),
    "unavailable": Reply(451, "4.3.0"),
    "busy": Reply(452, "4.3.1"),
    "too-many-recipients": Reply(452, "4.5.3"),
    "bare-newline": Reply(550, "5.6.0"),
    "malformed-mail": Reply(554, "5.6.0"),
    "mail-loop": Reply(554, "5.4.6"),
}
"""By `UMError.code`."""

STATUS_OF_CODE = {
    221: "2.0.0",
    250: "2.0.0",
    252: "2.5.0",
    421: "4.3.0",
    450: "4.2.0",
    451: "4.3.0",
    452: "4.3.1",
    454: "4.7.0",
    500: "5.5.2",
    501: "5.5.4",
    502: "5.5.1",
    503: "5.5.1",
    530: "5.7.0",
    538: "5.7.11",
    550: "5.1.1",
    552: "5.3.4",
    553: "5.1.3",
    554: "5.0.0",
    555: "5.5.4",
}
"""The enhanced code of a reply that aiosmtpd words itself (RFC 2034 wants one in every reply)."""


def reply_to(error: UMError) -> Reply:
    """The reply for an error; one without a line of its own goes by whether it is temporary."""
    if error.code == "unavailable" and _disk_is_full(error):
        return DISK_FULL
    other = OTHER_TEMPORARY if error.temporary else OTHER_PERMANENT
    return OF_ERROR.get(error.code, other)


def refusal_text(error: UMError) -> str:
    """The whole reply line for an error: its public sentence, never its cause."""
    return reply_to(error).text(error.public)


def _disk_is_full(error: UMError) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        cause = cause.__cause__
    return False

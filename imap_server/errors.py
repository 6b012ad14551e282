"""`UMError` in the words of IMAP: one table of response codes (RFC 3501 §7.1, RFC 5530, RFC 9208)."""

from urllib.parse import quote_from_bytes

from imap_server.wire import responses
from imap_server.wire.notify import EVENTS
from um.core.errors import UMError
from um.service.annotations import MAX_VALUE_OCTETS

CODES: dict[str, bytes] = {
    "not-found": b"NONEXISTENT",
    "no-target": b"TRYCREATE",
    "gone": b"EXPUNGEISSUED",
    "already-exists": b"ALREADYEXISTS",
    "invalid": b"CANNOT",
    "no-such-use": b"USEATTR",
    "quota-exceeded": b"OVERQUOTA",
    "too-large": b"TOOBIG",
    "account-suspended": b"NOPERM",
    "account-closed": b"CONTACTADMIN",
    "authentication-failed": b"AUTHENTICATIONFAILED",
    "locked-out": b"LIMIT",
    "read-only": b"NOPERM",
    "unavailable": b"UNAVAILABLE",
    "refused-document": b"CANNOT",
    "life-cycle": b"NOPERM",
    "legal-hold": b"NOPERM",
    "privacy-required": b"PRIVACYREQUIRED",
    "too-many-connections": b"LIMIT",
    "too-busy": b"LIMIT",
    "too-many-messages": b"LIMIT",
    "unknown-encoding": b"UNKNOWN-CTE",
    "bad-url": b"BADURL",
    "unknown-event": b"BADEVENT (" + " ".join(EVENTS).encode("ascii") + b")",
    "note-too-large": b"METADATA MAXSIZE %d" % MAX_VALUE_OCTETS,
    "too-many-notes": b"METADATA TOOMANY",
    "too-many-keywords": b"LIMIT",
    "search-too-long": b"LIMIT",
    "unknown-charset": b"BADCHARSET (US-ASCII UTF-8)",
}
"""Codes that no one has a word for are SERVERBUG."""
MAX_URL_TOLD = 1000
_URL_TEXT = "!\"#$%&'()*+,-./:;<=>?@[^_`{|}~"
"""What stays as the client wrote it: printable, and no `]` (RFC 4469 §5)."""


class PrivacyRequiredError(UMError):
    """A password was offered in clear (RFC 5530 §3)."""

    code = "privacy-required"
    default = "Use TLS before you log in"


class TooManyConnectionsError(UMError):
    """The account has all the sessions it may have."""

    code = "too-many-connections"
    temporary = True
    default = "Too many connections of this account"


class TooBusyError(UMError):
    """More messages are being appended than fit into memory."""

    code = "too-busy"
    temporary = True
    default = "Too much is arriving at once, try again later"


class TooManyMessagesError(UMError):
    """One APPEND has more messages than are taken together."""

    code = "too-many-messages"
    default = "Too many messages in one command"


class UnknownEncodingError(UMError):
    """A Content-Transfer-Encoding that cannot be undone, or NUL where no encoding allows it."""

    code = "unknown-encoding"
    default = "The Content-Transfer-Encoding is not known"


class SearchTooLongError(UMError):
    """The search would keep the server busy for too long."""

    code = "search-too-long"
    temporary = True
    default = "The search takes too long; ask for less at once"


class UnknownCharsetError(UMError):
    """SEARCH, SORT or THREAD in a charset that is not known (RFC 3501 §6.4.4)."""

    code = "unknown-charset"
    default = "Charset is not known"


class UnknownEventError(UMError):
    """NOTIFY asks for an event that is not served (RFC 5465 §3.1)."""

    code = "unknown-event"
    default = "There is no such event here"


class BadUrlError(UMError):
    """A URL that leads to no message of the account (RFC 4469 §4.1)."""

    code = "bad-url"
    default = "There is no such message or part"

    def __init__(self, url: bytes) -> None:
        super().__init__()
        self.url = quote_from_bytes(url[:MAX_URL_TOLD], safe=_URL_TEXT).encode("ascii")
        """As it may stand in a response code."""


class SessionOverError(Exception):
    """The session ends now; the text goes into the BYE."""


class BrokenResponseError(Exception):
    """A response that was begun cannot be finished: only closing the connection is honest."""


class LinkLostError(Exception):
    """The client is gone; there is no one to answer."""


def refused(tag: bytes, error: UMError) -> bytes:
    """The tagged NO that says `error`."""
    code = CODES.get(error.code, b"SERVERBUG")
    if isinstance(error, BadUrlError):
        code += b" " + error.url
    return responses.status(tag, b"NO", error.public, code=code)

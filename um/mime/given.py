"""A file that somebody gives as a mail, in the form that mail has."""

import re

from um.core.errors import RefusedDocumentError

_ANY_NEWLINE = re.compile(rb"\r\n|\r|\n")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def as_mail(data: bytes) -> bytes:
    """The message with CRLF at all line ends, whichever it had (RFC 5322 §2.3).

    Raises RefusedDocumentError if it does not begin with a header field.
    """
    if not _FIELD.match(data):
        raise RefusedDocumentError("The file is no mail: it does not begin with a header field")
    return _ANY_NEWLINE.sub(b"\r\n", data)

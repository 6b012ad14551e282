"""Refusals that only mail transport knows; `um.smtp.replies` gives them their numbers."""

from um.core.errors import UMError


class RelayDeniedError(UMError):
    """The recipient is not of our domain: we carry no one else's mail."""

    code = "relay-denied"
    default = "Relaying denied"


class BareNewlineError(UMError):
    """CR or LF without the other in the message: what the next hop reads might differ."""

    code = "bare-newline"
    default = "Bare CR or LF in message (RFC 5321 section 2.3.8)"


class MalformedMailError(UMError):
    """A header or a line beyond any honest size."""

    code = "malformed-mail"
    default = "Message is malformed"


class MailLoopError(UMError):
    """More Received fields than any way through the mail system adds."""

    code = "mail-loop"
    default = "Mail loop: too many Received fields"


class TooManyRecipientsError(UMError):
    """No more recipients in this transaction; the client sends the others apart."""

    code = "too-many-recipients"
    temporary = True
    default = "Too many recipients, send the others apart"


class BusyError(UMError):
    """The memory for messages in flight is taken; the client comes back later."""

    code = "busy"
    temporary = True
    default = "Too much mail at once, try again later"

"""The envelope of one mail, and what EHLO, MAIL and RCPT decide (aiosmtpd's hooks).

SMTP has one reply for all recipients of a message, so that they must have one fate: it takes the
recipients of one account at a time and answers 452 to others, which the client sends apart. LMTP
has a reply for each and takes up to the limit.
"""

import re
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import Envelope

from um.core.errors import UMError
from um.core.message import MessageKind
from um.smtp import replies
from um.smtp.errors import TooManyRecipientsError

if TYPE_CHECKING:
    from um.smtp.protocol import MailProtocol
    from um.smtp.reception import Recipient

_PATH = re.compile(
    r'\s*<(?:@[^:<>]*:)?((?:"(?:[^"\\]|\\.)*"|[^\s<>@"]+)(?:@[^\s<>@]+)?|)>\s*(.*)', re.DOTALL
)
NULL_SENDER = "<>"
"""What aiosmtpd calls the empty reverse path."""
MAX_PATH = 320


class MailEnvelope(Envelope):
    """One transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.recipients: list[tuple[str, Recipient]] = []
        """Address as given and what it means, in the order of RCPT."""
        self.declared_octets = 0
        self.kind = MessageKind.MAIL

    @property
    def sender(self) -> str:
        """The reverse path; empty for the null sender."""
        return "" if self.mail_from in (None, NULL_SENDER) else str(self.mail_from)


def parse_path(text: str) -> tuple[str | None, str | None]:
    """Split `<path> parameters` (RFC 5321 §4.1.2); (None, None) if it is none. Routes are dropped."""
    match = _PATH.match(text)
    if not match or len(match[1]) > MAX_PATH:
        return None, None
    return match[1] or NULL_SENDER, match[2]


class Hooks:
    """Answers for one connection."""

    def __init__(self, connection: "MailProtocol") -> None:
        self._connection = connection
        self._mail_in = connection.mail_in
        self._strangers = 0

    async def handle_EHLO(
        self, _server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """The keywords that are true of us."""
        session.host_name = hostname
        kept = [line for line in responses if not line.startswith(("250-AUTH", "250 HELP"))]
        return [*kept, "250-PIPELINING", "250 ENHANCEDSTATUSCODES"]

    async def handle_MAIL(
        self, _server: Any, _session: Any, envelope: MailEnvelope, address: str, options: list[str]
    ) -> str:
        """Note the reverse path and the size that the client declares (RFC 1870)."""
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        sizes = [option[5:] for option in options if option.startswith("SIZE=")]
        envelope.declared_octets = int(sizes[0]) if sizes and sizes[0].isdecimal() else 0
        client = self._connection.client()
        envelope.kind = self._mail_in.reception.kind_of(envelope.sender, client)
        return replies.SENDER_OK.text("OK")

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: MailEnvelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient that is ours and would take the mail now, or say why not."""
        try:
            if len(envelope.recipients) >= self._mail_in.settings.max_recipients:
                raise TooManyRecipientsError
            recipient = await self._mail_in.reception.recipient(
                address,
                envelope.kind,
                size_octets=envelope.declared_octets,
                sender=envelope.sender,
            )
            others = (other for _, other in envelope.recipients)
            if not self._connection.lmtp and any(other.id != recipient.id for other in others):
                raise TooManyRecipientsError
        except UMError as error:
            return self._refused(error)
        envelope.recipients.append((address, recipient))
        envelope.rcpt_tos.append(address)
        return replies.RECIPIENT_OK.text("OK")

    def _refused(self, error: UMError) -> str:
        """The reply to a refused recipient; a stranger that goes on guessing is sent away."""
        self._mail_in.metrics.count(f"smtp_refused_{error.code.replace('-', '_')}")
        if error.code in ("not-found", "relay-denied") and not self._connection.trusted:
            self._strangers += 1
            if self._strangers > self._mail_in.settings.max_unknown_recipients:
                self._connection.close_after_reply()
                return replies.TOO_MANY_CONNECTIONS.text("Too many refused recipients, goodbye")
        return replies.refusal_text(error)

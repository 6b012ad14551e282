"""A notice from the system to the owner of a mailbox (quota, locked PIN, a document refused)."""

from um.mime.build.facts import NoticeFacts
from um.mime.build.writer import (
    address_field,
    date_field,
    mail_address,
    message_id,
    text_field,
    text_part,
)


def notice_message(facts: NoticeFacts) -> bytes:
    """Render a notice (RFC 5322, CRLF, 7-bit), marked as no one's letter (RFC 3834 §5)."""
    sender = mail_address(facts.sender, facts.domain, default="postmaster")
    recipient = mail_address(facts.recipient, facts.domain)
    return b"".join(
        (
            address_field("From", sender, facts.sender_name),
            address_field("To", recipient, facts.recipient_name),
            text_field("Subject", facts.subject, 200),
            date_field(facts.at, facts.timezone),
            text_field("Message-ID", message_id("notice", facts.id, facts.domain)),
            text_field("Message-Context", "text-message"),
            text_field("Auto-Submitted", "auto-generated"),
            text_field("X-UM-Kind", "notice"),
            b"MIME-Version: 1.0\r\n",
            text_part(facts.text),
        )
    )

"""A mail that leaves the house: a copy of a message, or a letter of our own, to an address outside.

From is in the operator's own domain, so that SPF and DMARC hold there; nobody is invited to answer.
"""

from um.mime.build.facts import CopyFacts
from um.mime.build.writer import (
    address_field,
    container,
    date_field,
    mail_address,
    message_id,
    text_field,
    text_part,
)


def copy_message(facts: CopyFacts) -> bytes:
    """Render it (RFC 5322, CRLF); 7-bit unless one of `parts` is not."""
    domain = facts.sender.rpartition("@")[2]
    sender = mail_address(facts.sender.rpartition("@")[0], domain, default="postmaster")
    fields = [
        facts.trace,
        text_field("Delivered-To", facts.delivered_to) if facts.delivered_to else b"",
        address_field("From", sender, facts.sender_name),
        address_field("To", facts.recipient),
        text_field("Subject", facts.subject, 200),
        date_field(facts.at, facts.timezone),
        text_field("Message-ID", message_id("copy", facts.id, domain)),
        text_field("Auto-Submitted", "auto-generated"),
        text_field("X-Auto-Response-Suppress", "All"),
        text_field("Message-Context", facts.context) if facts.context else b"",
        text_field("X-UM-Kind", facts.kind) if facts.kind else b"",
        text_field("Content-Language", facts.language) if facts.language else b"",
        b"MIME-Version: 1.0\r\n",
    ]
    words = container(
        "alternative",
        f"=_um_words_{facts.id}",
        (text_part(facts.text), text_part(facts.html, "html")),
    )
    if facts.parts:
        words = container("mixed", f"=_um_copy_{facts.id}", (words, *facts.parts))
    return b"".join(fields) + words

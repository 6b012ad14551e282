"""An invoice that billing hands over as a PDF and a few facts, as the mail that its owner reads."""

from um.mime.build.facts import InvoiceFacts
from um.mime.build.writer import (
    Attachment,
    address_field,
    date_field,
    mail_address,
    message_id,
    multipart,
    text_field,
)
from um.mime.clean import clean_filename, clean_text


def invoice_message(facts: InvoiceFacts) -> bytes:
    """Render an invoice (RFC 5322, CRLF, 7-bit)."""
    document = Attachment(
        media_type="application/pdf",
        filename=clean_filename(f"invoice-{facts.number}", 90) + ".pdf",
        data=facts.pdf,
        description="Invoice",
    )
    return multipart(_header(facts), facts.id, facts.text or _text(facts), document)


def _header(facts: InvoiceFacts) -> list[bytes]:
    sender = mail_address("billing", facts.domain)
    return [
        address_field("From", sender, facts.sender_name),
        address_field("To", mail_address(facts.recipient, facts.domain), facts.recipient_name),
        text_field("Subject", facts.subject or _subject(facts)),
        date_field(facts.at, facts.timezone),
        text_field("Message-ID", message_id("invoice", facts.id, facts.domain)),
        text_field("Auto-Submitted", "auto-generated"),
    ]


def _subject(facts: InvoiceFacts) -> str:
    subject = f"Invoice {clean_text(facts.number)}"
    return f"{subject}: {clean_text(facts.amount)}" if facts.amount else subject


def _text(facts: InvoiceFacts) -> str:
    rows = (("Invoice", facts.number), ("Amount", facts.amount), ("Due", facts.due))
    return "\n".join(f"{name}: {clean_text(value)}" for name, value in rows if value)

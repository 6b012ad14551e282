"""A received fax as a message: what is known of the call as text, the pages as one PDF."""

from um.mime.build.caller import ANONYMOUS, file_stem, local_part, shown_caller
from um.mime.build.facts import FaxFacts
from um.mime.build.writer import (
    Attachment,
    address_field,
    date_field,
    local_time,
    mail_address,
    message_id,
    multipart,
    text_field,
)
from um.mime.clean import clean_text

_MAX_ROW = 400
"""Characters of one line of facts: the bad lines of twenty pages."""


def fax_message(facts: FaxFacts) -> bytes:
    """Render a fax (RFC 5322, CRLF, 7-bit). A partial one says so in subject and text."""
    stem = file_stem("fax", facts.received_at, facts.caller_number)
    document = Attachment(
        media_type="application/pdf",
        filename=f"{stem}-{facts.pages}p.pdf",
        data=facts.pdf,
        description="Fax document",
    )
    return multipart(_header(facts), facts.id, _text(facts), document)


def _header(facts: FaxFacts) -> list[bytes]:
    sender = mail_address(local_part(facts.caller_number), facts.domain)
    fields = [
        address_field("From", sender, facts.caller_name or facts.station_id),
        address_field("To", mail_address(facts.recipient, facts.domain), facts.recipient_name),
        text_field("Subject", f"Fax from {_sender(facts)}, {_pages(facts)}"),
        date_field(facts.received_at, facts.timezone),
        text_field("Message-ID", message_id("fax", facts.id, facts.domain)),
        text_field("Message-Context", "fax-message"),
        text_field("Content-Class", "fax-ca"),
        text_field("X-CallingTelephoneNumber", clean_text(facts.caller_number) or ANONYMOUS),
        text_field("X-FaxNumberOfPages", str(facts.pages)),
        text_field("X-UM-Kind", "fax"),
    ]
    if facts.bad_lines:
        counts = ", ".join(str(lines) for lines in facts.bad_lines)
        fields.append(text_field("X-UM-Fax-Bad-Lines", counts))
    if facts.call_id:
        fields.append(text_field("X-UM-Call-ID", facts.call_id, 250))
    if facts.redirect_cause:
        fields.append(text_field("X-UM-Redirect-Cause", facts.redirect_cause, 80))
    return fields


def _sender(facts: FaxFacts) -> str:
    """The station's own name for itself first (CSI/TSI), else who called."""
    station = clean_text(facts.station_id, 20)
    return station or shown_caller(facts.caller_name, facts.caller_number)


def _pages(facts: FaxFacts) -> str:
    """`3 pages`, or what there is of a partial fax: `partial, 2 of 3 pages received`."""
    noun = "page" if facts.pages == 1 else "pages"
    if not facts.is_partial:
        return f"{facts.pages} {noun}"
    if facts.pages_expected and facts.pages_expected > facts.pages:
        return f"partial, {facts.pages} of {facts.pages_expected} pages received"
    return f"partial, {facts.pages} {noun} received"


def _bad_lines(facts: FaxFacts) -> str:
    """`12 on page 2`; `none`; empty if nobody counted."""
    numbers = facts.page_numbers or range(1, len(facts.bad_lines) + 1)
    bad = [
        f"{lines} on page {number}"
        for number, lines in zip(numbers, facts.bad_lines, strict=False)
        if lines
    ]
    return ", ".join(bad) or ("none" if facts.bad_lines else "")


def _text(facts: FaxFacts) -> str:
    at = local_time(facts.received_at, facts.timezone)
    rows = [
        ("From", shown_caller(facts.caller_name, facts.caller_number)),
        ("Station", clean_text(facts.station_id, 20) or "not given"),
        ("Received", f"{at:%Y-%m-%d %H:%M %Z}"),
        ("Pages", _pages(facts)),
        ("Resolution", facts.resolution),
        ("Rate", f"{facts.rate_bps} bit/s" if facts.rate_bps else ""),
        ("Error correction", "" if facts.ecm is None else ("yes" if facts.ecm else "no")),
        ("Bad lines", _bad_lines(facts)),
        ("Result", facts.result),
    ]
    lines = [f"{name}: {clean_text(value, _MAX_ROW)}" for name, value in rows if value]
    if facts.is_partial:
        lines += [
            "",
            "This fax is incomplete: the pages that came through are attached.",
        ]
    if facts.note:
        lines += ["", facts.note]
    return "\n".join([*lines, *_page_texts(facts)])


def _page_texts(facts: FaxFacts) -> list[str]:
    """What was read from the pages, so that a search finds it."""
    if not facts.page_texts:
        return []
    lines = ["", "Text of the pages, read by a machine and not free of errors:"]
    for number, text in sorted(facts.page_texts.items()):
        lines += ["", f"[Page {number}]", text]
    return lines

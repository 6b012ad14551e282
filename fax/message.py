"""The pages and facts of a fax as the message that its owner reads."""

from collections.abc import Mapping

from fax.facts import ReceptionFacts
from fax.pdf import FaxDocument
from um.core.account import Account
from um.mime.build import FaxFacts, fax_message
from um.mime.build.caller import ANONYMOUS, shown_number
from um.mime.build.writer import local_time
from um.mime.clean import clean_text
from um.service.call_facts import CallFacts

_RESOLUTIONS = (
    (150, "standard, 204 x 98 dpi"),
    (250, "fine, 204 x 196 dpi"),
    (350, "300 x 300 dpi"),
    (1000, "superfine, 204 x 391 dpi"),
)
"""By the lines an inch down the page, up to which a name holds."""

_MAX_STATION = 20
"""T.30 5.3.6.2.4: a TSI has twenty characters."""


def resolution_name(y_resolution_dpi: int | None) -> str:
    """The resolution as fax users know it; empty if it is not known."""
    if not y_resolution_dpi:
        return ""
    return next((name for below, name in _RESOLUTIONS if y_resolution_dpi < below), "")


def header_line(account: Account, call: CallFacts, reception: ReceptionFacts) -> str:
    """The line above every page: when, and who sent it, by its own word and by the network's.

    The page's number is put behind it where the pages are counted (`fax.document`).
    """
    at = local_time(call.started_at, account.timezone)
    station, number = (
        clean_text(reception.station_id, _MAX_STATION),
        shown_number(call.caller_number),
    )
    same = _digits(station) == _digits(number)
    sender = f"{station} ({number})" if station and number and not same else station or number
    parts = [f"{at:%Y-%m-%d %H:%M %Z}", f"From {sender or ANONYMOUS}", f"To {call.number}"]
    return "   ".join(parts if reception.complete else [*parts, "partial"])


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


def render(
    account: Account,
    call: CallFacts,
    reception: ReceptionFacts,
    document: FaxDocument,
    *,
    identifier: str,
    domain: str,
    page_texts: Mapping[int, str] | None = None,
) -> bytes:
    """The message (RFC 5322, CRLF). `identifier` gives the Message-ID: the same at every try."""
    return fax_message(
        FaxFacts(
            id=identifier,
            domain=domain,
            recipient=call.number or account.name,
            recipient_name=account.full_name,
            received_at=call.started_at,
            timezone=account.timezone,
            pages=document.pages,
            pages_expected=document.pages + document.dropped,
            partial=not reception.complete,
            pdf=document.pdf,
            caller_number=call.caller_number,
            caller_name=call.caller_name,
            station_id=reception.station_id,
            resolution=resolution_name(reception.y_resolution_dpi),
            rate_bps=reception.bit_rate,
            ecm=reception.ecm,
            result=_result(reception, document),
            note="\n".join(document.notes),
            page_numbers=document.numbers,
            bad_lines=document.bad_rows,
            page_texts=page_texts or {},
            call_id=call.call_id,
            redirect_cause=call.cause,
        )
    )


def _result(reception: ReceptionFacts, document: FaxDocument) -> str:
    """What became of it, in words; whole only if every page came and could be read."""
    if not reception.complete:
        return f"partial: {reception.detail}"
    if document.dropped:
        return f"partial: {document.dropped} of its pages could not be read"
    return "complete"

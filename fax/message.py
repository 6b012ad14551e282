"""The pages and facts of a fax as the message that its owner reads."""

from fax.facts import ReceptionFacts
from fax.pdf import FaxDocument
from um.core.account import Account
from um.mime.build import FaxFacts, fax_message
from um.service.call_facts import CallFacts

_RESOLUTIONS = (
    (150, "standard, 204 x 98 dpi"),
    (250, "fine, 204 x 196 dpi"),
    (350, "300 x 300 dpi"),
    (1000, "superfine, 204 x 391 dpi"),
)
"""By the lines an inch down the page, up to which a name holds."""


def resolution_name(y_resolution_dpi: int | None) -> str:
    """The resolution as fax users know it; empty if it is not known."""
    if not y_resolution_dpi:
        return ""
    return next((name for below, name in _RESOLUTIONS if y_resolution_dpi < below), "")


def render(
    account: Account,
    call: CallFacts,
    reception: ReceptionFacts,
    document: FaxDocument,
    *,
    identifier: str,
    domain: str,
) -> bytes:
    """The message (RFC 5322, CRLF). `identifier` gives the Message-ID: the same at every try."""
    return fax_message(
        FaxFacts(
            id=identifier,
            domain=domain,
            recipient=call.number,
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

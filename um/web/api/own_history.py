"""One's own history: calls, and mail that came."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from um.core.account import CallRecord
from um.web.api.documents import Document
from um.web.guards import Customer
from um.web.services import Services

router = APIRouter(prefix="/me", tags=["account"])


class HistoryKind(StrEnum):
    """What a line of the history may be about."""

    VOICE = "voice"
    """A call that left a message, or one that the core reported as answered."""
    FAX = "fax"
    MISSED_VOICE = "missed-voice"
    MISSED_FAX = "missed-fax"
    REFUSED = "refused"
    """A call that the mailbox did not take."""
    INVOICE = "invoice"
    MAIL = "mail"


class HistoryLine(Document):
    """A line of the history. It stays when the message is deleted."""

    at: AwareDatetime
    kind: str
    """One of those that can be asked for."""
    number: str | None
    caller: str
    """Number or name; of mail its author."""
    duration_seconds: float
    detail: str
    """Of a call what became of it; of an invoice its subject."""

    @classmethod
    def of(cls, line: CallRecord) -> "HistoryLine":
        """Over the wire."""
        return cls(
            at=line.at,
            kind=line.kind,
            number=line.number,
            caller=line.caller,
            duration_seconds=line.duration_seconds,
            detail=line.detail,
        )


class HistoryDocument(Document):
    """Part of the history, the latest first."""

    lines: list[HistoryLine]
    next: str | None
    """Give it as `after` to get the page that follows; null at the end."""


@router.get("/history")
async def show_history(
    visitor: Customer,
    services: Services,
    kind: Annotated[tuple[HistoryKind, ...], Query(max_length=10)] = (),
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Annotated[str | None, Query(max_length=40)] = None,
) -> HistoryDocument:
    """List calls, with or without a message, and mail that came, the latest first."""
    found = await services.records.history(
        visitor.account.id, limit=limit, kinds=frozenset(kind), after=after
    )
    return HistoryDocument(lines=[HistoryLine.of(each) for each in found.lines], next=found.next)

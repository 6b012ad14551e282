"""The operator's view of the whole house: sums, and proofs of purges."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from um.core.account import AccountState, PurgeRecord
from um.core.errors import NotFoundError
from um.core.message import MessageKind
from um.web.api.documents import AccountIdPath, Document, LogCursor, latest_first
from um.web.guards import Reader
from um.web.services import Services

router = APIRouter(tags=["operator"])


class Statistics(Document):
    """All accounts together."""

    accounts: dict[AccountState, int]
    messages: dict[MessageKind, int]
    used_octets: int


class PurgeDocument(Document):
    """What is left of an account: the proof that the rest went."""

    account_id: str
    started_at: AwareDatetime
    finished_at: AwareDatetime | None
    messages: int
    octets: int
    blobs: int

    @classmethod
    def of(cls, record: PurgeRecord) -> "PurgeDocument":
        """Over the wire."""
        return cls(
            account_id=record.account_id,
            started_at=record.started_at,
            finished_at=record.finished_at,
            messages=record.messages,
            octets=record.octets,
            blobs=record.blobs,
        )


class PurgePage(Document):
    """Some of them, the latest first."""

    purges: list[PurgeDocument]
    next: str | None
    """Give it as `after` to get the page that follows; null at the end."""


@router.get("/statistics")
async def show_statistics(_: Reader, services: Services) -> Statistics:
    """Count accounts by state, messages by kind, and what they take."""
    totals = await services.records.totals()
    return Statistics(
        accounts={state: totals.accounts.get(state, 0) for state in AccountState},
        messages={kind: totals.messages.get(kind, 0) for kind in MessageKind},
        used_octets=totals.used_octets,
    )


@router.get("/purges")
async def list_purges(
    _: Reader,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: LogCursor = None,
) -> PurgePage:
    """List the purge records, the latest first."""
    log = await services.records.purges()
    shown, following = latest_first(log, limit=limit, after=after)
    return PurgePage(purges=[PurgeDocument.of(each) for each in shown], next=following)


@router.get("/purges/{account_id}")
async def show_purge(account_id: AccountIdPath, _: Reader, services: Services) -> PurgeDocument:
    """Show the purge record of an account, by the id that it had."""
    for each in await services.records.purges():
        if each.account_id == account_id:
            return PurgeDocument.of(each)
    raise NotFoundError("There is no purge record of that account")

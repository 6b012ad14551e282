"""The end of closed accounts, as the operator watches it: what is due, what is held, and since when."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from um.core.account import Account, AccountState
from um.web.api.documents import Document, Given, Line
from um.web.guards import Clerk, Reader, actor
from um.web.services import Services, WebServices

router = APIRouter(prefix="/purge", tags=["operator"])


class PurgeState(Document):
    """What the next purge, which is made once a night, will find."""

    now: AwareDatetime
    """As the server's clock says."""
    trusted_at: AwareDatetime | None
    """When the clock was last trusted; null: never yet, so that the next reading will be the first."""
    held: bool
    """The clock is not trusted: no purge is begun before the time is confirmed, or comes back."""
    due: int
    """Accounts past their purge date, or in the middle of their purge."""
    on_legal_hold: int
    """Accounts past their date which are kept all the same."""


class DueAccount(Document):
    """An account whose time is over."""

    id: str
    name: str
    state: AccountState
    purge_at: AwareDatetime | None
    legal_hold: bool
    """Kept all the same."""

    @classmethod
    def of(cls, account: Account) -> "DueAccount":
        """Over the wire."""
        return cls(
            id=account.id,
            name=account.name,
            state=account.state,
            purge_at=account.purge_at,
            legal_hold=account.legal_hold_at is not None,
        )


class DuePage(Document):
    """Some of them, by name."""

    accounts: list[DueAccount]
    next: str | None
    """Give it as `after` to get the page that follows; null at the end."""


class RightTime(Given):
    """What the operator's own clock says, not a copy of what the server said."""

    now: AwareDatetime


@router.get("")
async def show_purge(_: Reader, services: Services) -> PurgeState:
    """Show whether purges are held because of the clock, and how many accounts are due."""
    return await _state(services)


@router.get("/due")
async def list_due(
    _: Reader,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    after: Line = "",
) -> DuePage:
    """List the accounts whose purge date has passed, by name, a page at a time."""
    outlook = await services.purge_clock.outlook()
    every = sorted((*outlook.due, *outlook.on_legal_hold), key=lambda each: each.name)
    rest = [each for each in every if each.name > after]
    return DuePage(
        accounts=[DueAccount.of(each) for each in rest[:limit]],
        next=rest[limit - 1].name if len(rest) > limit else None,
    )


@router.post("/confirm")
async def confirm_time(given: RightTime, token: Clerk, services: Services) -> PurgeState:
    """End the hold: say what time it is. Refused if that differs from the server's clock by 5 minutes.

    What is due goes in the night's round, or at once by `um purge`.
    """
    await services.purge_clock.confirm(given.now, actor=actor(token))
    return await _state(services)


async def _state(services: WebServices) -> PurgeState:
    outlook = await services.purge_clock.outlook()
    return PurgeState(
        now=outlook.now,
        trusted_at=outlook.trusted_at,
        held=outlook.held,
        due=len(outlook.due),
        on_legal_hold=len(outlook.on_legal_hold),
    )

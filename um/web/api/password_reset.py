"""A forgotten password: a link is mailed to the account's confirmed addresses outside."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Request
from pydantic import Field

from um.web.api.documents import Given
from um.web.api.own_account import Secret
from um.web.guards import OwnSite, peer
from um.web.services import Services

router = APIRouter(prefix="/password-reset", tags=["session"])


class Forgetful(Given):
    """A login name."""

    name: Annotated[str, Field(min_length=1, max_length=320)]


class LinkAndPassword(Given):
    """The last part of the mailed link, and the new password."""

    token: Annotated[str, Field(min_length=1, max_length=128)]
    password: Secret


@router.post("", status_code=202, dependencies=[OwnSite])
async def ask_for_link(
    given: Forgetful, request: Request, after: BackgroundTasks, services: Services
) -> None:
    """Ask for a link. The answer is the same whether or not there is such an account."""
    await services.password_reset.ask(peer=peer(request))
    after.add_task(services.password_reset.mail_link, given.name)


@router.post("/use", status_code=204, dependencies=[OwnSite])
async def use_link(given: LinkAndPassword, services: Services) -> None:
    """Set a new password by a link; all sessions and app passwords of the account end."""
    await services.password_reset.use(given.token, given.password.get_secret_value())

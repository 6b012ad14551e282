"""All routes of the portal."""

from fastapi import APIRouter, Request, Response

from um.web.portal import (
    account,
    door,
    export,
    forwarding,
    history,
    keeping,
    listing,
    message,
    security,
    statements,
    telephone,
)
from um.web.portal.desk import PortalDesk
from um.web.portal.render import static_file


def portal_pages(desk: PortalDesk) -> APIRouter:
    """The pages; none of them is part of the API's document."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{_}/{name}")
    async def static(_: str, name: str) -> Response:
        return static_file(name)

    @router.get("/favicon.ico")
    async def favicon(request: Request) -> Response:
        del request
        return static_file("icon.svg")

    for module in (door, export, forwarding, history, keeping, listing, security, statements):
        router.include_router(module.router)
    for pages in (
        account.account_pages,
        message.message_pages,
        telephone.telephone_pages,
    ):
        router.include_router(pages(desk))
    return router

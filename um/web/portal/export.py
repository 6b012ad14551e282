"""Everything to take along: begun here, made beside everything else, fetched here."""

from fastapi import APIRouter, Request, Response

from um.service.export import KEPT
from um.web.api.own_export import export_file
from um.web.guards import Customer
from um.web.portal.forms import PresentForm
from um.web.portal.render import moved, page
from um.web.portal.rows import Rows
from um.web.portal.wording import wording
from um.web.services import Services

PATH = "/export"
router = APIRouter(prefix=PATH)


@router.get("")
async def export_page(request: Request, visitor: Customer, services: Services) -> Response:
    """How far it is, or where it is."""
    account, words = visitor.account, wording(visitor.account.language)
    rows = Rows(words, account.timezone, services.clock.now())
    state = await services.exporter.state(account.id)
    return await page(
        request,
        visitor,
        "export",
        state=state,
        size=words.size(state.file.size_octets) if state.file else "",
        until=rows.when(state.file.made_at + KEPT) if state.file else "",
    )


@router.post("")
async def start(form: PresentForm, services: Services) -> Response:
    """Begins one."""
    await services.exporter.start(form.visitor.account.id)
    return moved(PATH)


@router.get("/file")
async def file(visitor: Customer, services: Services) -> Response:
    """The file."""
    return await export_file(visitor, services)

"""Everything to take along: begun here, made beside everything else, fetched here."""

from types import SimpleNamespace

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from um.core.errors import NotFoundError
from um.service.export import KEPT
from um.web.guards import Customer
from um.web.portal.desk import PortalDesk
from um.web.portal.forms import PresentForm
from um.web.portal.render import moved, page
from um.web.portal.rows import Rows
from um.web.portal.wording import wording
from um.web.services import Services

PATH = "/export"


def export_pages(desk: PortalDesk) -> APIRouter:
    """The page, its form and the file."""
    router = APIRouter(prefix=PATH)

    @router.get("")
    async def export_page(request: Request, visitor: Customer, services: Services) -> Response:
        account, words = visitor.account, wording(visitor.account.language)
        rows = Rows(words, account.timezone, services.clock.now())
        job, found = desk.exporter.job(account.id), await desk.exporter.find(account.id)
        running = job is not None and job.running
        state = SimpleNamespace(
            running=running,
            done=job.done if job else 0,
            total=job.total if job else 0,
            ready=found is not None and not running,
        )
        return await page(
            request,
            visitor,
            "export",
            job=state if job or found else None,
            size=words.size(found.size_octets) if found else "",
            until=rows.when(found.made_at + KEPT) if found else "",
        )

    @router.post("")
    async def start(form: PresentForm) -> Response:
        desk.exporter.start(form.visitor.account.id)
        return moved(PATH)

    @router.get("/file")
    async def file(visitor: Customer) -> Response:
        found = await desk.exporter.find(visitor.account.id)
        if found is None:
            raise NotFoundError("There is no export")
        # Ranges are answered, so that a download that broke off goes on.
        stem = f"{visitor.account.name}-{found.made_at:%Y%m%d}"
        return FileResponse(found.path, media_type="application/zip", filename=f"{stem}.zip")

    return router

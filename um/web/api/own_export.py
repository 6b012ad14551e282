"""Everything of one's own as one zip file: begun, watched, fetched."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from pydantic import AwareDatetime, Field

from um.core.ports import Exported
from um.service.export import KEPT, ExportState
from um.service.web_sessions import Visitor
from um.web.api.documents import Document
from um.web.guards import Customer, Present
from um.web.services import Services, WebServices

router = APIRouter(prefix="/me/export", tags=["export"])
ZIP = "application/zip"
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}},
    206: {"description": "The range"},
}


class ExportFileDocument(Document):
    """A finished export."""

    size_octets: int
    made_at: AwareDatetime
    until: AwareDatetime
    """When it is removed."""

    @classmethod
    def of(cls, file: Exported) -> "ExportFileDocument":
        """Over the wire."""
        until = file.made_at + KEPT
        return cls(size_octets=file.size_octets, made_at=file.made_at, until=until)


class ExportDocument(Document):
    """How one's export stands."""

    state: Literal["none", "running", "failed", "ready"]
    done: Annotated[int, Field(ge=0)]
    """Messages written."""
    total: Annotated[int, Field(ge=0)]
    """Messages there are; 0 until they are counted."""
    file: ExportFileDocument | None
    """The latest that was finished; while another is made it can be fetched still."""

    @classmethod
    def of(cls, state: ExportState) -> "ExportDocument":
        """Over the wire."""
        word: Literal["none", "running", "failed", "ready"] = "ready" if state.file else "none"
        if state.failed:
            word = "failed"
        if state.running:
            word = "running"
        file = ExportFileDocument.of(state.file) if state.file else None
        return cls(state=word, done=state.done, total=state.total, file=file)


@router.get("")
async def show_export(visitor: Customer, services: Services) -> ExportDocument:
    """Show how far the export is, and whether there is a file."""
    return ExportDocument.of(await services.exporter.state(visitor.account.id))


@router.post("", status_code=202)
async def start_export(visitor: Present, services: Services) -> ExportDocument:
    """Begin to export all messages, greetings and the history, unless that runs already.

    A suspended account may.
    """
    await services.exporter.start(visitor.account.id)
    return ExportDocument.of(await services.exporter.state(visitor.account.id))


@router.get("/file", response_class=Response, responses=_FILE)
async def fetch_export(visitor: Customer, services: Services) -> Response:
    """Download the file, or a range of it: a download that broke off goes on."""
    return await export_file(visitor, services)


async def export_file(visitor: Visitor, services: WebServices) -> Response:
    """The finished export as a file to be saved. Raises NotFoundError."""
    found = await services.exporter.find(visitor.account.id)
    stem = f"{visitor.account.name}-{found.made_at:%Y%m%d}"
    return FileResponse(found.path, media_type=ZIP, filename=f"{stem}.zip")

"""Everything of one's own as one zip file: begun, watched, fetched."""

import asyncio
import os
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from pydantic import AwareDatetime, Field
from starlette.types import Receive, Scope, Send

from um.core.errors import NotFoundError
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
    try:
        file = await asyncio.to_thread(found.path.open, "rb")
    except FileNotFoundError as error:  # its day ended, or its account, since it was found
        raise NotFoundError("There is no export") from error
    stem = f"{visitor.account.name}-{found.made_at:%Y%m%d}"
    return _OpenFileResponse(file, filename=f"{stem}.zip")


class _OpenFileResponse(FileResponse):
    """A file that was opened before the first octet of the answer.

    What becomes of its name meanwhile, removed or replaced, does not reach who downloads it.
    """

    def __init__(self, file: BinaryIO, *, filename: str) -> None:
        self._file = file
        super().__init__(
            f"/proc/self/fd/{file.fileno()}",
            media_type=ZIP,
            filename=filename,
            stat_result=os.fstat(file.fileno()),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        with self._file:
            await super().__call__(scope, receive, send)

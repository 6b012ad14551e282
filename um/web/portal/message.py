"""One message: to hear, to read, to look at, to save.

Laws:
- Text is text. HTML of a mail is shown by a frame that runs nothing, from an answer whose own
  policy lets nothing run or load either.
- A document's pages are pictures that we draw; the document itself opens in a tab of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request, Response

from um.core.errors import NotFoundError, RefusedDocumentError, UMError
from um.core.message import SEEN, Content, FlagOperation, MessageKind
from um.service.message_list import listed
from um.service.message_parts import Part
from um.service.web_sessions import Visitor
from um.web.api.messages import MessageId, find, read_id
from um.web.downloads import download
from um.web.guards import Customer
from um.web.portal.desk import SHEETS_AT_ONCE, PortalDesk
from um.web.portal.listing import folder_name, href
from um.web.portal.render import page
from um.web.portal.rows import Rows
from um.web.portal.wording import Wording, wording
from um.web.services import Services, WebServices

log = structlog.get_logger(__name__)
PDF = "application/pdf"
DRAWN = (MessageKind.FAX, MessageKind.INVOICE)
"""What our own programs or the operator's billing made: strangers' documents are not drawn."""
SHOWN_TEXT = (MessageKind.INVOICE, MessageKind.MAIL, MessageKind.NOTICE)
MAX_SHEETS = 200
MAX_RUNS = 5
"""Of a bill, whose pages are counted by drawing them; of a fax they are known."""
MAIL_HTML = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "form-action 'none'; base-uri 'none'; sandbox"
)
"""Styles of its own may colour a mail; nothing is fetched, nothing runs, nothing is sent."""
OWN_TAB = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
"""The browser's viewer, which is no part of our origin, needs these two."""

Number = Annotated[str, Path(pattern=r"^[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,20}$")]


@dataclass(frozen=True, slots=True)
class File:
    """A part to save, and maybe to open."""

    name: str
    size: str
    href: str
    view: str = ""


def message_pages(desk: PortalDesk) -> APIRouter:
    """The page of a message, and what it shows."""
    router = APIRouter(prefix="/messages/{message}")

    @router.get("")
    async def message_page(
        message: MessageId, request: Request, visitor: Customer, services: Services
    ) -> Response:
        mailbox, entry, content = await find(services, visitor, message)
        words = wording(visitor.account.language)
        rows = Rows(words, visitor.account.timezone, services.clock.now())
        shown = listed(entry, content, folder=mailbox.name)
        if not shown.seen and not visitor.read_only:
            await _mark_seen(services, visitor, message)
        row = rows.of(shown)
        trashed = shown.trashed_at
        return await page(
            request,
            visitor,
            "message",
            row=row,
            subject=row.what if shown.kind in SHOWN_TEXT else f"{words(f'kind.{shown.kind}')}",
            when=rows.when(shown.at),
            folder=mailbox.name,
            folder_name=folder_name(words, mailbox.name),
            back=href(mailbox.name),
            trashed=words("message.trashed", at=rows.when(trashed)) if trashed else "",
            original=f"/api/v1/me/messages/{message}/raw",
            **await _inside(desk, services, message, content, words),
        )

    @router.get("/html")
    async def html(message: MessageId, visitor: Customer, services: Services) -> Response:
        _, _, content = await find(services, visitor, message)
        inside = await services.message_parts.inside(content)
        headers = {"content-security-policy": MAIL_HTML, "x-frame-options": "SAMEORIGIN"}
        octets = inside.text.html.encode("utf-8", "replace")
        return Response(octets, media_type="text/html; charset=utf-8", headers=headers)

    @router.get("/view/{number}")
    async def view(
        message: MessageId, number: Number, request: Request, visitor: Customer, services: Services
    ) -> Response:
        _, _, content = await find(services, visitor, message)
        part = await services.message_parts.part(content, number)
        if part.media_type != PDF or not part.data.startswith(b"%PDF-"):
            raise NotFoundError("That is no document to look at")
        answer = download(
            request,
            part.data,
            media_type=PDF,
            filename=part.filename,
            etag=f"{content.id}-{number}",
            disposition="inline",
        )
        answer.headers["content-security-policy"] = OWN_TAB
        return answer

    @router.get("/sheets/{number}/{sheet}.png")
    async def picture(
        message: MessageId,
        number: Number,
        sheet: Annotated[int, Path(ge=1, le=MAX_SHEETS)],
        visitor: Customer,
        services: Services,
    ) -> Response:
        _, entry, content = await find(services, visitor, message)
        if entry.kind not in DRAWN:
            raise NotFoundError("That is no document to look at")
        drawn = await _sheets(desk, services, content, number, (sheet - 1) // SHEETS_AT_ONCE)
        at = (sheet - 1) % SHEETS_AT_ONCE
        if at >= len(drawn):
            raise NotFoundError("The document has no such page")
        headers = {"cache-control": "private, max-age=3600"}
        return Response(drawn[at], media_type="image/png", headers=headers)

    return router


async def _mark_seen(services: WebServices, visitor: Visitor, message: str) -> None:
    mailbox_id, uid = read_id(message)
    await services.mailboxes.change_flags(
        visitor.account.id, mailbox_id, uids=[uid], operation=FlagOperation.ADD, flags=[SEEN]
    )


async def _inside(
    desk: PortalDesk, services: WebServices, message: str, content: Content, words: Wording
) -> dict[str, Any]:
    """What the template shows of the message's inside."""
    inside = await services.message_parts.inside(content)
    parts = f"/api/v1/me/messages/{message}/parts"
    audio = _first(inside.parts, "audio/") if content.kind is MessageKind.VOICE else None
    document = _first(inside.parts, PDF) if content.kind in DRAWN else None
    count = await _count(desk, services, content, document) if document else 0
    where = f"/messages/{message}"
    return {
        "audio": f"{parts}/{audio.number}" if audio else "",
        "peaks": await _peaks(desk, services, content, audio) if audio else (),
        "document": f"{where}/view/{document.number}" if document else "",
        "sheets": [f"{where}/sheets/{document.number}/{n}.png" for n in range(1, count + 1)]
        if document
        else [],
        "text": inside.text.text if content.kind in SHOWN_TEXT or not inside.parts else "",
        "html": f"{where}/html" if inside.text.html and content.kind in SHOWN_TEXT else "",
        "files": [
            File(
                each.filename,
                words.size(each.size_octets),
                f"{parts}/{each.number}",
                f"{where}/view/{each.number}" if each.media_type == PDF else "",
            )
            for each in inside.parts
        ],
    }


def _first(parts: Sequence[Part], media_type: str) -> Part | None:
    return next((each for each in parts if each.media_type.startswith(media_type)), None)


async def _count(desk: PortalDesk, services: WebServices, content: Content, document: Part) -> int:
    """The pages that can be shown; none of a document that cannot be drawn (here)."""
    count = 0
    try:
        for run in range(MAX_RUNS):
            drawn = len(await _sheets(desk, services, content, document.number, run))
            if content.pages is not None and drawn:
                return min(content.pages, MAX_SHEETS)
            count += drawn
            if drawn < SHEETS_AT_ONCE:
                break
    except UMError as error:
        log.info("document not drawn", content=content.id, reason=error.public)
    return count


async def _sheets(
    desk: PortalDesk, services: WebServices, content: Content, number: str, run: int
) -> Sequence[bytes]:
    async def make() -> Sequence[bytes]:
        part = await services.message_parts.part(content, number)
        return await desk.draw_sheets(part.data, run * SHEETS_AT_ONCE + 1)

    return await desk.sheets.get(f"{content.id} {number} {run}", make)


async def _peaks(
    desk: PortalDesk, services: WebServices, content: Content, audio: Part
) -> Sequence[int]:
    """The waveform; a flat one for sound that cannot be decoded here."""

    async def make() -> Sequence[int]:
        part = await services.message_parts.part(content, audio.number)
        return await desk.draw_peaks(part.data)

    try:
        return await desk.peaks.get(content.id, make)
    except RefusedDocumentError:
        return (1,) * 100

"""The telephone: voicemail on or off, ring time, numbers, greetings."""

from fastapi import APIRouter, Request, Response

from um.core.account import GreetingKind
from um.core.errors import InvalidError, RefusedDocumentError
from um.mime.build.caller import shown_number
from um.service.accounts import MAX_RING_SECONDS
from um.service.own_greetings import LONGEST_SECONDS, MAX_OCTETS
from um.service.profile import ProfileChange
from um.service.recipients import by_id
from um.service.web_sessions import Visitor
from um.web.api.own_account import OWNER
from um.web.guards import Customer
from um.web.portal.desk import PortalDesk
from um.web.portal.forms import WritableForm, file_form
from um.web.portal.render import moved, page
from um.web.portal.trouble import reason
from um.web.portal.wording import wording
from um.web.problems import STATUSES
from um.web.services import Services, WebServices

PATH = "/telephone"


def telephone_pages(desk: PortalDesk) -> APIRouter:
    """The page and its forms."""
    router = APIRouter()

    @router.get(PATH)
    async def telephone_page(request: Request, visitor: Customer, services: Services) -> Response:
        return await _page(request, visitor, services)

    @router.post(PATH)
    async def change_answering(
        request: Request, form: WritableForm, services: Services
    ) -> Response:
        visitor = form.visitor
        try:
            ring = _seconds(form.text("ring"))
            change = ProfileChange(
                voicemail=form.text("voicemail") != "off",
                ring_seconds=ring,
                default_ring=ring is None,
            )
            await services.profiles.change(by_id(visitor.account.id), change, actor=OWNER)
        except InvalidError as error:
            said, status = reason(wording(visitor.account.language), error), STATUSES[error.code]
            return await _page(request, visitor, services, error=said, status=status)
        return moved(PATH, "saved")

    @router.post("/greetings/{kind}")
    async def upload_greeting(
        kind: GreetingKind, request: Request, visitor: Customer, services: Services
    ) -> Response:
        form = await file_form(request, visitor, most_octets=MAX_OCTETS)
        data = await form.file("file")
        words = wording(visitor.account.language)
        if not data:
            return await _page(request, visitor, services, error=words("error.no_file"), status=422)
        try:
            await services.greetings.put(visitor.account.id, kind, data, actor=OWNER)
        except RefusedDocumentError as error:
            said, status = reason(words, error), STATUSES[error.code]
            return await _page(request, visitor, services, error=said, status=status)
        return moved(PATH, "greeting")

    @router.post("/greetings/{kind}/remove")
    async def remove_greeting(
        kind: GreetingKind, form: WritableForm, services: Services
    ) -> Response:
        await services.greetings.delete(form.visitor.account.id, kind, actor=OWNER)
        return moved(PATH, "greeting_removed")

    async def _page(
        request: Request,
        visitor: Visitor,
        services: WebServices,
        *,
        error: str = "",
        status: int = 200,
    ) -> Response:
        overview = await services.accounts.show(by_id(visitor.account.id))
        recorded = await services.greetings.kinds(visitor.account.id)
        numbers = [{"shown": shown_number(each.e164), "use": each.use} for each in overview.numbers]
        return await page(
            request,
            visitor,
            "telephone",
            status=status,
            error=error,
            path=PATH,
            account=overview.account,
            numbers=numbers,
            default_ring=desk.ring_seconds,
            most_ring=MAX_RING_SECONDS,
            greeting_seconds=LONGEST_SECONDS,
            greetings=[(kind.value, kind in recorded) for kind in GreetingKind],
        )

    return router


def _seconds(text: str) -> int | None:
    """The ring time that was typed; None for none. Raises InvalidError."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise InvalidError(
            "The ring time is a number of seconds", why="ring_seconds", most=MAX_RING_SECONDS
        )
    return int(text)

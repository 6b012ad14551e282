"""The account: contact data, language, time zone, user name, folders, and what its closing means."""

from dataclasses import replace
from functools import cache
from zoneinfo import available_timezones

from fastapi import APIRouter, Request, Response

from um.core.errors import AlreadyExistsError, InvalidError
from um.core.message import INBOX
from um.policy.views import usual_name
from um.service.profile import CONTACT_KEYS, ProfileChange
from um.service.recipients import by_id
from um.service.web_sessions import Visitor
from um.web.api.own_account import OWNER
from um.web.guards import Customer
from um.web.portal.desk import PortalDesk
from um.web.portal.forms import Form, WritableForm, choice
from um.web.portal.render import moved, page
from um.web.portal.trouble import reason
from um.web.portal.wording import LANGUAGES, wording
from um.web.problems import STATUSES
from um.web.services import Services, WebServices

PATH = "/account"
_AREAS = ("Africa/", "America/", "Asia/", "Atlantic/", "Australia/", "Europe/", "Pacific/", "UTC")


def account_pages(desk: PortalDesk) -> APIRouter:
    """The page and its forms."""
    router = APIRouter()

    @router.get(PATH)
    async def account_page(request: Request, visitor: Customer, services: Services) -> Response:
        return await _page(desk, request, visitor, services)

    @router.post(PATH)
    async def change_account(request: Request, form: WritableForm, services: Services) -> Response:
        try:
            change = ProfileChange(
                full_name=form.text("full_name"),
                timezone=form.text("timezone"),
                language=choice(form.text("language"), LANGUAGES),
                contact={key: form.text(f"contact-{key}") for key in CONTACT_KEYS},
            )
            await services.profiles.change(by_id(form.visitor.account.id), change, actor=OWNER)
        except InvalidError as error:
            return await _refused(desk, request, form.visitor, services, error, typed=form)
        return moved(PATH, "saved")

    @router.post(f"{PATH}/name")
    async def rename(request: Request, form: WritableForm, services: Services) -> Response:
        try:
            await services.profiles.rename(
                by_id(form.visitor.account.id), form.text("name", most=64), actor=OWNER
            )
        except (AlreadyExistsError, InvalidError) as error:
            return await _refused(desk, request, form.visitor, services, error)
        return moved(PATH, "renamed")

    @router.post(f"{PATH}/folders")
    async def change_folders(request: Request, form: WritableForm, services: Services) -> Response:
        name = by_id(form.visitor.account.id)
        before = await services.views.chosen(name)
        try:
            for kind, folder in before.items():
                wanted = form.text(f"folder-{kind}", most=255) or INBOX
                if wanted != folder:
                    await services.views.choose(name, kind, wanted, actor=OWNER)
        except InvalidError as error:
            return await _refused(desk, request, form.visitor, services, error)
        return moved(PATH, "saved")

    return router


async def _refused(
    desk: PortalDesk,
    request: Request,
    visitor: Visitor,
    services: WebServices,
    error: AlreadyExistsError | InvalidError,
    *,
    typed: Form | None = None,
) -> Response:
    words = wording(visitor.account.language)
    taken = isinstance(error, AlreadyExistsError)
    said = words("error.taken") if taken else reason(words, error)
    status = STATUSES[error.code]
    return await _page(desk, request, visitor, services, error=said, status=status, typed=typed)


async def _page(
    desk: PortalDesk,
    request: Request,
    visitor: Visitor,
    services: WebServices,
    *,
    error: str = "",
    status: int = 200,
    typed: Form | None = None,
) -> Response:
    """With what is kept, or what was `typed` and refused: nobody shall type it all again."""
    account, language = visitor.account, visitor.account.language
    contact = await services.profiles.contact(by_id(account.id))
    views = await services.views.chosen(by_id(account.id))
    if typed is not None:
        contact = {key: typed.secret(f"contact-{key}") for key in CONTACT_KEYS}
        account = replace(
            account, full_name=typed.secret("full_name"), timezone=typed.secret("timezone")
        )
    return await page(
        request,
        visitor,
        "account",
        status=status,
        error=error,
        path=PATH,
        account=account,
        contact=contact,
        folders=[
            (kind.value, "" if folder == INBOX else folder, usual_name(kind, language))
            for kind, folder in views.items()
        ],
        zones=_zones(),
        purge_months=desk.purge_months,
    )


@cache
def _zones() -> list[str]:
    return sorted(each for each in available_timezones() if each.startswith(_AREAS))

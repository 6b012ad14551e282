"""Password, PIN, passwords of mail programs, sessions.

Laws:
- Password and PIN are changed, and app passwords made, by who knows the password, although they
  are logged in.
- A new app password stands in the answer that made it and in no other.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from um.core.errors import AuthenticationError, InvalidError, LockedOutError, NotFoundError, UMError
from um.core.ids import CredentialId
from um.service.recipients import by_id
from um.service.web_sessions import Visitor
from um.web.again import check_again
from um.web.api.own_account import OWNER
from um.web.guards import Customer
from um.web.portal.agents import agent_name
from um.web.portal.forms import PresentForm, WritableForm
from um.web.portal.render import moved, page
from um.web.portal.rows import Rows
from um.web.portal.trouble import reason
from um.web.portal.wording import wording
from um.web.problems import STATUSES
from um.web.services import Services, WebServices

router = APIRouter(prefix="/security")
PATH = "/security"
REFUSALS = {
    "authentication-failed": "error.wrong_password",
    "locked-out": "error.locked",
    "invalid": "error.invalid",
}


@router.get("")
async def security_page(request: Request, visitor: Customer, services: Services) -> Response:
    """All of them."""
    return await _page(request, visitor, services)


@router.post("/password")
async def change_password(request: Request, form: WritableForm, services: Services) -> Response:
    """Sets the web password; all other sessions end."""
    visitor, fresh = form.visitor, form.secret("fresh")
    if fresh != form.secret("again"):
        said = wording(visitor.account.language)("error.not_same")
        return await _page(request, visitor, services, error=said, status=422)
    try:
        proof = await check_again(services, form.visitor, form.secret("current"), request)
        await services.accounts.set_password(
            by_id(visitor.account.id),
            fresh,
            actor=OWNER,
            keep_session=visitor.session.secret_hash,
            end_app_passwords=form.text("apps") == "end",
            proof=proof,
        )
    except (AuthenticationError, LockedOutError, InvalidError) as error:
        return await _refused(request, visitor, services, error)
    return moved(PATH, "password")


@router.post("/pin")
async def change_pin(request: Request, form: WritableForm, services: Services) -> Response:
    """Sets the PIN of the telephone menu; a lock of the old one is lifted."""
    try:
        proof = await check_again(services, form.visitor, form.secret("current"), request)
        await services.accounts.set_pin(
            by_id(form.visitor.account.id), form.secret("pin"), actor=OWNER, proof=proof
        )
    except (AuthenticationError, LockedOutError, InvalidError) as error:
        return await _refused(request, form.visitor, services, error)
    return moved(PATH, "pin")


@router.post("/apps")
async def add_app_password(request: Request, form: WritableForm, services: Services) -> Response:
    """Makes one, and shows it."""
    name = by_id(form.visitor.account.id)
    try:
        proof = await check_again(services, form.visitor, form.secret("current"), request)
        made = await services.app_passwords.add(
            name, form.text("label", most=60), actor=OWNER, proof=proof
        )
    except (AuthenticationError, LockedOutError, InvalidError) as error:
        return await _refused(request, form.visitor, services, error)
    return await _page(request, form.visitor, services, app_password=made)


@router.post("/apps/remove")
async def remove_app_password(form: WritableForm, services: Services) -> Response:
    """Takes one back."""
    named = CredentialId(form.text("id", most=64))
    await services.app_passwords.remove(by_id(form.visitor.account.id), named, actor=OWNER)
    return moved(PATH, "app_removed")


@router.post("/sessions/end")
async def end_session(form: PresentForm, services: Services) -> Response:
    """Ends one session."""
    account_id = form.visitor.account.id
    if not await services.sessions.end_one(account_id, form.text("id", most=64)):
        raise NotFoundError("There is no such session")
    services.streams.wake(account_id)
    return moved(PATH, "session_ended")


@router.post("/sessions/end-others")
async def end_other_sessions(form: PresentForm, services: Services) -> Response:
    """Ends all but this one."""
    await services.sessions.end_others(form.visitor)
    services.streams.wake(form.visitor.account.id)
    return moved(PATH, "sessions_ended")


async def _refused(
    request: Request, visitor: Visitor, services: WebServices, error: UMError
) -> Response:
    words = wording(visitor.account.language)
    said = reason(words, error) if error.why else words(REFUSALS[error.code])
    # 401 would ask a browser for another login.
    status = 403 if isinstance(error, AuthenticationError) else STATUSES[error.code]
    return await _page(request, visitor, services, error=said, status=status)


async def _page(
    request: Request,
    visitor: Visitor,
    services: WebServices,
    *,
    error: str = "",
    status: int = 200,
    app_password: str = "",
) -> Response:
    rows = Rows(wording(visitor.account.language), visitor.account.timezone, services.clock.now())
    return await page(
        request,
        visitor,
        "security",
        status=status,
        error=error,
        path=PATH,
        account=visitor.account,
        app_password=app_password,
        apps=await _apps(services, visitor, rows),
        sessions=await _sessions(services, visitor, rows),
    )


async def _apps(services: WebServices, visitor: Visitor, rows: Rows) -> list[dict[str, str]]:
    words, found = wording(visitor.account.language), []
    for each in await services.app_passwords.every(by_id(visitor.account.id)):
        made = rows.near(each.created_at)
        if each.used_at is None:
            facts = words("apps.never", made=made)
        else:
            facts = words("apps.facts", made=made, used=rows.near(each.used_at))
        found.append({"id": each.id, "label": each.label, "facts": facts})
    return found


async def _sessions(services: WebServices, visitor: Visitor, rows: Rows) -> list[dict[str, Any]]:
    words = wording(visitor.account.language)
    return [
        {
            "id": each.public_id,
            "agent": agent_name(each.agent),
            "facts": words("sessions.facts", peer=each.peer, used=rows.near(each.used_at)),
            "current": each.secret_hash == visitor.session.secret_hash,
        }
        for each in await services.sessions.every(visitor.account.id)
    ]

"""Coming in, going out, and a forgotten password."""

from datetime import datetime

from fastapi import APIRouter, BackgroundTasks, Request, Response

from um.core.errors import (
    AccountClosedError,
    AuthenticationError,
    InvalidError,
    LockedOutError,
    NotFoundError,
    UMError,
)
from um.mime.build.writer import local_time
from um.web.api.login import open_session, set_cookie
from um.web.guards import COOKIE, MaybeCustomer, OwnSite, peer
from um.web.portal.forms import PresentForm, own_path, read_fields
from um.web.portal.render import moved, outside
from um.web.portal.trouble import reason
from um.web.portal.wording import Wording, accepted, wording
from um.web.problems import STATUSES
from um.web.services import Services

router = APIRouter()
MAX_NAME = 320
MAX_TOKEN = 128
FEW = 10
"""Fields of a form that anybody may send."""


@router.get("/login")
async def login_page(request: Request, visitor: MaybeCustomer, back: str = "/") -> Response:
    """Asks for name and password; who is logged in goes on."""
    if visitor is not None:
        return moved(own_path(back))
    return outside(request, "login", back=own_path(back), name="")


@router.post("/login", dependencies=[OwnSite])
async def log_in(request: Request, services: Services, before: MaybeCustomer) -> Response:
    """Opens a session; an earlier one of the same browser ends."""
    fields = await read_fields(request, max_fields=FEW)
    name, password = str(fields.get("name", ""))[:MAX_NAME], str(fields.get("password", ""))
    back = own_path(str(fields.get("back", "/")))
    try:
        _, cookie = await open_session(services, name, password, request=request, before=before)
    except (AuthenticationError, LockedOutError, AccountClosedError) as error:
        said = _why_not(request, error)
        status = STATUSES[error.code]
        return outside(request, "login", status=status, back=back, name=name, error=said)
    answer = moved(back)
    set_cookie(answer, cookie)
    return answer


@router.post("/logout")
async def log_out(request: Request, services: Services, form: PresentForm) -> Response:
    """Ends the session, and at once what it listens to."""
    await services.sessions.end(request.cookies[COOKIE])
    services.streams.wake(form.visitor.account.id)
    answer = moved("/login", "logged_out")
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
    return answer


@router.get("/forgotten")
async def forgotten_page(request: Request) -> Response:
    """Asks for the login name."""
    return outside(request, "forgotten", sent=False)


@router.post("/forgotten", dependencies=[OwnSite])
async def forgotten(request: Request, after: BackgroundTasks, services: Services) -> Response:
    """Mails a link, if there is somewhere to mail it to; the answer is the same if not."""
    fields = await read_fields(request, max_fields=FEW)
    name = str(fields.get("name", ""))[:MAX_NAME]
    await services.password_reset.ask(peer=peer(request))
    after.add_task(services.password_reset.mail_link, name)
    return outside(request, "forgotten", sent=True)


@router.get("/reset/{token}")
async def reset_page(request: Request, token: str) -> Response:
    """Asks for the new password; the link is used up only by what is sent."""
    return outside(request, "reset", token=token[:MAX_TOKEN])


@router.post("/reset/{token}", dependencies=[OwnSite])
async def reset(request: Request, token: str, services: Services) -> Response:
    """Sets the new password; all sessions and app passwords of the account end."""
    fields = await read_fields(request, max_fields=FEW)
    fresh, again = str(fields.get("fresh", "")), str(fields.get("again", ""))
    words = wording(accepted(request.headers.get("accept-language", "")))
    said, status = words("error.not_same"), 422
    if fresh == again:
        try:
            await services.password_reset.use(token[:MAX_TOKEN], fresh)
            return moved("/login", "reset")
        except InvalidError as error:
            said = reason(words, error)
        except NotFoundError:
            said, status = words("reset.gone"), 404
    return outside(request, "reset", status=status, token=token[:MAX_TOKEN], error=said)


def _why_not(request: Request, error: UMError) -> str:
    words = wording(accepted(request.headers.get("accept-language", "")))
    if isinstance(error, AccountClosedError):
        return _closed(words, error)
    return words("error.locked" if isinstance(error, LockedOutError) else "error.wrong_login")


def _closed(words: Wording, error: AccountClosedError) -> str:
    """That it is closed, why, and until when it could be reopened: told after the right password."""
    why, until = error.values.get("reason"), error.values.get("purge_at")
    said = words("error.closed_because", reason=why) if why else words("error.closed")
    if not isinstance(until, datetime):
        return said
    local = local_time(until, str(error.values["timezone"]))
    return f"{said} {words('error.closed_until', at=f'{words.date(local)}, {local:%H:%M}')}"

"""Coming in and going out: one's own session, and the others of the account."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import AwareDatetime, Field

from um.core.account import AccountState
from um.core.credentials import WebSession
from um.core.errors import NotFoundError
from um.policy.lifecycle import Door
from um.service.web_sessions import Visitor
from um.web.api.documents import Document, Given
from um.web.guards import COOKIE, Customer, MaybeCustomer, OwnSite, Present, peer
from um.web.services import Services, WebServices

router = APIRouter(tags=["session"])


class Credentials(Given):
    """A login name (name or number, with or without the domain) and its password."""

    name: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class SessionDocument(Document):
    """Who is logged in."""

    name: str
    full_name: str
    state: AccountState
    read_only: bool
    notice: str
    """Why it is read-only."""
    form_token: str
    """To be brought back in `X-CSRF-Token` with whatever changes anything."""

    @classmethod
    def of(cls, visitor: Visitor) -> "SessionDocument":
        """As the visitor sees their own session."""
        account = visitor.account
        return cls(
            name=account.name,
            full_name=account.full_name,
            state=account.state,
            read_only=visitor.read_only,
            notice=visitor.notice,
            form_token=visitor.form_token,
        )


class OpenSession(Document):
    """A session in the list of the account's."""

    id: str
    current: bool
    opened_at: AwareDatetime
    used_at: AwareDatetime
    peer: str
    agent: str


@router.post("/session", dependencies=[OwnSite])
async def log_in(
    given: Credentials,
    request: Request,
    response: Response,
    services: Services,
    before: MaybeCustomer,
) -> SessionDocument:
    """Log in. An earlier session of the same browser ends."""
    visitor, cookie = await open_session(
        services, given.name, given.password, request=request, before=before
    )
    set_cookie(response, cookie)
    return SessionDocument.of(visitor)


@router.get("/session")
async def show_session(visitor: Customer) -> SessionDocument:
    """Tell who is logged in."""
    return SessionDocument.of(visitor)


@router.delete("/session", status_code=204)
async def log_out(
    request: Request, response: Response, services: Services, visitor: Present
) -> None:
    """Log out."""
    await services.sessions.end(request.cookies[COOKIE])
    services.streams.wake(visitor.account.id)
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")


@router.get("/sessions")
async def list_sessions(visitor: Customer, services: Services) -> list[OpenSession]:
    """List the account's living sessions, the latest used first."""
    found = await services.sessions.every(visitor.account.id)
    return [_listed(each, visitor) for each in found]


@router.delete("/sessions", status_code=204)
async def end_other_sessions(visitor: Present, services: Services) -> None:
    """End all sessions of the account but one's own."""
    await services.sessions.end_others(visitor)
    services.streams.wake(visitor.account.id)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(
    session_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")],
    visitor: Present,
    services: Services,
) -> None:
    """End one session of the account."""
    if not await services.sessions.end_one(visitor.account.id, session_id):
        raise NotFoundError("There is no such session")
    services.streams.wake(visitor.account.id)


async def open_session(
    services: WebServices, name: str, password: str, *, request: Request, before: Visitor | None
) -> tuple[Visitor, str]:
    """Log in and open a session; returns who it is and the cookie. Raises as a login."""
    login = await services.authenticator.login(name, password, peer=peer(request), door=Door.PORTAL)
    if before is not None:
        await services.sessions.end(request.cookies[COOKIE])
    agent = request.headers.get("user-agent", "")
    cookie = await services.sessions.open(login.account.id, peer=peer(request), agent=agent)
    visitor = await services.sessions.find(cookie)
    if visitor is None:
        raise NotFoundError("The account has gone meanwhile")
    return visitor, cookie


def set_cookie(response: Response, cookie: str) -> None:
    """Give the session's cookie to the browser, for its own session only."""
    response.set_cookie(COOKIE, cookie, path="/", secure=True, httponly=True, samesite="lax")


def _listed(session: WebSession, visitor: Visitor) -> OpenSession:
    return OpenSession(
        id=session.public_id,
        current=session.secret_hash == visitor.session.secret_hash,
        opened_at=session.opened_at,
        used_at=session.used_at,
        peer=session.peer,
        agent=session.agent,
    )

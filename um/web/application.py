"""The application of the HTTPS port: the API under /api/v1, and the portal's pages.

Laws:
- Every error of the API is a problem document; hostile input is a 4xx, never a 5xx.
- What an answer may do in a browser is `um.web.secure`'s, how much is read `um.web.bodies`'.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from um.core.errors import InvalidError, NotFoundError, UMError
from um.web.api import API, OPENAPI_URL, api_router
from um.web.api.documents import faults
from um.web.bodies import BoundedBodies
from um.web.problems import document, problem
from um.web.secure import SecureHeaders
from um.web.services import WebServices

log = structlog.get_logger(__name__)

BEARER = 'Bearer realm="api"'
SESSION = 'Cookie realm="portal"'
CODES = {
    HTTPStatus.NOT_FOUND: ("not-found", "There is nothing here"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method-not-allowed", "This cannot be done here"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too-large", "The request is too large"),
    HTTPStatus.REQUEST_TIMEOUT: ("timeout", "The request took too long"),
    HTTPStatus.BAD_REQUEST: ("invalid", "The request could not be read"),
}
ErrorPage = Callable[[Request, UMError], Awaitable[Response]]
"""Shows an error to a person."""


def web_app(
    services: WebServices, *pages: APIRouter, error_page: ErrorPage | None = None
) -> ASGIApp:
    """The application.

    Args:
        services: what it works with.
        pages: routes for people.
        error_page: how an error is shown to them; without it by a problem document.
    """
    return guarded(bare_app(services, *pages, error_page=error_page))


def guarded(app: ASGIApp) -> ASGIApp:
    """`app` with bounded bodies, its defects told, and what every answer carries."""
    return SecureHeaders(whole(BoundedBodies(app)))


def bare_app(
    services: WebServices, *pages: APIRouter, error_page: ErrorPage | None = None
) -> FastAPI:
    """The application without its guards: routes, and how errors are told."""
    app = FastAPI(
        title="um",
        description="Unified messaging: voicemail, faxes and invoices of one account.",
        version="1",
        openapi_url=OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.include_router(api_router())
    for router in pages:
        app.include_router(router)

    async def tell(request: Request, error: UMError) -> Response:
        if error_page is not None and not request.url.path.startswith(API):
            return await error_page(request, error)
        return problem(error, challenge=SESSION if is_customers(request.url.path) else BEARER)

    @app.exception_handler(UMError)
    async def refused(request: Request, error: UMError) -> Response:
        return await tell(request, error)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        return await tell(request, InvalidError(faults(error.errors())))

    @app.exception_handler(HTTPException)
    async def protocol(request: Request, error: HTTPException) -> Response:
        if error_page is not None and error.status_code == HTTPStatus.NOT_FOUND:
            return await tell(request, NotFoundError(CODES[HTTPStatus.NOT_FOUND][1]))
        return _by_status(error)

    return app


def whole(app: ASGIApp) -> ASGIApp:
    """`app` for requests only; a defect is logged and answered with a problem document, if it can."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # there are no web sockets
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await app(scope, receive, noted)
        except Exception:
            if begun:
                raise
            log.exception("request failed", path=scope["path"])
            await problem(UMError())(scope, receive, send)

    return guarded


def _by_status(error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    code, detail = CODES.get(status, ("error", status.phrase))
    return document(status, code=code, detail=detail, headers=error.headers)


def is_customers(path: str) -> bool:
    """Whether a session opens it, not a bearer token."""
    return not path.startswith(f"{API}/") or path.startswith(
        (f"{API}/me", f"{API}/session", f"{API}/password-reset")
    )

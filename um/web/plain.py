"""What the plain port serves: `/healthz`, `/metrics` and `/core`, to trusted addresses only.

Whoever is not trusted sees 404 everywhere: to them there is nothing here. Only if the operator gave
the core a token does `/core` say to others that one is missing.
"""

import hmac
from collections.abc import Callable, Mapping

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from um.core.errors import AuthenticationError
from um.web.core_problems import problem
from um.web.health import OK, Check, examine
from um.web.metrics import CONTENT_TYPE, PrometheusMetrics

CORE_PATH = "/core/"


def plain_app(
    checks: Mapping[str, Check],
    metrics: PrometheusMetrics,
    trusted: Callable[[str], bool],
    *,
    core: APIRouter | None = None,
    core_token: str | None = None,
) -> ASGIApp:
    """The application.

    Args:
        checks: of `/healthz`.
        metrics: of `/metrics`.
        trusted: says of a peer's IP address whether it may look.
        core: the routes for the telephony core (`um.web.core`).
        core_token: opens `/core` to a bearer from any address.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        results = await examine(checks)
        well = all(result == OK for result in results.values())
        body = {"status": "ok" if well else "failing", "checks": results}
        return JSONResponse(body, status_code=200 if well else 503)

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    if core is not None:
        app.include_router(core)
    return only_from(trusted, app, core_token=core_token)


def only_from(
    trusted: Callable[[str], bool], app: ASGIApp, *, core_token: str | None = None
) -> ASGIApp:
    """`app` for peers whose address is `trusted`, `/core` also for the token; 404 for all others."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        peer = scope.get("client")
        may = bool(peer and trusted(peer[0]))
        if not may and core_token is not None and scope["path"].startswith(CORE_PATH):
            if not _bears(scope, core_token):
                wrong = AuthenticationError("A bearer token is needed")
                await problem(wrong)(scope, receive, send)
                return
            may = True
        if not may:
            await JSONResponse({"detail": "Not Found"}, status_code=404)(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded


def _bears(scope: Scope, token: str) -> bool:
    """Whether the request has `Authorization: Bearer` with the token (RFC 6750 §2.1)."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, given = (values[0] if len(values) == 1 else b"").partition(b" ")
    right = hmac.compare_digest(given.strip(), token.encode())
    return right and scheme.lower() == b"bearer"

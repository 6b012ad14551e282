"""What the plain port serves: `/healthz`, `/metrics` and `/core`, to trusted addresses only.

Everything else leads to the same path of the HTTPS port. To whoever is not trusted everything does:
they do not learn what is here. Only if the operator gave the core a token does `/core` say to others
that one is missing.
"""

import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from um.core.errors import AuthenticationError
from um.web import health
from um.web.health import OK, Check, Notice, examine
from um.web.metrics import CONTENT_TYPE, PrometheusMetrics
from um.web.problems import problem

CORE_PATH = "/core/"
OURS = ("/healthz", "/metrics", "/core")


def plain_app(
    checks: Mapping[str, Check],
    metrics: PrometheusMetrics,
    trusted: Callable[[str], bool],
    *,
    notices: Mapping[str, Notice] = MappingProxyType({}),
    core: APIRouter | None = None,
    core_token: str | None = None,
    public_url: str | None = None,
) -> ASGIApp:
    """The application.

    Args:
        checks: of `/healthz`.
        notices: told there too; they make no node unfit.
        metrics: of `/metrics`.
        trusted: says of a peer's IP address whether it may look.
        core: the routes for the telephony core (`um.web.core`).
        core_token: opens `/core` to a bearer from any address.
        public_url: where portal and API are; without it nothing leads there.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        results = await examine(checks)
        well = all(result == OK for result in results.values())
        body: dict[str, object] = {"status": "ok" if well else "failing", "checks": results}
        if told := await health.notices(notices):
            body["notices"] = told
        return JSONResponse(body, status_code=200 if well else 503)

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    if core is not None:
        app.include_router(core)
    return only_from(trusted, app, core_token=core_token, public_url=public_url)


def only_from(
    trusted: Callable[[str], bool],
    app: ASGIApp,
    *,
    core_token: str | None = None,
    public_url: str | None = None,
) -> ASGIApp:
    """`app` for peers whose address is `trusted`, `/core` also for the token; else `elsewhere`."""

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
        if not may or not _is_ours(scope["path"]):
            await elsewhere(scope, public_url)(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded


def elsewhere(scope: Scope, public_url: str | None) -> Response:
    """To the same place over HTTPS; 404 where there is none, and for what would carry a body."""
    path = scope["path"]
    if public_url is None or scope["method"] not in ("GET", "HEAD") or not path.startswith("/"):
        return JSONResponse({"detail": "Not Found"}, status_code=404)
    query = quote(scope["query_string"], safe="=&%+,:;@/?!$'()*-._~")
    target = public_url.rstrip("/") + quote(path, safe="/~") + (f"?{query}" if query else "")
    return RedirectResponse(target, status_code=308)


def _is_ours(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in OURS)


def _bears(scope: Scope, token: str) -> bool:
    """Whether the request has `Authorization: Bearer` with the token (RFC 6750 §2.1)."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, given = (values[0] if len(values) == 1 else b"").partition(b" ")
    right = hmac.compare_digest(given.strip(), token.encode())
    return right and scheme.lower() == b"bearer"

"""What the plain port serves: `/healthz` and `/metrics`, to trusted addresses only.

Whoever is not trusted sees 404 everywhere: to them there is nothing here.
"""

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from um.web.health import OK, Check, examine
from um.web.metrics import CONTENT_TYPE, PrometheusMetrics


def plain_app(
    checks: Mapping[str, Check], metrics: PrometheusMetrics, trusted: Callable[[str], bool]
) -> ASGIApp:
    """The application. `trusted` says of a peer's IP address whether it may look."""
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

    return only_from(trusted, app)


def only_from(trusted: Callable[[str], bool], app: ASGIApp) -> ASGIApp:
    """`app` for peers whose address is `trusted`; 404 for all others."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.get("client")
        if scope["type"] == "http" and not (peer and trusted(peer[0])):
            await JSONResponse({"detail": "Not Found"}, status_code=404)(scope, receive, send)
            return
        await app(scope, receive, send)

    return guarded

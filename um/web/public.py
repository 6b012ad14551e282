"""The public port over TLS: whatever routers it is given, and 404 for all else."""

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp


def public_app(*routers: APIRouter) -> ASGIApp:
    """The application behind [web] `listen_tls` and `public_url`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for router in routers:
        app.include_router(router)
    return app

"""The API: a module for each family of resources."""

from fastapi import APIRouter

from um.web.api import login

API = "/api/v1"
OPENAPI_URL = f"{API}/openapi.json"


def api_router() -> APIRouter:
    """All routes under /api/v1."""
    router = APIRouter(prefix=API)
    for module in (login,):
        router.include_router(module.router)
    return router

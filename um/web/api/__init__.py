"""The API: a module for each family of resources."""

from typing import Any

from fastapi import APIRouter

from um.web.api import (
    accounts,
    forwarding,
    greetings,
    house,
    invoices,
    login,
    messages,
    numbers,
    own_account,
    own_app_passwords,
    own_export,
    own_forwarding,
    own_history,
    password_reset,
    purging,
    retention,
    views,
)
from um.web.problems import MEDIA_TYPE, Problem

API = "/api/v1"
OPENAPI_URL = f"{API}/openapi.json"
FAMILIES = (
    login.router,
    password_reset.router,
    own_account.router,
    own_history.router,
    messages.router,
    greetings.router,
    own_app_passwords.router,
    own_forwarding.router,
    retention.own,
    views.own,
    own_export.router,
    accounts.router,
    numbers.router,
    forwarding.router,
    retention.router,
    views.router,
    invoices.router,
    house.router,
    purging.router,
)
_REFUSED: dict[str, Any] = {
    "description": "Not done: a problem document (RFC 9457) says why",
    "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}


def api_router() -> APIRouter:
    """All routes under /api/v1."""
    router = APIRouter(prefix=API, responses={"4XX": _REFUSED, "5XX": _REFUSED})
    for family in FAMILIES:
        router.include_router(family)
    return router

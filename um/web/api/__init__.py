"""The API: a module for each family of resources."""

from fastapi import APIRouter

from um.web.api import (
    accounts,
    greetings,
    house,
    invoices,
    login,
    messages,
    numbers,
    own_account,
    own_app_passwords,
    own_forwarding,
    password_reset,
)

API = "/api/v1"
OPENAPI_URL = f"{API}/openapi.json"
FAMILIES = (
    login,
    password_reset,
    own_account,
    messages,
    greetings,
    own_app_passwords,
    own_forwarding,
    accounts,
    numbers,
    invoices,
    house,
)


def api_router() -> APIRouter:
    """All routes under /api/v1."""
    router = APIRouter(prefix=API)
    for family in FAMILIES:
        router.include_router(family.router)
    return router

"""Errors as problem documents (RFC 9457), and the one table of their statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi.responses import JSONResponse

from um.core.errors import UMError

MEDIA_TYPE = "application/problem+json"
STATUSES: Mapping[str, HTTPStatus] = MappingProxyType(
    {
        "not-found": HTTPStatus.NOT_FOUND,
        "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
        "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
        "authentication-failed": HTTPStatus.UNAUTHORIZED,
    }
)
_MORE_HEADERS: Mapping[HTTPStatus, dict[str, str]] = MappingProxyType(
    {
        HTTPStatus.SERVICE_UNAVAILABLE: {"retry-after": "1"},
        HTTPStatus.UNAUTHORIZED: {"www-authenticate": 'Bearer realm="core"'},
    }
)


def problem(error: UMError) -> JSONResponse:
    """The answer for an error: its public words and its code, never its cause."""
    status = STATUSES.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    body = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": error.public,
        "code": error.code,
    }
    headers = _MORE_HEADERS.get(status, {})
    return JSONResponse(body, status.value, headers=headers, media_type=MEDIA_TYPE)

"""Errors as problem documents (RFC 9457), and the one table of their statuses."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from um.core.errors import UMError

MEDIA_TYPE = "application/problem+json"
STATUSES: Mapping[str, HTTPStatus] = MappingProxyType(
    {
        "account-closed": HTTPStatus.FORBIDDEN,
        "account-suspended": HTTPStatus.FORBIDDEN,
        "already-exists": HTTPStatus.CONFLICT,
        "authentication-failed": HTTPStatus.UNAUTHORIZED,
        "bare-newline": HTTPStatus.UNPROCESSABLE_ENTITY,
        "cross-site": HTTPStatus.FORBIDDEN,
        "forbidden": HTTPStatus.FORBIDDEN,
        "gone": HTTPStatus.GONE,
        "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
        "life-cycle": HTTPStatus.CONFLICT,
        "legal-hold": HTTPStatus.FORBIDDEN,
        "locked-out": HTTPStatus.TOO_MANY_REQUESTS,
        "mail-loop": HTTPStatus.UNPROCESSABLE_ENTITY,
        "malformed-mail": HTTPStatus.UNPROCESSABLE_ENTITY,
        "no-target": HTTPStatus.NOT_FOUND,
        "not-found": HTTPStatus.NOT_FOUND,
        "quota-exceeded": HTTPStatus.INSUFFICIENT_STORAGE,
        "read-only": HTTPStatus.FORBIDDEN,
        "refused-document": HTTPStatus.UNPROCESSABLE_ENTITY,
        "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too-many": HTTPStatus.TOO_MANY_REQUESTS,
        "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
"""By `UMError.code`; an error whose code is not here has the status of what it is a kind of."""
_RETRY_SECONDS: Mapping[HTTPStatus, str] = MappingProxyType(
    {HTTPStatus.SERVICE_UNAVAILABLE: "1", HTTPStatus.TOO_MANY_REQUESTS: "15"}
)


class Problem(BaseModel):
    """Why something was not done."""

    type: str
    title: str
    status: int
    detail: str
    """For people."""
    code: str
    """For programs: it does not change with the words."""


CORE_CHALLENGE = 'Bearer realm="core"'


def problem(error: UMError, *, challenge: str = CORE_CHALLENGE) -> JSONResponse:
    """The answer for an error: its public words and its code, never its cause.

    Args:
        error: what went wrong.
        challenge: how to come in, beside a 401 (RFC 9110 §11.6.1).
    """
    status = status_of(type(error))
    headers = {}
    if status in _RETRY_SECONDS:
        headers["retry-after"] = _RETRY_SECONDS[status]
    if status is HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = challenge
    return document(status, code=error.code, detail=error.public, headers=headers)


def status_of(kind: type[UMError]) -> HTTPStatus:
    """The status of an error; one that nothing here stands for is a defect of ours: 500."""
    codes = (getattr(each, "code", "") for each in kind.__mro__)
    return next(
        (STATUSES[code] for code in codes if code in STATUSES), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def document(
    status: HTTPStatus, *, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem document."""
    told = Problem(
        type="about:blank", title=status.phrase, status=status.value, detail=detail, code=code
    )
    return JSONResponse(told.model_dump(), status.value, headers=headers, media_type=MEDIA_TYPE)

"""Errors as pages: what a person can do about it, in their own language."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response

from um.core.errors import AuthenticationError, UMError
from um.web.guards import COOKIE, find_visitor
from um.web.portal.render import moved, outside, page
from um.web.portal.wording import Wording, accepted, wording
from um.web.problems import status_of
from um.web.services import services_of

KEYS: Mapping[str, str] = MappingProxyType(
    {
        "account-closed": "error.closed",
        "already-exists": "error.exists",
        "authentication-failed": "error.wrong_login",
        "cross-site": "error.cross_site",
        "forbidden": "error.cross_site",
        "gone": "error.not_found",
        "invalid": "error.invalid",
        "legal-hold": "error.hold",
        "locked-out": "error.locked",
        "no-target": "error.not_found",
        "not-found": "error.not_found",
        "quota-exceeded": "error.full",
        "read-only": "suspended.text",
        "refused-document": "error.refused_document",
        "too-large": "error.too_large",
        "too-many": "error.locked",
        "unavailable": "error.unavailable",
    }
)
"""By `UMError.code`; any other is said in general words."""


async def error_page(request: Request, error: UMError) -> Response:
    """What went wrong; who is not logged in is asked to."""
    status = status_of(type(error))
    if isinstance(error, AuthenticationError):
        asked = request.url.path if request.method == "GET" else "/"
        return moved(f"/login?back={quote(asked)}" if asked != "/" else "/login")
    visitor = await find_visitor(request, services_of(request), request.cookies.get(COOKIE))
    if visitor is None:
        words = wording(accepted(request.headers.get("accept-language", "")))
        title, text = words("error.title"), reason(words, error)
        return outside(request, "said", status=status, title=title, text=text)
    words = wording(visitor.account.language)
    return await page(request, visitor, "trouble", status=status, text=reason(words, error))


def reason(words: Wording, error: UMError) -> str:
    """Why, in words for the owner: the very reason if we have words for it."""
    if error.why and words.has(f"why.{error.why}"):
        return words(f"why.{error.why}", **error.values)
    return words(KEYS.get(error.code, "error.failed"))

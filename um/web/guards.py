"""Who makes a request, and what they may: the dependencies that every route declares.

Laws:
- A customer comes with the session's cookie; whatever changes anything brings the session's form
  token too, which a foreign site cannot know (`Present`, and `Writer` if the account may write).
- An operator's system comes with a bearer token and its scope; a cookie means nothing there.
- The few doors before a login take requests from our own pages and programs only (`OwnSite`).
"""

import hmac
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from um.core.credentials import OperatorToken, Scope
from um.core.errors import AuthenticationError, ForbiddenError, ReadOnlyError
from um.service.web_sessions import Visitor
from um.web.services import Services

COOKIE = "__Host-um"
FORM_TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105 - the field's name
REFRESH_HEADER = "X-UM-Refresh"
"""Set by a page's own script when it reads the page anew without its reader's doing."""
MAX_SECRET_CHARACTERS = 256
_cookie = APIKeyCookie(name=COOKIE, scheme_name="session", auto_error=False)
_form_token = APIKeyHeader(name=FORM_TOKEN_HEADER, scheme_name="formToken", auto_error=False)
_bearer = HTTPBearer(scheme_name="operator", auto_error=False)


class CrossSiteError(ForbiddenError):
    """The request was made by another site's page."""

    code = "cross-site"
    default = "The request does not come from our own pages"


async def find_visitor(
    request: Request, services: Services, cookie: Annotated[str | None, Security(_cookie)]
) -> Visitor | None:
    """Who comes with the session's cookie, if anyone.

    A page that reads itself anew is no use of the session: nobody may be sitting before it.
    """
    if not cookie or len(cookie) > MAX_SECRET_CHARACTERS:
        return None
    by_itself = request.method == "GET" and REFRESH_HEADER in request.headers
    return await services.sessions.find(cookie, touch=not by_itself)


MaybeCustomer = Annotated[Visitor | None, Depends(find_visitor)]


async def customer(visitor: MaybeCustomer) -> Visitor:
    """Who is logged in. Raises AuthenticationError."""
    if visitor is None:
        raise AuthenticationError("Nobody is logged in here, or no longer")
    return visitor


Customer = Annotated[Visitor, Depends(customer)]
"""May look."""


async def present(
    visitor: Customer, form_token: Annotated[str | None, Security(_form_token)]
) -> Visitor:
    """Who is logged in and asks by our own pages. Raises AuthenticationError, ForbiddenError."""
    check_form_token(visitor, form_token)
    return visitor


Present = Annotated[Visitor, Depends(present)]
"""May do what a suspended account may, such as logging out."""


async def writer(visitor: Present) -> Visitor:
    """Who may change the account. Raises ReadOnlyError with the reason, and as `present`."""
    check_writable(visitor)
    return visitor


Writer = Annotated[Visitor, Depends(writer)]
"""May change their own account."""


def check_form_token(visitor: Visitor, given: str | None) -> None:
    """Raises ForbiddenError unless `given` is the session's form token."""
    if not hmac.compare_digest((given or "").encode(), visitor.form_token.encode()):
        raise ForbiddenError("The form token is missing or is of another session")


def check_writable(visitor: Visitor) -> None:
    """Raises ReadOnlyError, with the reason, while the account is suspended."""
    if visitor.read_only:
        raise ReadOnlyError(visitor.notice)


async def own_site(request: Request) -> None:
    """Raises CrossSiteError if a browser says that another site's page asks.

    Fetch Metadata says it; an older browser's Origin is compared with the host that it asked.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        if site not in ("none", "same-origin"):
            raise CrossSiteError
    elif origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise CrossSiteError


OwnSite = Depends(own_site)


class Bearer:
    """A dependency: the operator's token, if it has the scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(
        self,
        services: Services,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> OperatorToken:
        """Raises AuthenticationError, ForbiddenError."""
        if credentials is None or len(credentials.credentials) > MAX_SECRET_CHARACTERS:
            raise AuthenticationError("A bearer token is needed")
        return await services.tokens.check(credentials.credentials, self.scope)


Reader = Annotated[OperatorToken, Depends(Bearer(Scope.READ))]
Clerk = Annotated[OperatorToken, Depends(Bearer(Scope.ACCOUNTS))]
Depositor = Annotated[OperatorToken, Depends(Bearer(Scope.DEPOSIT))]


def actor(token: OperatorToken) -> str:
    """Who did it, for the audit log."""
    return f"token {token.name}"


def peer(request: Request) -> str:
    """The client's address."""
    return request.client.host if request.client else "unknown"

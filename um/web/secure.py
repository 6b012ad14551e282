"""What every answer of the portal and the API carries, so that a browser trusts it with little.

Laws:
- Nothing is loaded, framed or run that the answer does not name: `default-src 'none'`. A page may
  run its own scripts and styles by the nonce in `request.state.csp_nonce`, new with each answer.
- Nothing is kept by a cache, unless the answer says so itself.
- A field that an answer sets itself stays as it is.
"""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of what is no page."""
PAGE = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:"
    "; media-src 'self' blob:; connect-src 'self'; font-src 'self'; frame-src 'self' blob:"
    "; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'"
    "; frame-ancestors 'none'"
)
HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: with it a browser calls the origin of our own forms `null`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
    "cache-control": "no-store",
}


class SecureHeaders:
    """ASGI around an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["csp_nonce"] = nonce

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                _secure(MutableHeaders(scope=message), nonce)
            await send(message)

        await self._app(scope, receive, send_secured)


def _secure(headers: MutableHeaders, nonce: str) -> None:
    page = headers.get("content-type", "").startswith("text/html")
    policy = PAGE.format(nonce=nonce) if page else NOTHING
    headers.setdefault("content-security-policy", policy)
    for name, value in HEADERS.items():
        headers.setdefault(name, value)

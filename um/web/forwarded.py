"""What the readers of our mail open without signing in: linked documents, and confirmations.

Laws:
- A document goes out as a file to be saved, under the type that its part names, never to be guessed
  or shown in our origin.
- A link in a mail is opened by programs too, which look for harm: only the button, a POST, confirms.
- Whatever is wrong, the answer is one page and 404: nobody learns what there is.
"""

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from um.core.errors import NotFoundError, UMError
from um.service.forward.addresses import AddressBook
from um.service.forward.links import Links
from um.service.notice_texts import spoken_language
from um.web.portal.wording import accepted

_PRIVATE: Mapping[str, str] = {
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}
Asked = Annotated[str, Header(alias="accept-language")]
_PAGES = Environment(
    loader=PackageLoader("um.web"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
)


def forwarded_routes(links: Links, book: AddressBook) -> APIRouter:
    """`/l/…` and `/confirm/…`, for the listener behind [web] `public_url`."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/l/{content_id}/{part}/{expires}/{mac}", methods=["GET", "HEAD"])
    async def document(
        content_id: str, part: str, expires: str, mac: str, accept_language: Asked = ""
    ) -> Response:
        try:
            found = await links.open(content_id, part, expires, mac)
        except UMError as error:
            return _refused(error, accept_language)
        disposition = f'attachment; filename="{found.filename}"'
        sandbox = "default-src 'none'; sandbox"
        return Response(
            found.data,
            media_type=found.media_type,
            headers={
                **_PRIVATE,
                "content-disposition": disposition,
                "content-security-policy": sandbox,
            },
        )

    @router.get("/confirm/{token}")
    async def ask(token: str, accept_language: Asked = "") -> Response:
        try:
            asked = await book.asked(token)
        except UMError as error:
            return _refused(error, accept_language)
        language = spoken_language(asked.account.language)
        return _page("ask", language, address=asked.address.address, owner=asked.account.name)

    @router.post("/confirm/{token}")
    async def confirm(token: str, accept_language: Asked = "") -> Response:
        try:
            done = await book.confirm(token)
        except UMError as error:
            return _refused(error, accept_language)
        language = spoken_language(done.account.language)
        return _page("done", language, address=done.address.address, owner=done.account.name)

    return router


def _refused(error: UMError, accept_language: str) -> Response:
    """In the language of who reads it: whose mailbox it was is not told."""
    gone = isinstance(error, NotFoundError)
    language = accepted(accept_language)
    return _page("gone" if gone else "later", language, status=404 if gone else 503)


def _page(
    state: str, language: str, *, status: int = 200, address: str = "", owner: str = ""
) -> Response:
    nonce = token_urlsafe(16)
    html = _PAGES.get_template("forwarded.html").render(
        state=state, language=language, address=address, owner=owner, nonce=nonce
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {**_PRIVATE, "content-security-policy": policy}
    return HTMLResponse(html, status_code=status, headers=headers)

"""Pages: templates, the words of the visitor's language, and what every page shows.

Laws:
- All values are escaped (autoescape); a template marks nothing as safe.
- A page loads our own files and runs our own script only, by the nonce of `um.web.secure`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import URL
from starlette.responses import HTMLResponse, RedirectResponse, Response

from um.core.account import Usage
from um.core.errors import NotFoundError
from um.mime.build.caller import minutes_seconds
from um.mime.build.writer import local_time
from um.service.web_sessions import Visitor
from um.web.portal.icons import ICONS
from um.web.portal.wording import LANGUAGES, Wording, accepted, wording
from um.web.services import services_of

STATIC: Mapping[str, str] = {
    "portal.css": "text/css; charset=utf-8",
    "portal.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
DONE = "done"
"""The query parameter that names what has just been done, of the texts `done.…`."""

_PAGES = Environment(
    loader=PackageLoader("um.web.portal"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows besides its own: the frame around it."""

    visitor: Visitor
    usage: Usage

    @property
    def percent(self) -> int:
        """How full the mailbox is."""
        return min(100, self.usage.used_octets * 100 // max(1, self.usage.limit_octets))


async def page(
    request: Request,
    visitor: Visitor,
    template: str,
    *,
    status: int = 200,
    **values: Any,
) -> Response:
    """A page of somebody who is logged in."""
    services = services_of(request)
    account = visitor.account
    usage = await services.mailboxes.usage(account.id)
    words = wording(account.language)
    now = local_time(services.clock.now(), account.timezone)
    frame = {
        "shown": Shown(visitor, usage),
        "now": now,
        "done": _done(request, words),
        "path": request.url.path,
        "here": here(request.url),
        "local": lambda instant: local_time(instant, account.timezone),
        "error": "",
    }
    return _render(request, words, template, status=status, **(frame | values))


def outside(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page for somebody who is not logged in, in the language that the browser asks for."""
    words = wording(accepted(request.headers.get("accept-language", "")))
    return _render(request, words, template, status=status, done=_done(request, words), **values)


def moved(path: str, done: str = "") -> Response:
    """To a page, after a form; `done` names what it shall say."""
    if not done:
        return RedirectResponse(path, 303)
    url = URL(path).include_query_params(**{DONE: done})
    return RedirectResponse(str(url), 303)


def here(url: URL) -> str:
    """The page's own address, without what has just been done."""
    own = url.remove_query_params(DONE)
    return own.path + (f"?{own.query}" if own.query else "")


def static_file(name: str) -> Response:
    """A file of ours. Raises NotFoundError."""
    if name not in STATIC:
        raise NotFoundError("There is no such file")
    headers = {
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": STATIC[name],
    }
    return Response(_file(name)[0], headers=headers)


def static_url(name: str) -> str:
    """Where the file is, by its content: a new one has a new address."""
    return f"/static/{_file(name)[1]}/{name}"


@cache
def _file(name: str) -> tuple[bytes, str]:
    data = files("um.web.portal").joinpath("static", name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:12]


def _done(request: Request, words: Wording) -> str:
    name = request.query_params.get(DONE, "")
    return words(f"done.{name}") if words.has(f"done.{name}") else ""


def _render(
    request: Request, words: Wording, template: str, *, status: int, **values: Any
) -> HTMLResponse:
    html = _PAGES.get_template(f"{template}.html").render(
        t=words,
        nonce=request.state.csp_nonce,
        static=static_url,
        languages=LANGUAGES,
        icons=ICONS,
        minutes=minutes_seconds,
        **values,
    )
    return HTMLResponse(html, status)

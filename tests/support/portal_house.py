"""The portal over a house in memory: pages, forms as a browser sends them, and what stands in them."""

import asyncio
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from fastapi.routing import iter_route_contexts
from httpx import Response

from tests.support.house import PASSWORD
from tests.support.web_house import Browser, WebHouse
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.mime.build import fax_message, voice_message
from um.mime.build.facts import FaxFacts, VoiceFacts
from um.service.delivery import Incoming
from um.web.application import web_app
from um.web.portal import PortalDesk, error_page, portal_pages

HOSTILE = "<img src=x onerror=alert(1)>"


class PortalHouse(WebHouse):
    """A house with the portal's pages; drawing is done by a pen that only counts."""

    def __init__(self, **house: Any) -> None:
        super().__init__(**house)
        self.drawn: list[int] = []
        self.desk = PortalDesk(
            draw_peaks=self._peaks,
            draw_sheets=self._sheets,
        )
        self.pages = portal_pages(self.desk)
        self.app = web_app(self.services, self.pages, error_page=error_page)
        self._keys = 0

    def signing(self) -> "PortalBrowser":
        """Somebody who is about to log in."""
        return PortalBrowser(self.app, "192.0.2.7")

    def signed_in(self, name: str = "alice", password: str = PASSWORD) -> "PortalBrowser":
        """Through the login page."""
        browser = self.signing()
        answer = browser.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        return browser

    def routes(self) -> list[Any]:
        """All routes of the portal, each with its whole path."""
        return list(iter_route_contexts(self.pages.routes))

    def put_in(self, account: Any, kind: MessageKind, data: bytes, **more: Any) -> Any:
        """Into the account's mailbox."""
        self._keys += 1
        incoming = Incoming(account.id, kind, data, IngestKey(f"portal-{self._keys}"), **more)
        return asyncio.run(self.house.delivery.deliver(incoming))

    def voice(self, account: Any, *, name: str = "Anna", number: str = "+15559870001") -> Any:
        """A voice message of 12 seconds."""
        data = voice_message(
            VoiceFacts(
                id=f"{self._keys:032x}",
                domain=account.domain,
                recipient=account.name,
                received_at=self.house.clock.now(),
                duration_seconds=12,
                audio=b"\xff\xf3" + bytes(400),
                caller_name=name,
                caller_number=number,
            )
        )
        return self.put_in(account, MessageKind.VOICE, data, duration_seconds=12)

    def fax(self, account: Any, *, station: str = "Example Ltd", pages: int = 3) -> Any:
        """A fax."""
        data = fax_message(
            FaxFacts(
                id=f"{self._keys:032x}",
                domain=account.domain,
                recipient=account.name,
                received_at=self.house.clock.now(),
                pages=pages,
                pdf=b"%PDF-1.4\nfax",
                caller_name=station,
                caller_number="+15559870002",
            )
        )
        return self.put_in(account, MessageKind.FAX, data, pages=pages)

    async def _peaks(self, audio: bytes) -> list[int]:
        assert audio
        self.drawn.append(0)
        return [5, 31, 9]

    async def _sheets(self, pdf: bytes, first: int) -> list[bytes]:
        assert pdf.startswith(b"%PDF-")
        self.drawn.append(first)
        return [b"\x89PNG" + str(number).encode() for number in range(first, 4)]


class PortalBrowser(Browser):
    """Sends forms with the token that stands in the page."""

    def send(self, path: str, page: str = "/", **fields: Any) -> Response:
        """Fill in a form of `page` and send it to `path`."""
        files = fields.pop("files", None)
        data = {"token": self.token(page)} | fields
        return self.post(path, data=data, files=files)

    def token(self, page: str = "/") -> str:
        """The form token of a page."""
        found = re.search(r'name="token" value="([0-9a-f]{64})"', self.get(page).text)
        assert found
        return found[1]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def tags(answer: Response, name: str = "") -> list[dict[str, str | None]]:
    """The attributes of all elements (of that name) in a page."""
    reader = _Reader()
    reader.feed(answer.text)
    return [found for tag, found in reader.tags if not name or tag == name]


def text_of(answer: Response) -> str:
    """What a page says, in one line."""
    reader = _Reader()
    reader.feed(answer.text)
    return " ".join(unescape(" ".join(reader.words)).split())

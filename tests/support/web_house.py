"""The HTTPS application over a house in memory, and a browser that asks it without a network."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from uuid import uuid4

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Cookies, Response

from storage.exports import FileExports
from tests.support.forwarding import ForwardHouse
from tests.support.house import DOMAIN, PASSWORD
from um.core.account import Account
from um.core.credentials import Scope
from um.core.errors import RefusedDocumentError
from um.core.ids import IngestKey
from um.core.ports import NoMetrics
from um.core.retention import RetentionRule
from um.service.app_passwords import AppPasswords
from um.service.delivery import Delivered
from um.service.export import Exporter
from um.service.forward.trial import WebhookTrials
from um.service.house_records import HouseRecords
from um.service.invoices import InvoiceDrop
from um.service.mailboxes import MailboxService
from um.service.message_list import MessageList
from um.service.message_parts import MessageParts
from um.service.operator_tokens import OperatorTokens
from um.service.own_greetings import OwnGreetings
from um.service.password_reset import PasswordReset
from um.service.profile import Profiles
from um.service.purge_clock import PurgeClock
from um.service.recipients import Directory
from um.service.retention import Retention
from um.service.views import Views
from um.service.web_sessions import WebSessions
from um.smtp.reception import Client, Limits, Reception
from um.web.application import bare_app, guarded
from um.web.services import WebServices
from um.web.streams import Streams

EXPORTS = TemporaryDirectory(prefix="um-exports-")
SENDER = f"postmaster@{DOMAIN}"
ORIGIN = "https://um.example.net"


class WebHouse:
    """A house with its application.

    Args:
        app: one of an earlier house, which moves over here.
        rules: the operator's rules of retention.
        exports: where exports are put, if a test looks there.
        house: as for the house.
    """

    def __init__(
        self,
        *,
        app: FastAPI | None = None,
        rules: Sequence[RetentionRule] = (),
        exports: Path | None = None,
        **house: Any,
    ) -> None:
        self.house = ForwardHouse(**house)
        self.services = web_services(
            self.house, rules, exports=exports or Path(EXPORTS.name) / uuid4().hex
        )
        self.bare = app or bare_app(self.services)
        self.bare.state.services = self.services
        self.app = guarded(self.bare)

    def browser(self, *, peer: str = "192.0.2.7") -> "Browser":
        """Somebody who is not logged in."""
        return Browser(self.app, peer)

    def logged_in(self, name: str = "alice", **more: Any) -> "Browser":
        """The owner of an account."""
        return self.browser(**more).log_in(name)

    def operator(self, *scopes: Scope, name: str = "billing") -> "Browser":
        """A system of the operator's, with a token of these scopes (all, if none is named)."""
        wanted = frozenset(scopes or Scope)
        token = run(self.services.tokens.add(f"{name}-{'-'.join(sorted(wanted))}", wanted))
        browser = self.browser()
        browser.headers["authorization"] = f"Bearer {token}"
        return browser


def web_services(
    house: ForwardHouse, rules: Sequence[RetentionRule] = (), *, exports: Path
) -> WebServices:
    """The use cases of the house, as the application wants them."""
    mailboxes = MailboxService(house.store, house.blobs, house.delivery, house.clock)
    store, clock, settings = house.store, house.clock, house.settings
    return WebServices(
        accounts=house.accounts,
        address_book=house.book,
        app_passwords=AppPasswords(store, clock, settings),
        authenticator=house.authenticator,
        bus=house.bus,
        clock=clock,
        exporter=Exporter(store, mailboxes, house.greetings, FileExports(exports), clock),
        forward_rules=house.rules,
        greetings=OwnGreetings(store, house.greetings, WrittenAudio(), clock),
        invoices=InvoiceDrop(store, clock, HouseReception(house), settings),
        mailboxes=mailboxes,
        message_list=MessageList(mailboxes),
        message_parts=MessageParts(mailboxes),
        numbers=house.numbers,
        outbox=house.queue,
        password_reset=PasswordReset(
            store, clock, house.hasher, house.signer, house.security, settings
        ),
        profiles=Profiles(store, clock, settings),
        purge_clock=PurgeClock(store, clock),
        records=HouseRecords(store, settings),
        retention=Retention(store, clock, settings, rules),
        views=Views(store, clock, settings),
        sessions=WebSessions(store, clock),
        streams=Streams(house.bus, beat_seconds=0.05),
        tokens=OperatorTokens(store, clock),
        webhook_trials=WebhookTrials(house.rules, house.webhooks, clock),
    )


class WrittenAudio:
    """`AudioFiles` that takes what begins with RIFF as it is: FFmpeg is seen end to end."""

    async def for_telephone(self, data: bytes, *, longest_seconds: int) -> bytes:
        if not data.startswith(b"RIFF"):
            raise RefusedDocumentError("The file is no known audio")
        return data


class HouseReception:
    """`InvoiceReception` over the reception of mail, as the server puts them together."""

    def __init__(self, house: ForwardHouse) -> None:
        self._reception = Reception(
            Directory(house.store, house.settings),
            house.delivery,
            house.clock,
            NoMetrics(),
            domain=DOMAIN,
            invoice_senders={SENDER},
            limits=Limits(30, 64 * 1024),
        )

    async def take(
        self, account: Account, data: bytes, *, key: IngestKey | None, sender: str = SENDER
    ) -> Delivered:
        client = Client(address="127.0.0.1", helo="localhost", protocol="LMTP", trusted=True)
        prepared = await self._reception.prepare(data, sender, client)
        return await self._reception.deliver(prepared, account, key=key)


@dataclass
class Browser:
    """Keeps cookies and fields from request to request."""

    app: Any
    peer: str
    headers: dict[str, str] = field(default_factory=dict)
    cookies: Cookies = field(default_factory=Cookies)

    def ask(self, method: str, path: str, **more: Any) -> Response:
        """One request."""
        return run(self.asking(method, path, **more))

    async def asking(self, method: str, path: str, **more: Any) -> Response:
        """One request, within a loop."""
        headers = self.headers | more.pop("headers", {})
        transport = ASGITransport(app=self.app, client=(self.peer, 50000))
        async with AsyncClient(
            transport=transport, base_url=ORIGIN, cookies=self.cookies
        ) as client:
            answer = await client.request(method, path, headers=headers, **more)
            self.cookies = client.cookies
        return answer

    def get(self, path: str, **more: Any) -> Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> Response:
        return self.ask("POST", path, **more)

    def put(self, path: str, **more: Any) -> Response:
        return self.ask("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Response:
        return self.ask("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Response:
        return self.ask("DELETE", path, **more)

    def log_in(self, name: str = "alice", password: str = PASSWORD) -> Self:
        """Log in and keep the form token."""
        answer = self.post("/api/v1/session", json={"name": name, "password": password})
        assert answer.status_code == 200, answer.text
        self.headers["x-csrf-token"] = answer.json()["form_token"]
        return self


def check_problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem document of that status and code; returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"]
    assert body["detail"]
    return body


def run(coroutine: Any) -> Any:
    """Its result."""
    return asyncio.run(coroutine)

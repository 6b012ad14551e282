"""The forwarding services over the memory store, with a relay whose answers a test writes down."""

import re
from collections import deque
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from tests.support.house import DOMAIN, House
from um.core.account import Account
from um.core.errors import RelayDeferredError, RelayRefusedError, UMError
from um.core.forwarding import (
    AddressState,
    AfterCopy,
    CopyMode,
    CopyRule,
    ForwardAddress,
    OutboxEntry,
    OutgoingMail,
)
from um.core.ids import IngestKey
from um.core.message import Entry, MessageKind
from um.core.steps import Steps, no_steps
from um.mime.build import FaxFacts, VoiceFacts, fax_message, voice_message
from um.service.delivery import Delivered, Incoming
from um.service.forward.addresses import AddressBook
from um.service.forward.bounces import Bounces
from um.service.forward.compose import Composer
from um.service.forward.failures import Failures
from um.service.forward.links import Links
from um.service.forward.queue import OutboxQueue
from um.service.forward.rules import ForwardRules
from um.service.forward.sender import Sender
from um.service.forward.settings import ForwardSettings
from um.service.forward.signing import Signer
from um.service.security_notices import SecurityNotices
from um.smtp.letters import TemplateLetters

FORWARD_FROM = "noreply@um.example.net"
PUBLIC_URL = "https://portal.example.net"
TARGET = "anna@example.org"
DEFERRED = RelayDeferredError("451 4.3.0 Later")
REFUSED = RelayRefusedError("550 5.1.1 No such user")
LOOPBACK = IPv4Network("127.0.0.0/8")
_TOKEN = re.compile(rf"{PUBLIC_URL}/confirm/(\S+)")


@dataclass
class WrittenRelay:
    """`Relay` that answers as `answers` says, and then well; `lost` are taken without an answer."""

    answers: deque[UMError | None] = field(default_factory=deque)
    always: UMError | None = None
    sent: list[OutgoingMail] = field(default_factory=list)
    tried: int = 0

    async def send(self, mail: OutgoingMail) -> None:
        self.tried += 1
        answer = self.answers.popleft() if self.answers else self.always
        if answer is not None:
            raise answer
        self.sent.append(mail)

    def message(self, number: int = -1) -> EmailMessage:
        """One of the mails that were taken, parsed."""
        parsed = message_from_bytes(self.sent[number].data, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class WrittenWebhooks:
    """`Webhooks` of the same kind."""

    answers: deque[UMError | None] = field(default_factory=deque)
    posted: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: Any) -> None:
        answer = self.answers.popleft() if self.answers else None
        if answer is not None:
            raise answer
        self.posted.append((url, body, dict(headers)))


class ForwardHouse(House):
    """A `House` with everything that leaves it."""

    def __init__(self, *, templates: Path = Path("/nonexistent"), **options: Any) -> None:
        super().__init__(**options)
        self.signer = Signer(b"k" * 32)
        self.relay, self.webhooks = WrittenRelay(), WrittenWebhooks()
        settings = ForwardSettings(DOMAIN, FORWARD_FROM, PUBLIC_URL)
        self.security = SecurityNotices(self.delivery, self.clock, self.settings)
        self.book = AddressBook(self.store, self.bus, self.clock, self.signer, self.security)
        self.rules = ForwardRules(self.store, self.clock, self.signer, allowed=[LOOPBACK])
        self.queue = OutboxQueue(self.store, self.bus, self.clock)
        self.links = Links(self.store, self.blobs, self.clock, self.signer, settings)
        self.failures = Failures(self.store, self.delivery, self.clock)
        self.bounces = Bounces(self.store, self.failures, settings)
        letters = TemplateLetters(templates)
        self.composer = Composer(letters, self.links, self.book, self.signer, settings)
        self.sender = self.sender_with()

    def sender_with(self, steps: Steps = no_steps) -> Sender:
        return Sender(
            self.store,
            self.blobs,
            self.clock,
            self.relay,
            self.webhooks,
            self.composer,
            self.failures,
            self.signer,
            steps=steps,
        )

    async def confirmed(
        self,
        account: Account,
        address: str = TARGET,
        *,
        kind: MessageKind | None = MessageKind.VOICE,
        mode: CopyMode = CopyMode.ATTACH,
        after: AfterCopy = AfterCopy.KEEP,
    ) -> ForwardAddress:
        """An address whose link was followed, and with `kind` a rule for it.

        What its owner was told of it has been read, and deleted.
        """
        await self.book.add(account.id, address)
        await self.sender.tick()
        done = await self.book.confirm(self.mailed_token())
        await self.sender.tick()
        await self.store.run("read", lambda tx: self._forget_notices_txn(tx, account))
        if kind is not None:
            await self.rules.set(account.id, kind, CopyRule(mode, after))
        assert done.address.state is AddressState.CONFIRMED
        self.relay.sent.clear()
        self.relay.tried = 0
        return done.address

    def _forget_notices_txn(self, tx: Any, account: Account) -> None:
        inbox = tx.mailboxes.by_name(account.id, "INBOX")
        notices = [e.uid for e in tx.messages.entries(inbox.id) if e.kind is MessageKind.NOTICE]
        tx.messages.expunge(inbox.id, notices)

    def mailed_token(self) -> str:
        """The token in the last mail."""
        text = self.relay.message().get_body(("plain",))
        assert text is not None
        found = _TOKEN.search(text.get_content())
        assert found is not None
        return found[1]

    async def voice(
        self, account: Account, *, key: str = "voice-1", audio: bytes = b"ID3sound", **facts: Any
    ) -> Delivered:
        """A voice message for the account."""
        given: dict[str, Any] = {
            "id": key,
            "domain": DOMAIN,
            "recipient": account.name,
            "received_at": self.clock.now(),
            "duration_seconds": 42,
            "audio": audio,
            "caller_number": "+15551234567",
            "caller_name": "Bob",
            "timezone": account.timezone,
        } | facts
        return await self.deliver(
            account, voice_message(VoiceFacts(**given)), MessageKind.VOICE, key, seconds=42
        )

    async def fax(
        self, account: Account, *, key: str = "fax-1", pdf: bytes = b"%PDF-1.4"
    ) -> Delivered:
        """A fax for the account."""
        data = fax_message(
            FaxFacts(
                id=key,
                domain=DOMAIN,
                recipient=account.name,
                received_at=self.clock.now(),
                pages=2,
                pdf=pdf,
                caller_number="+15551234567",
            )
        )
        return await self.deliver(account, data, MessageKind.FAX, key)

    async def deliver(
        self,
        account: Account,
        data: bytes,
        kind: MessageKind,
        key: str,
        *,
        seconds: int | None = None,
    ) -> Delivered:
        """Any message for the account."""
        incoming = Incoming(account.id, kind, data, IngestKey(key), duration_seconds=seconds)
        return await self.delivery.deliver(incoming)

    async def rows(self, account: Account) -> list[OutboxEntry]:
        """The account's rows, oldest first, confirmations apart."""
        found = await self.queue.of_account(account.id)
        return [each for each in reversed(found) if each.purpose.value != "confirmation"]

    async def folder(self, account: Account, name: str = "INBOX") -> list[Entry]:
        """What a folder holds."""

        def folder_txn(tx: Any) -> list[Entry]:
            return tx.messages.entries(tx.mailboxes.by_name(account.id, name).id)

        return await self.store.read("folder", folder_txn)

    async def notices(self, account: Account) -> list[EmailMessage]:
        """The notices in the inbox."""
        entries = [e for e in await self.folder(account) if e.kind is MessageKind.NOTICE]
        contents = await self.store.read(
            "contents", lambda tx: tx.messages.contents([e.content_id for e in entries])
        )
        found = []
        for entry in entries:
            data = await self.blobs.get(contents[entry.content_id].blob)
            parsed = message_from_bytes(data, policy=default)
            assert isinstance(parsed, EmailMessage)
            found.append(parsed)
        return found


def report(row: OutboxEntry, *, action: str = "failed", status: str = "5.1.1") -> bytes:
    """A delivery status notification about a row (RFC 3464)."""
    return (
        "From: MAILER-DAEMON@mx.example.org\r\n"
        f"To: bounce+{row.id}@um.example.net\r\n"
        "Subject: Undelivered\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n'
        "MIME-Version: 1.0\r\n\r\n"
        "--b\r\n\r\nIt came back.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.org\r\n\r\n"
        f"Final-Recipient: rfc822; {row.target}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        "--b--\r\n"
    ).encode()

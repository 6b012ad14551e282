"""What happens to mail that comes in, apart from the protocol: recipients, checks, delivery.

Laws:
- Closed recipient map: an account of our domain, or a refusal. Nothing is relayed.
- A mail is an invoice if its envelope sender is listed AND its client is trusted. Fields by which
  we mark our own messages are stripped from every mail that comes in.
- The same mail handed over twice within the memory of the ingest keys is delivered once.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from um.core.account import Account
from um.core.errors import NotFoundError, UMError, UnavailableError
from um.core.ids import AccountId, IngestKey, OutboxId
from um.core.message import KEYWORDS, MessageKind
from um.core.ports import Clock, Metrics
from um.mime.fingerprint import fingerprint
from um.mime.trace import (
    OURS,
    count_fields,
    header_is_flood,
    received,
    return_path,
    strip_headers,
)
from um.service.delivery import Delivered, Incoming
from um.smtp.dot import has_bare_newline, longest_line_exceeds
from um.smtp.errors import BareNewlineError, MailLoopError, MalformedMailError, RelayDeniedError

log = structlog.get_logger(__name__)

INLINE_OCTETS = 256 * 1024
"""Larger messages are prepared in a thread."""

_INVOICE_FIELDS = b"X-UM-Kind: invoice\r\nMessage-Context: text-message\r\n"


class RecipientDirectory(Protocol):
    """Finds the account of a mail address (implemented by `um.service.recipients.Directory`)."""

    async def find(self, address: str) -> Account | None: ...


class Deliveries(Protocol):
    """The part of `um.service.delivery.Delivery` that mail needs."""

    async def deliver(self, incoming: Incoming) -> Delivered: ...

    async def may_take(
        self, account_id: AccountId, kind: MessageKind, *, size_octets: int = 1
    ) -> None: ...


class ReturnedMail(Protocol):
    """Mail that comes back to an envelope sender of ours (`um.service.forward.bounces`)."""

    def is_ours(self, address: str) -> bool: ...

    async def find(self, address: str) -> OutboxId | None: ...

    async def take(self, row_id: OutboxId, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """A recipient that is nobody's mailbox: the row of the outbox whose copy comes back."""

    id: OutboxId


Recipient = Account | ReturnAddress


@dataclass(frozen=True, slots=True)
class Client:
    """Who hands mail over, as one transaction sees it."""

    address: str
    """Its IP address."""
    helo: str
    protocol: str
    """For Received: SMTP, ESMTP, ESMTPS, LMTP or LMTPS (RFC 3848)."""
    trusted: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one message."""

    max_received: int
    max_line_octets: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message as it will be stored, and what makes its deliveries happen once."""

    data: bytes = field(repr=False)
    kind: MessageKind
    fingerprint: str


class Reception:
    """Takes mail for the accounts of one domain."""

    def __init__(
        self,
        directory: RecipientDirectory,
        deliveries: Deliveries,
        clock: Clock,
        metrics: Metrics,
        *,
        domain: str,
        invoice_senders: Collection[str],
        limits: Limits,
        returned: ReturnedMail | None = None,
    ) -> None:
        self._directory = directory
        self._returned = returned
        self._deliveries = deliveries
        self._clock = clock
        self._metrics = metrics
        self._domain = domain.lower()
        self._invoice_senders = frozenset(sender.lower() for sender in invoice_senders)
        self._limits = limits

    def kind_of(self, sender: str, client: Client) -> MessageKind:
        """What mail of this sender from this client is."""
        invoice = client.trusted and sender.lower() in self._invoice_senders
        return MessageKind.INVOICE if invoice else MessageKind.MAIL

    async def recipient(
        self, address: str, kind: MessageKind, *, size_octets: int, sender: str
    ) -> Recipient:
        """What an address of RCPT means, if mail for it would be taken now.

        Raises RelayDeniedError, NotFoundError, and what `Delivery.may_take` raises.
        """
        if self._returned is not None and self._returned.is_ours(address):
            return await self._return_address(self._returned, address, sender)
        if "@" not in address:
            address = f"{address}@{self._domain}"
        if address.rpartition("@")[2].lower() != self._domain:
            raise RelayDeniedError
        account = await self._directory.find(address)
        if account is None:
            raise NotFoundError("No such mailbox here")
        await self._deliveries.may_take(account.id, kind, size_octets=max(1, size_octets))
        return account

    async def _return_address(
        self, returned: ReturnedMail, address: str, sender: str
    ) -> ReturnAddress:
        if sender:  # a letter: only reports come from the null sender (RFC 5321 §4.5.5)
            raise RelayDeniedError("This address takes delivery reports only")
        row_id = await returned.find(address)
        if row_id is None:
            raise NotFoundError("No such mailbox here")
        return ReturnAddress(row_id)

    async def prepare(self, data: bytes, sender: str, client: Client) -> Prepared:
        """Check a message and put our trace before it.

        Raises BareNewlineError, MailLoopError, MalformedMailError, TooLargeError.
        """
        if len(data) > INLINE_OCTETS:
            return await asyncio.to_thread(self._prepare, data, sender, client)
        return self._prepare(data, sender, client)

    async def take(self, prepared: Prepared, recipient: Recipient) -> None:
        """Deliver to a mailbox, or note what came back; durable when it returns.

        Raises only UMErrors.
        """
        if isinstance(recipient, Account):
            await self.deliver(prepared, recipient)
            return
        assert self._returned is not None
        try:
            await self._returned.take(recipient.id, prepared.data)
        except UMError:
            raise
        except Exception as error:
            log.exception("returned mail not noted", row=recipient.id)
            self._metrics.count("smtp_internal_errors")
            raise UnavailableError from error

    async def deliver(
        self, prepared: Prepared, account: Account, *, key: IngestKey | None = None
    ) -> Delivered:
        """Deliver to one account; durable when it returns. Raises only UMErrors.

        `key` makes it happen once, in place of the message's own fingerprint.
        """
        incoming = Incoming(
            account_id=account.id,
            kind=prepared.kind,
            data=prepared.data,
            ingest_key=key or IngestKey(f"mail:{prepared.fingerprint}:{account.id}"),
            flags=(KEYWORDS[MessageKind.INVOICE],) if prepared.kind is MessageKind.INVOICE else (),
            in_history=True,
        )
        try:
            delivered = await self._deliveries.deliver(incoming)
        except UMError as error:
            log.info("mail not delivered", account=account.id, code=error.code)
            raise
        except Exception as error:
            # A defect is no reason to bounce: the sender keeps the mail and tries again.
            log.exception("delivery failed", account=account.id)
            self._metrics.count("smtp_internal_errors")
            raise UnavailableError from error
        log.info(
            "mail stored",
            account=account.id,
            kind=str(prepared.kind),
            octets=len(prepared.data),
            duplicate=delivered.duplicate,
        )
        self._metrics.count("smtp_duplicates" if delivered.duplicate else "smtp_delivered")
        return delivered

    def _prepare(self, data: bytes, sender: str, client: Client) -> Prepared:
        if has_bare_newline(data):
            raise BareNewlineError
        if b"\0" in data:
            raise MalformedMailError("NUL in message")  # RFC 2045 §2.8; IMAP could not show it
        if data.startswith((b" ", b"\t")):
            raise MalformedMailError("Message begins with a continuation line")
        if longest_line_exceeds(data, self._limits.max_line_octets):
            raise MalformedMailError(f"Line longer than {self._limits.max_line_octets} octets")
        if header_is_flood(data):
            raise MalformedMailError("Header is too large")
        if count_fields(data, "Received") > self._limits.max_received:
            raise MailLoopError
        kind = self.kind_of(sender, client)
        digest = fingerprint(data, sender=sender)
        trace = return_path(sender) + received(
            helo=client.helo,
            peer=client.address,
            domain=self._domain,
            protocol=client.protocol,
            identifier=digest[:16],
            at=self._clock.now(),
        )
        ours = _INVOICE_FIELDS if kind is MessageKind.INVOICE else b""
        body = strip_headers(data, (*OURS, "Return-Path"))
        return Prepared(b"".join((trace, ours, body)), kind, digest)

"""Invoices that billing hands over by the API: each goes the way of mail, and arrives once.

Laws:
- What a key made happen once is not done again while it is remembered (a day): the same key answers
  with the first one's place, whatever comes with it.
- Keys of one token say nothing to another, and a key is one account's.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import structlog

from um.core.account import Account
from um.core.errors import InvalidError, RefusedDocumentError, TooLargeError
from um.core.ids import CredentialId, IngestKey
from um.core.ports import Clock, Store
from um.mime.build import InvoiceFacts, invoice_message
from um.mime.given import as_mail
from um.service.delivery import Delivered
from um.service.recipients import named_txn
from um.service.settings import AccountSettings

log = structlog.get_logger(__name__)

MAX_OCTETS = 25 * 1024 * 1024
MAX_KEY_CHARACTERS = 255
_PDF = b"%PDF-"


class InvoiceReception(Protocol):
    """Takes a mail as an invoice: strips what others wrote, marks it, delivers it."""

    async def take(self, account: Account, data: bytes, *, key: IngestKey | None) -> Delivered:
        """Durable when it returns. Raises RefusedDocumentError and what a delivery raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDocument:
    """An invoice as a PDF with its facts."""

    number: str
    pdf: bytes = field(repr=False)
    issued_at: datetime | None = None
    subject: str = ""
    amount: str = ""
    due: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Giver:
    """Who hands it over, and the key that makes it happen once."""

    token_id: CredentialId
    key: str | None = None


class InvoiceDrop:
    """Drops invoices into accounts, by name."""

    def __init__(
        self, store: Store, clock: Clock, reception: InvoiceReception, settings: AccountSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._reception = reception
        self._settings = settings

    async def drop(self, name: str, invoice: bytes | InvoiceDocument, giver: Giver) -> Delivered:
        """Deliver a mail (RFC 5322) or a PDF; durable when it returns.

        Raises NotFoundError, InvalidError, RefusedDocumentError, TooLargeError, and what a delivery
        raises.
        """
        account = await self._store.read(
            "invoice-account", lambda tx: named_txn(tx, name, self._settings.domain)
        )
        key = _ingest_key(account, giver)
        if isinstance(invoice, bytes):
            data = await asyncio.to_thread(as_mail, invoice)
        else:
            data = await asyncio.to_thread(self._mail, account, invoice)
        if len(data) > MAX_OCTETS:
            raise TooLargeError(f"An invoice has at most {MAX_OCTETS} octets")
        delivered = await self._reception.take(account, data, key=key)
        log.info("invoice dropped", account=account.id, duplicate=delivered.duplicate)
        return delivered

    def _mail(self, account: Account, invoice: InvoiceDocument) -> bytes:
        if not invoice.pdf.startswith(_PDF):
            raise RefusedDocumentError("The document is no PDF")
        digest = sha256(invoice.number.encode() + b"\0" + invoice.pdf).hexdigest()[:32]
        return invoice_message(
            InvoiceFacts(
                id=f"{digest}{account.id[:8]}",
                domain=account.domain,
                recipient=account.name,
                recipient_name=account.full_name,
                number=invoice.number,
                pdf=invoice.pdf,
                at=invoice.issued_at or self._clock.now(),
                timezone=account.timezone,
                subject=invoice.subject,
                amount=invoice.amount,
                due=invoice.due,
                text=invoice.text,
            )
        )


def _ingest_key(account: Account, giver: Giver) -> IngestKey | None:
    if giver.key is None:
        return None
    if not 1 <= len(giver.key) <= MAX_KEY_CHARACTERS or not giver.key.isprintable():
        raise InvalidError(f"A key has 1 to {MAX_KEY_CHARACTERS} printable characters")
    digest = sha256(f"{giver.token_id}\0{giver.key}".encode()).hexdigest()
    return IngestKey(f"drop:{digest}:{account.id}")

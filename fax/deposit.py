"""From kept pages in the spool to a fax in the mailbox, once, whatever happens between.

Laws:
- An entry is discarded only when its message has committed, or when there is nothing to deliver:
  no page, or an account that is gone. In doubt it stays.
- Every page that was confirmed is in the message: they were decoded whole before, so that a page
  that does not decode now means a failing disk; its original goes to quarantine and a note says so.
- The ingest key is the entry's id with the account's: however often an entry is tried, by this
  process or by the one after a crash, it is one message.
"""

from datetime import datetime
from functools import partial
from uuid import uuid4

import structlog

from fax.facts import MISSED, TAKEN, ReceptionFacts
from fax.ghostscript import Ghostscript, is_pdf
from fax.keep import is_page
from fax.message import header_line, render
from fax.ocr import FaxReader, page_texts
from fax.pdf import FaxDocument, PdfMaker
from fax.settings import FaxSettings
from um.core.account import Account
from um.core.errors import NotFoundError, RefusedDocumentError
from um.core.ids import E164, IngestKey
from um.core.message import KEYWORDS, MessageKind
from um.core.ports import Clock, Metrics, NoMetrics, Quarantine, SpoolEntry, Store
from um.core.steps import Steps, no_steps
from um.service import history
from um.service.attempts import Attempts, Outcome
from um.service.call_facts import CallFacts
from um.service.delivery import Delivered, Delivery, Incoming, Room
from um.service.settlement import Settlement

__all__ = ["FaxDeposits", "Outcome"]

log = structlog.get_logger(__name__)


class FaxDeposits:
    """The faxes of one process on their way into mailboxes."""

    def __init__(
        self,
        delivery: Delivery,
        store: Store,
        quarantine: Quarantine,
        pdf: PdfMaker,
        clock: Clock,
        settings: FaxSettings,
        *,
        steps: Steps = no_steps,
        metrics: Metrics | None = None,
        reader: FaxReader | None = None,
    ) -> None:
        self._quarantine = quarantine
        self._pdf = pdf
        self._reader = reader
        self._clock = clock
        self._settings = settings
        self._settlement = Settlement(delivery, store, steps)
        self._ghostscript = Ghostscript()
        self._metrics = metrics or NoMetrics()
        self._attempts = Attempts(
            "fax",
            self._attempt,
            clock,
            pauses_seconds=settings.retry_seconds,
            metrics=self._metrics,
        )

    async def finish(self, entry: SpoolEntry, reception: ReceptionFacts | None = None) -> Outcome:
        """Deliver a fax, or note a missed one; never raises for storage trouble.

        `reception`: how its session went, if the entry could not be sealed with that.
        """
        return await self._attempts.finish(entry, partial(self._attempt, known=reception))

    async def retry_pending(self) -> int:
        """Try those whose time has come; returns how many wait still."""
        return await self._attempts.retry_pending()

    async def deliver_document(
        self,
        account: Account,
        data: bytes,
        *,
        number: E164,
        caller_number: str,
        caller_name: str,
        when: datetime,
    ) -> Delivered:
        """Deliver a TIFF, or a PDF by way of Ghostscript, as a fax.

        The pages that decode are delivered with a note of those that do not; when any does not,
        or not without a flaw, the original goes to the account's quarantine.
        Raises RefusedDocumentError with the reason, and what `Delivery.deliver` raises.
        """
        key = uuid4().hex
        call = CallFacts.of_file(
            key, account.id, number, caller=(caller_number, caller_name), when=when
        )
        reception = ReceptionFacts(complete=True, detail="")
        document, message = await self._from_file(account, call, reception, data, key)
        incoming = self._incoming(call, document, message, key, room=Room.NORMAL)
        return await self._settlement.deliver_file(incoming, history.line(call, TAKEN))

    async def _from_file(
        self, account: Account, call: CallFacts, reception: ReceptionFacts, data: bytes, key: str
    ) -> tuple[FaxDocument, bytes]:
        name = f"fax-{key}.{'pdf' if is_pdf(data) else 'tif'}"
        try:
            if is_pdf(data):
                tiff = await self._ghostscript.to_fax_tiff(data, paper=self._settings.paper)
            else:
                tiff = data
            made = await self._made(account, call, reception, tiff, key)
        except RefusedDocumentError:
            await self._quarantine.put(account.id, name, data)
            raise
        if made[0].notes:
            await self._quarantine.put(account.id, name, data)
        return made

    async def _made(
        self,
        account: Account,
        call: CallFacts,
        reception: ReceptionFacts,
        pages: bytes | list[bytes],
        key: str,
    ) -> tuple[FaxDocument, bytes]:
        """The document of these pages and the message around it, with their text if it is wanted."""
        words = await self._reader.read(pages, account.language) if self._reader else {}
        header = header_line(account, call, reception) if self._settings.header_line else ""
        document = await self._pdf.convert(pages, header=header, words=words)
        message = render(
            account,
            call,
            reception,
            document,
            identifier=key,
            domain=self._settings.domain,
            page_texts=page_texts(words),
        )
        return document, message

    async def _attempt(self, entry: SpoolEntry, *, known: ReceptionFacts | None = None) -> Outcome:
        try:
            call = CallFacts.read(entry.facts)
            reception = known or ReceptionFacts.read(entry.facts)
        except (KeyError, ValueError):
            log.exception("fax.broken-facts", entry=entry.id)
            return Outcome.BROKEN
        account = await self._settlement.account(call.account_id)
        if account is None:
            return await self._settlement.gone(entry)
        pages = [entry.read(name) for name in sorted(entry.names()) if is_page(name)]
        if not pages:
            line = history.line(call, MISSED, seconds=reception.seconds, detail=reception.detail)
            return await self._settlement.miss(entry, call, line)
        document, message = await self._made(account, call, reception, pages, entry.id)
        if document.notes:
            await self._keep_originals(account, entry, pages)
        try:
            return await self._deliver(entry, call, reception, document, message)
        except NotFoundError:  # purged while we rendered
            return await self._settlement.gone(entry)

    async def _keep_originals(
        self, account: Account, entry: SpoolEntry, pages: list[bytes]
    ) -> None:
        log.error("fax.kept-page-damaged", entry=entry.id)
        for number, page in enumerate(pages, start=1):
            await self._quarantine.put(account.id, f"fax-{entry.id}-page-{number}.tif", page)

    async def _deliver(
        self,
        entry: SpoolEntry,
        call: CallFacts,
        reception: ReceptionFacts,
        document: FaxDocument,
        message: bytes,
    ) -> Outcome:
        # What was confirmed was promised room; the promise outlives the reservation's row.
        incoming = self._incoming(call, document, message, entry.id, room=Room.PROMISED)
        detail = f"{document.pages} pages" + ("" if reception.complete else ", partial")
        line = history.line(call, TAKEN, seconds=reception.seconds, detail=detail)
        return await self._settlement.deliver(entry, incoming, line)

    def _incoming(
        self, call: CallFacts, document: FaxDocument, message: bytes, key: str, *, room: Room
    ) -> Incoming:
        return Incoming(
            account_id=call.account_id,
            kind=MessageKind.FAX,
            data=message,
            ingest_key=IngestKey(f"{key}:{call.account_id}"),
            internal_date=call.started_at,
            reservation_id=call.reservation_id,
            room=room,
            flags=(KEYWORDS[MessageKind.FAX],),
            pages=document.pages,
        )

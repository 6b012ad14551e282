"""The fax of one process: what the telephony server and the composition root see of it."""

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from fax.call import FaxReception
from fax.child import FaxChild
from fax.deposit import FaxDeposits, Outcome
from fax.facts import KIND
from fax.ocr import FaxReader
from fax.pdf import PdfMaker
from fax.settings import FaxSettings
from um.core.account import Account
from um.core.ids import E164
from um.core.ports import Clock, Metrics, Quarantine, Spool, SpoolEntry, Store
from um.core.steps import Steps, no_steps
from um.service.delivery import Delivered, Delivery
from um.service.tasks import Tasks
from um.telephony.application import Call, CallApplication

__all__ = ["KIND", "FaxService", "FaxSettings", "Outcome"]


class FaxService:
    """Takes fax calls, delivers their pages, replays what a crash left.

    `start` before the first call; `retry_pending` every second or so; `close` before the loop ends.
    `deliver_document` and `recover` need no `start`.
    """

    def __init__(
        self,
        spool: Spool,
        delivery: Delivery,
        store: Store,
        quarantine: Quarantine,
        clock: Clock,
        settings: FaxSettings,
        metrics: Metrics | None = None,
        *,
        steps: Steps = no_steps,
    ) -> None:
        self.spool = spool
        self.delivery = delivery
        self.store = store
        self.clock = clock
        self.settings = settings
        self.steps = steps
        self.child = FaxChild(metrics=metrics)
        self._pdf = PdfMaker(
            paper=settings.paper,
            max_pages=settings.max_pages,
            workers=settings.pdf_workers,
            metrics=metrics,
        )
        self._reader = fax_reader(self._pdf, settings, metrics)
        self.deposits = FaxDeposits(
            delivery,
            store,
            quarantine,
            self._pdf,
            clock,
            settings,
            steps=steps,
            metrics=metrics,
            reader=self._reader,
        )
        self._tasks = Tasks("fax", metrics)

    def application(self, call: Call) -> CallApplication:
        """The `ApplicationFactory` of fax calls: takes the call and answers it by itself."""
        return FaxReception(self, call)

    async def start(self) -> None:
        """Start the child process and one PDF worker. Raises UnavailableError."""
        await asyncio.gather(self.child.start(), self._pdf.start())

    async def recover(self, entry: SpoolEntry) -> Outcome:
        """Deliver what a process that died left in its spool (facts["kind"] == "fax")."""
        return await self.deposits.finish(entry)

    async def retry_pending(self) -> int:
        """Try faxes that wait for the storage; returns how many wait still."""
        return await self.deposits.retry_pending()

    async def deliver_document(
        self,
        account: Account,
        data: bytes,
        *,
        number: E164,
        caller_number: str = "",
        caller_name: str = "",
        when: datetime | None = None,
    ) -> Delivered:
        """Deliver a TIFF or PDF file as a fax; see `FaxDeposits.deliver_document`."""
        return await self.deposits.deliver_document(
            account,
            data,
            number=number,
            caller_number=caller_number,
            caller_name=caller_name,
            when=when or self.clock.now(),
        )

    async def drain(self) -> None:
        """Wait until every call that has ended is settled."""
        await self._tasks.drain()

    async def close(self) -> None:
        """End the calls with what they have, deliver it, end the processes."""
        if self._reader:
            self._reader.close()
        await self.child.close()
        await self.drain()
        await self._pdf.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` as a task that is kept; one that fails is logged, its pages stay."""
        return self._tasks.spawn(work)


def fax_reader(
    pdf: PdfMaker, settings: FaxSettings, metrics: Metrics | None = None
) -> FaxReader | None:
    """What reads the text of faxes; None if nobody wants it."""
    if not settings.ocr:
        return None
    return FaxReader(
        pdf,
        language=settings.ocr_language,
        total_seconds=settings.ocr_seconds,
        metrics=metrics,
    )

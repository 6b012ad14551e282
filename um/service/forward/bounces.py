"""Mail that comes to an envelope sender of ours: a copy came back. It is noted and never answered.

Laws:
- Only the null sender writes to such an address (RFC 5321 §4.5.5), and only to one that names a row.
- What is no report, or reports a delay, changes nothing: it is taken and forgotten.
- The same report twice counts once.
"""

import asyncio

import structlog

from um.core.forwarding import FAILED, OutboxEntry, Purpose
from um.core.ids import OutboxId
from um.core.ports import Metrics, NoMetrics, Store
from um.mime.report import DeliveryReport, read_report
from um.service.forward.compose import bounced_row
from um.service.forward.failures import Failures
from um.service.forward.settings import ForwardSettings

log = structlog.get_logger(__name__)


class Bounces:
    """Finds the row that an address names, and notes what came back for it."""

    def __init__(
        self,
        store: Store,
        failures: Failures,
        settings: ForwardSettings,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._failures = failures
        self._settings = settings
        self._metrics = metrics or NoMetrics()

    def is_ours(self, address: str) -> bool:
        """Whether the address has the form of an envelope sender of ours."""
        return bounced_row(address, self._settings) is not None

    async def find(self, address: str) -> OutboxId | None:
        """The row that an envelope sender names; None if there is none (any more)."""
        row_id = bounced_row(address, self._settings)
        if row_id is None:
            return None
        row = await self._store.read("find-bounced", lambda tx: tx.outbox.get(row_id))
        return row.id if row is not None and row.purpose is not Purpose.WEBHOOK else None

    async def take(self, row_id: OutboxId, data: bytes) -> None:
        """Note a mail that came for the row. Raises UnavailableError: it shall come again then."""
        row = await self._store.read("bounced", lambda tx: tx.outbox.get(row_id))
        report = await asyncio.to_thread(read_report, data)
        log.info(
            "mail came back",
            row=row_id,
            action=report.action if report else None,
            status=report.status if report else None,
        )
        self._metrics.count("bounces")
        if row is None or report is None or not report.is_final_failure or row.state in FAILED:
            return
        await self._failures.bounced(row, _words(row, report), status=report.status)


def _words(row: OutboxEntry, report: DeliveryReport) -> str:
    return report.diagnostic or f"{report.status} ({row.target})"

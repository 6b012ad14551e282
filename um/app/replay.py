"""Delivers what dead processes left in their spools, at start and again from time to time.

Laws:
- An entry is handed to the application that opened it, by its fact `kind`; that application renders
  and delivers it as it would have, under the same ingest key, and discards it.
- What cannot be delivered now stays in the spool: the application tries it again, and what it
  raised over is handed to it again from here. Nothing is dropped here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from um.core.errors import UMError
from um.core.ports import Metrics, Spool, SpoolEntry

log = structlog.get_logger(__name__)
Recover = Callable[[SpoolEntry], Awaitable[object]]
INTERVAL_SECONDS = 60.0


class Replay:
    """The abandoned entries of this node, and who recovers them."""

    def __init__(self, spool: Spool, recoveries: Mapping[str, Recover], metrics: Metrics) -> None:
        self._spool = spool
        self._recoveries = recoveries
        self._metrics = metrics
        self._left: dict[str, SpoolEntry] = {}

    async def once(self) -> int:
        """Take over what was abandoned and try everything that is left; returns what still is."""
        try:
            self._left.update({entry.id: entry for entry in await self._spool.abandoned()})
        except (UMError, OSError) as error:
            log.warning("spool cannot be read", error=str(error))
        for entry in list(self._left.values()):
            if await self._recovered(entry):
                del self._left[entry.id]
        self._metrics.gauge("spool_entries_left", len(self._left))
        return len(self._left)

    async def forever(self) -> None:
        """Run `once` every minute, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.once()

    async def _recovered(self, entry: SpoolEntry) -> bool:
        kind = entry.facts.get("kind", "")
        recover = self._recoveries.get(kind)
        if recover is None:
            log.error("spool entry of unknown kind", entry=entry.id, kind=kind)
            return False
        try:
            await recover(entry)
        except UMError as error:
            log.warning("spool entry not delivered yet", entry=entry.id, error=error.code)
            return False
        except Exception:
            # One damaged entry must not keep the others from their owners.
            log.exception("spool entry not delivered", entry=entry.id)
            return False
        self._metrics.count("spool_entries_recovered")
        log.info("spool entry delivered", entry=entry.id, kind=kind)
        return True

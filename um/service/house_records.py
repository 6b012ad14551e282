"""What the house has written down: who did what, what was purged, who called, and the sums of all."""

from collections.abc import Collection, Sequence

from um.core.account import AuditRecord, PurgeRecord, Totals
from um.core.ids import AccountId
from um.core.ports import Store
from um.service.history import HistoryPage, page
from um.service.recipients import named_txn
from um.service.settings import AccountSettings


class HouseRecords:
    """Reads only."""

    def __init__(self, store: Store, settings: AccountSettings) -> None:
        self._store = store
        self._settings = settings

    async def audit(self, name: str) -> Sequence[AuditRecord]:
        """The audit log of an account, as it is kept. Raises NotFoundError."""
        return await self._store.read(
            "audit",
            lambda tx: tx.records.audit_of(named_txn(tx, name, self._settings.domain).id),
        )

    async def purges(self) -> Sequence[PurgeRecord]:
        """All purge records: what went, when, and how much."""
        return await self._store.read("purges", lambda tx: tx.records.purges())

    async def history(
        self,
        account_id: AccountId,
        *,
        limit: int,
        kinds: Collection[str] = (),
        after: str | None = None,
    ) -> HistoryPage:
        """The account's history of calls and mail, as `um.service.history.page`."""
        return await page(self._store, account_id, limit=limit, kinds=kinds, after=after)

    async def totals(self) -> Totals:
        """All accounts together."""
        return await self._store.read("totals", lambda tx: tx.accounts.totals())

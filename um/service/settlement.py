"""How what a call left in the spool comes to its end: the steps that voicemail and fax share.

Laws:
- An entry is discarded when its message has committed, or when there is nothing to deliver; what
  fails before that raises, and the entry is tried again (`um.service.attempts`).
- The history has one line a call, however often it is tried.
"""

import structlog

from um.core.account import Account, CallRecord
from um.core.errors import UMError
from um.core.ids import AccountId
from um.core.ports import SpoolEntry, Store
from um.core.steps import Steps
from um.service import history
from um.service.attempts import Outcome
from um.service.call_facts import CallFacts
from um.service.delivery import Delivered, Delivery, Incoming

log = structlog.get_logger(__name__)


class Settlement:
    """Over the write path and the history."""

    def __init__(self, delivery: Delivery, store: Store, steps: Steps) -> None:
        self._delivery = delivery
        self._store = store
        self._steps = steps

    async def account(self, account_id: AccountId) -> Account | None:
        """The account of an entry; None if it is gone."""
        return await self._store.read("spool-account", lambda tx: tx.accounts.get(account_id))

    async def deliver(self, entry: SpoolEntry, incoming: Incoming, line: CallRecord) -> Outcome:
        """Message, history, then the entry goes. Raises what a delivery raises."""
        await self._delivery.deliver(incoming)
        await history.note(self._store, line)
        self._steps("delivery.acknowledging")
        await entry.discard()
        return Outcome.DELIVERED

    async def miss(self, entry: SpoolEntry, facts: CallFacts, line: CallRecord) -> Outcome:
        """Nothing to deliver: history, the room is given back, then the entry goes."""
        await history.note(self._store, line)
        if facts.reservation_id is not None:
            await self._delivery.release(facts.reservation_id)
        await entry.discard()
        return Outcome.MISSED

    async def gone(self, entry: SpoolEntry) -> Outcome:
        """Its account is no more."""
        await entry.discard()
        return Outcome.GONE

    async def deliver_file(self, incoming: Incoming, line: CallRecord) -> Delivered:
        """A file by hand: message, then history. Raises what a delivery raises."""
        delivered = await self._delivery.deliver(incoming)
        try:
            await history.note(self._store, line)
        except UMError as error:  # the message is in: an error now would have it delivered again
            log.warning("delivery.not-in-history", account=line.account_id, error=error.code)
        return delivered

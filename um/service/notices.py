"""Notices to the owner when the mailbox fills up (product: Quota)."""

from collections.abc import Callable
from uuid import uuid4

import structlog

from um.core.account import Account, Usage
from um.core.errors import UMError
from um.core.events import QuotaCrossed
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.core.ports import Clock, Store, Transaction
from um.mime.build import NoticeFacts, notice_message
from um.service.delivery import Delivery, Incoming, Room

log = structlog.get_logger(__name__)

MIB = 1024 * 1024


class QuotaNotices:
    """Writes a notice into the mailbox that crossed a threshold.

    `um.app` subscribes `send` to `QuotaCrossed` and runs it as a task. A notice that is lost with
    the process is not made up for: IMAP and the portal show the quota at any time.
    """

    def __init__(
        self,
        store: Store,
        delivery: Delivery,
        clock: Clock,
        *,
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._clock = clock
        self._new_id = new_id

    async def send(self, event: QuotaCrossed) -> None:
        """Deliver the notice; storage trouble is logged, never raised."""
        now = self._clock.now()

        def account_txn(tx: Transaction) -> tuple[Account, Usage] | None:
            account = tx.accounts.get(event.account_id)
            return (account, tx.accounts.usage(account.id, now)) if account else None

        try:
            found = await self._store.read("quota-notice", account_txn)
            if found is not None:
                await self._deliver(*found, event.percent)
        except UMError as error:
            log.warning("no quota notice", account=event.account_id, reason=error.code)

    async def _deliver(self, account: Account, usage: Usage, percent: int) -> None:
        notice_id = self._new_id()
        facts = NoticeFacts(
            id=notice_id,
            domain=account.domain,
            recipient=account.name,
            at=self._clock.now(),
            subject=f"Your mailbox is {percent} % full",
            text=_text(usage),
            timezone=account.timezone,
            recipient_name=account.full_name,
        )
        await self._delivery.deliver(
            Incoming(
                account_id=account.id,
                kind=MessageKind.NOTICE,
                data=notice_message(facts),
                ingest_key=IngestKey(f"{notice_id}:{account.id}"),
                room=Room.NOTICE,
            )
        )


def _text(usage: Usage) -> str:
    used, limit = usage.used_octets / MIB, usage.limit_octets / MIB
    return (
        f"Your mailbox holds {used:.1f} MB of {limit:.0f} MB.\n"
        "\n"
        "When it is full, no new voice messages, faxes, invoices or other mail can come in.\n"
        "Messages that you delete for good make room: what lies in Trash counts as well.\n"
    )

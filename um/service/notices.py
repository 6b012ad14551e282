"""Notices to owners, in their language: how one is written, and that the mailbox fills up."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import uuid4

import structlog

from um.core.account import Account, Usage
from um.core.errors import UMError
from um.core.events import QuotaCrossed, QuotaRefused
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.core.ports import Clock, Store, Transaction
from um.mime.build import NoticeFacts, notice_message
from um.policy.quota import refusal_mark, refusal_to_tell
from um.service.delivery import Delivery, Incoming, Room
from um.service.notice_texts import (
    DECIMAL_POINTS,
    QUOTA,
    QUOTA_REFUSED,
    NoticeText,
    spoken_language,
)

log = structlog.get_logger(__name__)

MIB = 1024 * 1024


async def deliver_notice(
    delivery: Delivery,
    account: Account,
    texts: Mapping[str, NoticeText],
    values: Mapping[str, object],
    *,
    at: datetime,
    notice_id: str,
    outside: bool = True,
) -> None:
    """Put a notice into the owner's own mailbox. Raises what a delivery raises.

    Args:
        delivery: the write path; notices have 64 KiB beyond the quota.
        account: whose mailbox and language.
        texts: the notice by language.
        values: what its text takes.
        at: its date.
        notice_id: the same notice twice is one message.
        outside: a copy may go to the owner's confirmed addresses.
    """
    text = texts[spoken_language(account.language)]
    facts = NoticeFacts(
        id=notice_id,
        domain=account.domain,
        recipient=account.name,
        at=at,
        subject=text.subject.format(**values),
        text=text.text.format(**values),
        timezone=account.timezone,
        recipient_name=account.full_name,
    )
    await delivery.deliver(
        Incoming(
            account_id=account.id,
            kind=MessageKind.NOTICE,
            data=notice_message(facts),
            ingest_key=IngestKey(f"{notice_id}:{account.id}"),
            room=Room.NOTICE,
            outside=outside,
        )
    )


class QuotaNotices:
    """Writes a notice into the mailbox that crossed a threshold, or was too full for something.

    `um.app` subscribes `send` to `QuotaCrossed` and `refused` to `QuotaRefused` and runs them as
    tasks. A notice that is lost with the process is not made up for: IMAP, the phone and the portal
    show the quota at any time.
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
        """Deliver the notice of a threshold; storage trouble is logged, never raised."""
        now = self._clock.now()

        def account_txn(tx: Transaction) -> tuple[Account, Usage] | None:
            account = tx.accounts.get(event.account_id)
            return (account, tx.accounts.usage(account.id, now)) if account else None

        try:
            found = await self._store.read("quota-notice", account_txn)
            if found is not None:
                await self._deliver(*found, QUOTA, {"percent": event.percent}, now)
        except UMError as error:
            log.warning("no quota notice", account=event.account_id, reason=error.code)

    async def refused(self, event: QuotaRefused) -> None:
        """Deliver the notice that something was refused, unless the owner was told; raises nothing."""
        now = self._clock.now()
        mark = refusal_mark(event.account_id)

        def tell_txn(tx: Transaction) -> tuple[Account, Usage] | None:
            account = tx.accounts.lock(event.account_id)
            if account is None:
                return None
            usage = tx.accounts.usage(account.id, now)
            told = refusal_to_tell(tx.records.mark(mark) or "", usage, now)
            if told is None:
                return None
            tx.records.set_mark(mark, told)
            return account, usage

        try:
            found = await self._store.run("quota-refused", tell_txn)
            if found is not None:
                await self._deliver(*found, QUOTA_REFUSED, {}, now)
        except UMError as error:
            log.warning("no quota notice", account=event.account_id, reason=error.code)

    async def _deliver(
        self,
        account: Account,
        usage: Usage,
        texts: Mapping[str, NoticeText],
        more: Mapping[str, object],
        now: datetime,
    ) -> None:
        values = {**more, **_values(account, usage)}
        await deliver_notice(
            self._delivery, account, texts, values, at=now, notice_id=self._new_id()
        )


def _values(account: Account, usage: Usage) -> dict[str, str]:
    point = DECIMAL_POINTS[spoken_language(account.language)]
    return {
        "used": f"{usage.used_octets / MIB:.1f}".replace(".", point),
        "limit": f"{usage.limit_octets / MIB:.0f}",
    }

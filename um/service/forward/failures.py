"""What is done when a copy will not arrive: the owner is told, and its address counted or shut.

Laws:
- The notice is in the mailbox before the row is settled, under a key of the row's: once, whatever dies.
- Such a notice never leaves the house itself.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import structlog

from um.core.account import Account
from um.core.errors import UMError, UnavailableError
from um.core.forwarding import (
    FAILED,
    AddressState,
    AfterCopy,
    ForwardAddress,
    OutboxEntry,
    OutboxState,
    Purpose,
)
from um.core.message import TRASH
from um.core.ports import Clock, Metrics, NoMetrics, Store, Transaction
from um.mime.clean import clean_text
from um.mime.headers import decode_text, get
from um.policy.forwarding import GIVE_UP_AFTER, HARD_BOUNCES, blames_address, bounces_now
from um.service.delivery import Delivery
from um.service.homes import home_txn
from um.service.notice_texts import ADDRESS_DISABLED, COPY_GIVEN_UP, COPY_REFUSED, NoticeText
from um.service.notices import deliver_notice

log = structlog.get_logger(__name__)


class Failures:
    """Ends rows that failed for good."""

    def __init__(
        self,
        store: Store,
        delivery: Delivery,
        clock: Clock,
        *,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics or NoMetrics()

    async def refused(self, row: OutboxEntry, reason: str) -> None:
        """It will never be taken."""
        hard = blames_address(reason)
        await self._end(row, OutboxState.REFUSED, reason, COPY_REFUSED, hard=hard)

    async def given_up(self, row: OutboxEntry, reason: str) -> None:
        """It was tried long enough."""
        await self._end(row, OutboxState.GIVEN_UP, reason, COPY_GIVEN_UP, hard=False)

    async def bounced(self, row: OutboxEntry, reason: str, *, status: str) -> None:
        """It was taken and came back; a message that went to Trash for it returns from there."""
        hard = blames_address(status)
        await self._end(row, OutboxState.BOUNCED, reason, COPY_REFUSED, hard=hard)

    async def _end(
        self,
        row: OutboxEntry,
        state: OutboxState,
        reason: str,
        texts: Mapping[str, NoticeText],
        *,
        hard: bool,
    ) -> None:
        """Raises UnavailableError: then nothing is settled, and all of it may be done again."""
        now = self._clock.now()
        reason = clean_text(reason, 300)
        account, subject = await self._store.read("failed-copy", lambda tx: _about_txn(tx, row))
        if account is not None and row.purpose is Purpose.COPY:
            values = {
                "address": row.target,
                "subject": subject,
                "reason": reason,
                "days": GIVE_UP_AFTER.days,
            }
            await self._tell(account, texts, values, now, f"copy-{state}-{row.id}")

        def end_txn(tx: Transaction) -> ForwardAddress | None:
            tx.accounts.lock(row.account_id)  # failures are counted one after the other
            current = tx.outbox.get(row.id)
            if current is None or current.state in FAILED:
                return None
            tx.outbox.settle(row.id, state, now, error=reason)
            if state is OutboxState.BOUNCED:
                _bring_back_txn(tx, row, now)
            return _count_bounce_txn(tx, row, now) if hard else None

        shut = await self._store.run("end-copy", end_txn)
        self._metrics.count(f"outbox_{state.value.replace('-', '_')}")
        if row.purpose is Purpose.WEBHOOK:
            self._metrics.count(f"webhooks_{state.value.replace('-', '_')}")
        log.warning(
            "not arrived",
            account=row.account_id,
            row=row.id,
            purpose=str(row.purpose),
            state=str(state),
            reason=reason,
        )
        if shut is not None and account is not None:
            log.info("address disabled", account=row.account_id, address=shut.id)
            values = {"address": shut.address, "bounces": shut.bounces, "reason": reason}
            await self._tell(account, ADDRESS_DISABLED, values, now, f"disabled-{row.id}")

    async def _tell(
        self,
        account: Account,
        texts: Mapping[str, NoticeText],
        values: Mapping[str, object],
        now: datetime,
        notice_id: str,
    ) -> None:
        try:
            await deliver_notice(
                self._delivery,
                account,
                texts,
                values,
                at=now,
                notice_id=notice_id,
                outside=False,
            )
        except UnavailableError:
            raise
        except UMError as error:  # not even the room of notices is left, or the account is closed
            log.warning("no notice of a failed copy", account=account.id, reason=error.code)


def _about_txn(tx: Transaction, row: OutboxEntry) -> tuple[Account | None, str]:
    account = tx.accounts.get(row.account_id)
    contents = tx.messages.contents([row.content_id]) if row.content_id else {}
    content = contents.get(row.content_id) if row.content_id else None
    subject = decode_text(get(content.header, "Subject") or b"") if content else ""
    return account, clean_text(subject, 200) or "?"


def _count_bounce_txn(tx: Transaction, row: OutboxEntry, now: datetime) -> ForwardAddress | None:
    """Count one hard bounce of the row's address; returns the address if that has shut it."""
    address = tx.addresses.find(row.account_id, row.target)
    if address is None or address.state is not AddressState.CONFIRMED:
        return None
    counted = replace(address, bounces=bounces_now(address, now), bounced_at=now)
    if counted.bounces >= HARD_BOUNCES:
        counted = replace(counted, state=AddressState.DISABLED)
        tx.outbox.cancel(row.account_id, address.address, now)
    tx.addresses.save(counted)
    return counted if counted.state is AddressState.DISABLED else None


def _bring_back_txn(tx: Transaction, row: OutboxEntry, now: datetime) -> None:
    """Out of Trash again, if the copy's acceptance had put the message there."""
    trash = tx.mailboxes.by_name(row.account_id, TRASH)
    if row.after is not AfterCopy.TRASH or trash is None or row.content_id is None:
        return
    here = (each for each in tx.messages.entries(trash.id) if each.content_id == row.content_id)
    entry = next(here, None)
    home = home_txn(tx, row.account_id, entry.kind) if entry is not None else None
    if entry is not None and home is not None:
        tx.messages.move(trash.id, [entry.uid], home.id, now)

"""Sends what waits in the outbox, and notes how it ended.

Laws:
- A row is leased, rendered, handed over and settled; killed in between it is tried again, as the same
  mail with the same Message-ID. Only a hand-over whose answer was lost can so happen twice.
- What becomes of the message (read, Trash) is done in the transaction that settles its last copy.
- Whether a copy may still go is asked anew before each attempt: address, account, message.
- No failure of one row keeps the others from being sent.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog

from um.core.account import Account
from um.core.errors import (
    NotFoundError,
    RelayDeferredError,
    RelayRefusedError,
    UMError,
)
from um.core.forwarding import (
    AddressState,
    AfterCopy,
    ForwardAddress,
    OutboxEntry,
    OutboxState,
    OutgoingMail,
    Purpose,
)
from um.core.ids import AddressId
from um.core.message import SEEN, TRASH, Content, FlagOperation
from um.core.ports import (
    BlobStore,
    Clock,
    Metrics,
    NoMetrics,
    Relay,
    Store,
    Transaction,
    Webhooks,
)
from um.core.steps import Steps, no_steps
from um.policy.forwarding import after_copies, next_try
from um.policy.lifecycle import Answer, Door, answer
from um.service.forward.compose import Composer, Source
from um.service.forward.failures import Failures
from um.service.forward.plan import WEBHOOK_URL
from um.service.forward.rules import Webhook, webhook_of
from um.service.forward.signing import Signer, webhook_signature

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=15)
ATTEMPT_SECONDS = 600.0
"""The longest that one attempt may take: well within its lease."""
AT_ONCE = 4
"""Rows that one process tries at the same time: each may hold a fax of 20 MB."""
LOOK_AGAIN_SECONDS = 1.0
"""How soon a row that came while slow ones are being sent is looked for."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row with what it needs."""

    row: OutboxEntry
    account: Account
    content: Content | None = None
    address: ForwardAddress | None = None
    webhook: Webhook | None = field(default=None, repr=False)


class Sender:
    """Of one process; any number may run, in any processes."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        clock: Clock,
        relay: Relay,
        webhooks: Webhooks,
        composer: Composer,
        failures: Failures,
        signer: Signer,
        *,
        steps: Steps = no_steps,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._relay = relay
        self._webhooks = webhooks
        self._composer = composer
        self._failures = failures
        self._signer = signer
        self._steps = steps
        self._metrics = metrics or NoMetrics()
        self._busy = asyncio.Lock()
        self._closing = False

    async def release(self) -> None:
        """End the leases of a process that died; only when there can be no other than this one."""
        await self._store.run("release-outbox", lambda tx: tx.outbox.release())

    def close(self) -> None:
        """Begin nothing more; what is being handed over goes on to its end."""
        self._closing = True

    async def tick(self) -> int:
        """Try what is due until nothing is; returns how many attempts that were.

        Raises UnavailableError. Called while it runs it waits for its turn, so that what was
        written before the call is seen.
        """
        async with self._busy:
            running: set[asyncio.Task[None]] = set()
            try:
                tried = await self._try_all(running)
            finally:
                for task in running:
                    task.cancel()
            waiting = await self._store.read("count-outbox", lambda tx: tx.outbox.count_waiting())
            self._metrics.gauge("outbox_waiting", waiting)
            return tried

    async def _try_all(self, running: set[asyncio.Task[None]]) -> int:
        """Try rows until none is due, AT_ONCE side by side: a slow one holds up no other."""
        tried = 0
        while True:
            room = 0 if self._closing else AT_ONCE - len(running)
            rows = await self._lease(room) if room else []
            running |= {asyncio.create_task(self._attempt(row)) for row in rows}
            tried += len(rows)
            if not running:
                return tried
            done, _ = await asyncio.wait(
                running, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            running -= done
            for task in done:
                task.result()

    async def _lease(self, limit: int) -> list[OutboxEntry]:
        now = self._clock.now()
        lease = partial(_lease_txn, now=now, until=now + LEASE, limit=limit)
        # The look costs a reader only: most of the time nothing is due.
        if not await self._store.read("due-outbox", lambda tx: _is_due_txn(tx, now)):
            return []
        rows = await self._store.run("lease-outbox", lease)
        self._steps("outbox.leased")
        return rows

    async def _attempt(self, row: OutboxEntry) -> None:
        """Try one row and note the outcome. Raises nothing: in doubt the lease runs out."""
        started = self._clock.monotonic()
        try:
            await self._noted(row)
        except UMError as error:
            log.warning("outbox row left", row=row.id, reason=error.code)
        except Exception:
            log.exception("outbox row failed", row=row.id)
            await self._deferred_after_defect(row)
        self._metrics.observe("outbox_attempt_seconds", self._clock.monotonic() - started)

    async def _noted(self, row: OutboxEntry) -> None:
        waiting = await self._store.read("load-outbox", lambda tx: self._load_txn(tx, row))
        if waiting is None:
            await self._settle(row, OutboxState.CANCELLED)
            return
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                sent = await self._send(waiting)
        except (RelayDeferredError, TimeoutError) as error:
            reason = error.public if isinstance(error, UMError) else "The attempt took too long"
            await self._defer(row, reason)
        except RelayRefusedError as error:
            await self._failures.refused(row, error.public)
            self._steps("outbox.settled")
        else:
            await self._settle(row, OutboxState.DONE if sent else OutboxState.CANCELLED)

    async def _send(self, waiting: Waiting) -> bool:
        """Hand it over; False if there is nothing to hand over any more."""
        if waiting.row.purpose is Purpose.WEBHOOK:
            await self._post(waiting)
        else:
            mail = await self._mail(waiting)
            if mail is None:
                return False
            self._steps("outbox.rendered")
            await self._relay.send(mail)
        self._steps("outbox.accepted")
        return True

    async def _mail(self, waiting: Waiting) -> OutgoingMail | None:
        row, account = waiting.row, waiting.account
        if row.purpose is Purpose.CONFIRMATION:
            address = waiting.address
            return self._composer.confirmation(row, account, address) if address else None
        if row.purpose is Purpose.PASSWORD_RESET:
            return self._composer.password_reset(row, account)
        if waiting.content is None:
            return None
        try:
            data = await self._blobs.get(waiting.content.blob)
        except NotFoundError:  # expunged this instant, or a body is missing: the next try tells
            raise RelayDeferredError("The message's body is not there") from None
        source = Source(account, waiting.content, data)
        return await asyncio.to_thread(self._composer.copy, row, source)

    async def _post(self, waiting: Waiting) -> None:
        assert waiting.webhook is not None
        body = waiting.row.detail.encode()
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "x-um-event-id": waiting.row.id,
            "x-um-signature": webhook_signature(waiting.webhook.secret, timestamp, body),
        }
        self._steps("outbox.rendered")
        await self._webhooks.post(waiting.webhook.url, body, headers)

    async def _defer(self, row: OutboxEntry, reason: str) -> None:
        now = self._clock.now()
        again = next_try(row.attempts + 1, row.created_at, now)
        if again is None:
            await self._failures.given_up(row, reason)
            self._steps("outbox.settled")
            return
        log.info("outbox row deferred", row=row.id, attempts=row.attempts + 1, reason=reason)
        self._metrics.count("outbox_deferred")
        await self._store.run(
            "retry-outbox", lambda tx: tx.outbox.retry_at(row.id, again, error=reason[:300])
        )
        self._steps("outbox.settled")

    async def _deferred_after_defect(self, row: OutboxEntry) -> None:
        """A defect of ours must neither lose the row nor try it without a pause."""
        self._metrics.count("outbox_defects")
        try:
            await self._defer(row, "Internal error")
        except UMError as error:
            log.warning("outbox row left", row=row.id, reason=error.code)

    async def _settle(self, row: OutboxEntry, state: OutboxState) -> None:
        now = self._clock.now()

        def settle_txn(tx: Transaction) -> None:
            tx.accounts.lock(row.account_id)  # two copies of one message end one after the other
            current = tx.outbox.get(row.id)
            if current is None or current.state is not OutboxState.WAITING:
                return  # its bounce was quicker than its 250, or it was cancelled meanwhile
            tx.outbox.settle(row.id, state, now)
            if row.purpose is Purpose.COPY:
                _finish_message_txn(tx, row, now)

        await self._store.run("settle-outbox", settle_txn)
        self._metrics.count(f"outbox_{state}")
        self._steps("outbox.settled")

    def _load_txn(self, tx: Transaction, row: OutboxEntry) -> Waiting | None:
        """What the row needs now; None if there is no reason to send it any more."""
        account = tx.accounts.get(row.account_id)
        if account is None or not _may_leave(account):
            return None
        if row.purpose is Purpose.WEBHOOK:
            return self._webhook_txn(tx, row, account)
        if row.purpose is Purpose.PASSWORD_RESET:
            return _password_reset_txn(tx, row, account, self._clock.now())
        load = _copy_txn if row.purpose is Purpose.COPY else _confirmation_txn
        return load(tx, row, account)

    def _webhook_txn(self, tx: Transaction, row: OutboxEntry, account: Account) -> Waiting | None:
        chosen = tx.accounts.preferences(account.id)
        webhook = webhook_of(chosen, account.id, self._signer)
        if webhook is None or chosen.get(WEBHOOK_URL) != row.target:
            return None
        return Waiting(row, account, webhook=webhook)


def _is_due_txn(tx: Transaction, now: datetime) -> bool:
    first = tx.outbox.next_due()
    return first is not None and first <= now


def _lease_txn(tx: Transaction, *, now: datetime, until: datetime, limit: int) -> list[OutboxEntry]:
    return tx.outbox.lease(now, until, limit=limit)


def _copy_txn(tx: Transaction, row: OutboxEntry, account: Account) -> Waiting | None:
    address = tx.addresses.find(account.id, row.target)
    if row.content_id is None or address is None or address.state is not AddressState.CONFIRMED:
        return None
    content = tx.messages.contents([row.content_id]).get(row.content_id)
    return Waiting(row, account, content=content, address=address) if content else None


def _confirmation_txn(tx: Transaction, row: OutboxEntry, account: Account) -> Waiting | None:
    address = tx.addresses.get(AddressId(row.detail))
    return Waiting(row, account, address=address) if address else None


def _password_reset_txn(
    tx: Transaction, row: OutboxEntry, account: Account, now: datetime
) -> Waiting | None:
    address = tx.addresses.find(account.id, row.target)
    if address is None or address.state is not AddressState.CONFIRMED:
        return None
    return Waiting(row, account) if datetime.fromisoformat(row.detail) > now else None


def _finish_message_txn(tx: Transaction, row: OutboxEntry, now: datetime) -> None:
    """What the owner wants done with a message whose copies have all been taken."""
    if row.content_id is None or row.mailbox_id is None or row.uid is None:
        return
    copies = [each for each in tx.outbox.of_content(row.content_id) if each.purpose is Purpose.COPY]
    after = after_copies(copies)
    entry = tx.messages.entry(row.mailbox_id, row.uid)
    if entry is None or entry.content_id != row.content_id:
        return  # the owner has put it elsewhere, and so has looked after it
    if after is AfterCopy.SEEN:
        tx.messages.change_flags(row.mailbox_id, [row.uid], FlagOperation.ADD, [SEEN])
    trash = tx.mailboxes.by_name(row.account_id, TRASH)
    if after is AfterCopy.TRASH and trash is not None and trash.id != row.mailbox_id:
        moved = tx.messages.move(row.mailbox_id, [row.uid], trash.id, now)
        tx.messages.set_trashed(trash.id, [each.target_uid for each in moved], now)


def _may_leave(account: Account) -> bool:
    """A closed account's copies stay; what is suspended may be read, and so sent."""
    return answer(account.state, Door.PORTAL) in {Answer.ALLOWED, Answer.READ_ONLY}

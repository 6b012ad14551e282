"""Sends what waits in the outbox, and notes how it ended.

Laws:
- A row is leased, rendered, handed over and settled; killed in between it is tried again, as the same
  mail with the same Message-ID. Only a hand-over whose answer was lost can so happen twice.
- What becomes of the message (read, Trash) is done in the transaction that settles its last copy.
- Whether a copy may still go is asked anew before each attempt: address, account, message.
- No failure of one row keeps the others from being sent.
"""

import asyncio
from datetime import timedelta

import structlog

from um.core.errors import (
    NotFoundError,
    RelayDeferredError,
    RelayRefusedError,
    UMError,
)
from um.core.forwarding import (
    OutboxEntry,
    OutboxState,
    OutgoingMail,
    Purpose,
)
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
from um.policy.forwarding import next_try
from um.service.forward.compose import Composer, Source
from um.service.forward.failures import Failures
from um.service.forward.loading import Waiting, finish_message_txn, load_txn
from um.service.forward.signing import Signer, webhook_signature

log = structlog.get_logger(__name__)

LEASE = timedelta(minutes=15)
ATTEMPT_SECONDS = 600.0
"""The longest that one attempt may take: well within its lease."""
AT_ONCE = 4
"""Mails that one process tries at the same time, each of which may hold a fax of 20 MB, and webhooks.

Each in a lane of its own: a program that hangs holds up no mail, and a relay no event.
"""
LOOK_AGAIN_SECONDS = 1.0
"""How soon a row that came while slow ones are being sent is looked for."""


Lanes = dict[bool, set[asyncio.Task[None]]]
"""What is being tried: webhooks (True) and all the rest (False)."""


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
            lanes: Lanes = {False: set(), True: set()}
            try:
                tried = await self._try_all(lanes)
            finally:
                for task in set().union(*lanes.values()):
                    task.cancel()
            waiting = await self._store.read("count-outbox", lambda tx: tx.outbox.count_waiting())
            self._metrics.gauge("outbox_waiting", waiting)
            return tried

    async def _try_all(self, lanes: Lanes) -> int:
        """Try rows until none is due, AT_ONCE of a lane side by side: a slow one holds up no other."""
        tried = 0
        while True:
            for webhooks, running in lanes.items():
                room = 0 if self._closing else AT_ONCE - len(running)
                rows = await self._lease(room, webhooks=webhooks) if room else []
                running.update(asyncio.create_task(self._attempt(row)) for row in rows)
                tried += len(rows)
            every = set().union(*lanes.values())
            if not every:
                return tried
            done, _ = await asyncio.wait(
                every, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            for running in lanes.values():
                running.difference_update(done)
            for task in done:
                task.result()

    async def _lease(self, limit: int, *, webhooks: bool) -> list[OutboxEntry]:
        now = self._clock.now()

        def is_due_txn(tx: Transaction) -> bool:
            first = tx.outbox.next_due(webhooks=webhooks)
            return first is not None and first <= now

        def lease(tx: Transaction) -> list[OutboxEntry]:
            return tx.outbox.lease(now, now + LEASE, limit=limit, webhooks=webhooks)

        # The look costs a reader only: most of the time nothing is due.
        if not await self._store.read("due-outbox", is_due_txn):
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
        now = self._clock.now()
        waiting = await self._store.read(
            "load-outbox", lambda tx: load_txn(tx, row, self._signer, now)
        )
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
        if row.purpose is Purpose.WEBHOOK:
            self._metrics.count("webhooks_deferred")
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
                finish_message_txn(tx, row, now)

        await self._store.run("settle-outbox", settle_txn)
        self._metrics.count(f"outbox_{state}")
        if row.purpose is Purpose.WEBHOOK:
            self._metrics.count(f"webhooks_{state}")
        self._steps("outbox.settled")

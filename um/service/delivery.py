"""The one write path: every voice message, fax, invoice, mail and notice goes through `deliver`.

Laws:
- blob (durable) -> ONE transaction {ingest key, life cycle, quota, UID and MODSEQ, rows} -> return.
  When `deliver` returns, the message is durable; when it raises, nothing of it is there
  (an orphan blob at most, which the sweeper removes). Several messages of one sender are staged
  one by one and committed together, all or none.
- The same ingest key delivers once: the second call returns the first one's place.
- A reservation covers what it promised: its own message is never refused for quota, nor for a
  suspension or closure that came after the promise.
- What the owner's rules send outside is written in the same transaction (`um.service.forward`).
- A blob is deleted here only when it is certain that no row names it; in doubt it stays.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from um.core.account import Account, Usage
from um.core.errors import (
    AlreadyExistsError,
    NotFoundError,
    QuotaExceededError,
    TooLargeError,
    UMError,
    UnavailableError,
)
from um.core.events import Event, QuotaRefused
from um.core.ids import (
    AccountId,
    BlobKey,
    ContentId,
    ReservationId,
    blob_key,
)
from um.core.message import INBOX, Content, Mailbox, MessageKind
from um.core.ports import BlobStore, Clock, EventBus, Metrics, NoMetrics, Store, Transaction
from um.core.steps import Steps, no_steps
from um.mime.scan import Scanned, scan
from um.policy.lifecycle import DOOR_OF_KIND, Answer, Door, answer, refusal
from um.policy.quota import Room, crossed_percent, fits, refusal_is_over, refusal_mark
from um.policy.retention import ingest_dated
from um.service.forward.plan import Stored, write_outbox_txn
from um.service.history import mail_line
from um.service.homes import home_txn
from um.service.ingest import (
    Delivered,
    Incoming,
    Staged,
    duplicate_txn,
    earlier_txn,
    events_of,
    found_txn,
)
from um.service.mailbox_folders import named_txn
from um.service.unique import UniqueIds

__all__ = ["Delivered", "Delivery", "Incoming", "Room", "Staged"]

log = structlog.get_logger(__name__)

MAX_HEADER_OCTETS = 256 * 1024
"""The header of each message is in the index, where every list and search reads it."""
SCAN_INLINE_OCTETS = 256 * 1024
"""Larger messages are scanned in a thread, so that the loop never waits long for one."""


class Delivery:
    """The write path over the ports. One object serves a process."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        bus: EventBus,
        clock: Clock,
        *,
        new_id: Callable[[], str] | None = None,
        steps: Steps = no_steps,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._bus = bus
        self._clock = clock
        self._new_id = new_id or UniqueIds()
        self._steps = steps
        self._metrics = metrics or NoMetrics()

    async def deliver(self, incoming: Incoming) -> Delivered:
        """Store the message durably, once.

        Raises:
            NotFoundError: no such account or mailbox.
            AccountSuspendedError, AccountClosedError, ReadOnlyError: its state does not let it in.
            QuotaExceededError: no room.
            UnavailableError: nothing is known to be stored; try again with the same key.
        """
        started = self._clock.monotonic()
        [delivered] = await self.commit([await self.stage(incoming)])
        self._metrics.observe("delivery_seconds", self._clock.monotonic() - started)
        return delivered

    async def stage(self, incoming: Incoming) -> Staged:
        """Make the body durable: `commit` or `discard` is to follow within hours.

        Raises TooLargeError for a header that no mail has, UnavailableError.
        """
        scanned = await _scan(incoming.data)
        if len(scanned.header) > MAX_HEADER_OCTETS:
            raise TooLargeError("The header of the message is too large")
        self._steps("message.rendered")
        content = self._content(incoming, scanned)
        await self._blobs.put(content.blob, incoming.data)
        return Staged(replace(incoming, data=b""), content)

    async def commit(
        self, staged: Sequence[Staged], *, before: Callable[[Transaction], object] | None = None
    ) -> list[Delivered]:
        """Store all of these messages of one account, or none, and tell of them.

        `before` is done first in the same transaction. Raises as `deliver`; what was refused is
        discarded.
        """
        delivered = await self._commit(staged, before)
        events: list[Event] = []
        for each, place in zip(staged, delivered, strict=True):
            if place.duplicate:
                # The key is bound to another content, so that ours can never be named.
                self._metrics.count("delivery_duplicates")
                await self._drop([each.content.blob])
                continue
            self._metrics.count(f"delivered_{each.incoming.kind}")
            events += events_of(each, place)
        self._bus.publish(events)
        return delivered

    async def discard(self, staged: Sequence[Staged]) -> None:
        """Take back what was staged and never committed."""
        await self._drop([each.content.blob for each in staged])

    async def may_take(
        self, account_id: AccountId, kind: MessageKind, *, size_octets: int = 1
    ) -> None:
        """Return if a message of that kind and size could be delivered now, else raise why not.

        A look ahead for RCPT TO, INVITE and APPEND; only `deliver` and `reserve` decide.
        """
        now = self._clock.now()

        def may_take_txn(tx: Transaction) -> None:
            account = _known(tx.accounts.get(account_id))
            _check_door(account, DOOR_OF_KIND[kind])
            if not fits(size_octets, tx.accounts.usage(account_id, now)):
                raise QuotaExceededError

        with self._telling_refusals(account_id):
            await self._store.read("may-take", may_take_txn)

    async def reserve(self, account_id: AccountId, octets: int, *, seconds: float) -> ReservationId:
        """Promise room to a recording or fax that begins now, for at most `seconds`.

        Raises QuotaExceededError, or as `deliver` what the account's state says to a call.
        """
        now = self._clock.now()

        def reserve_txn(tx: Transaction) -> ReservationId:
            _check_door(_known(tx.accounts.lock(account_id)), Door.VOICE)
            if not fits(octets, tx.accounts.usage(account_id, now)):
                raise QuotaExceededError
            expires_at = now + timedelta(seconds=seconds)
            return tx.reservations.add(account_id, octets, expires_at=expires_at)

        with self._telling_refusals(account_id):
            return await self._store.run("reserve", reserve_txn)

    async def change_reservation(
        self,
        account_id: AccountId,
        reservation_id: ReservationId,
        octets: int,
        *,
        seconds: float,
    ) -> None:
        """Set a reservation to `octets`, for `seconds` from now (a fax before its next page).

        Raises QuotaExceededError when it would grow past the limit; it then stays as it was.
        Shrinking always succeeds.
        """
        now = self._clock.now()

        def change_reservation_txn(tx: Transaction) -> None:
            _known(tx.accounts.lock(account_id))
            before = tx.accounts.usage(account_id, now)
            tx.reservations.change(
                reservation_id, octets, expires_at=now + timedelta(seconds=seconds)
            )
            after = tx.accounts.usage(account_id, now)
            grows = after.reserved_octets > before.reserved_octets
            if grows and after.used_octets + after.reserved_octets > after.limit_octets:
                raise QuotaExceededError

        await self._store.run("change-reservation", change_reservation_txn)

    async def release(self, reservation_id: ReservationId) -> None:
        """Give the room back (nothing was recorded). Harmless when it is gone already."""
        await self._store.run("release", lambda tx: tx.reservations.release(reservation_id))

    async def _commit(
        self, staged: Sequence[Staged], before: Callable[[Transaction], object] | None
    ) -> list[Delivered]:
        first, now = staged[0].incoming, self._clock.now()

        def work(tx: Transaction) -> list[Delivered]:
            if before is not None:
                before(tx)
            return [self._deliver_txn(each.incoming, each.content, now, tx) for each in staged]

        try:
            if first.by_owner or first.room is Room.NOTICE:
                return await self._store.run("deliver", work)
            with self._telling_refusals(first.account_id):
                return await self._store.run("deliver", work)
        except AlreadyExistsError:
            # Another delivery of the same key won the race.
            duplicate = partial(duplicate_txn, [each.incoming for each in staged])
            return await self._store.run("deliver-duplicate", duplicate)
        except UnavailableError:
            # The commit may have happened although its answer never came.
            found = await self._store.read("deliver-check", partial(found_txn, staged))
            if found is None:
                raise
            return found
        except UMError as error:
            self._metrics.count(f"delivery_refused_{error.code.replace('-', '_')}")
            await self.discard(staged)
            raise

    def _deliver_txn(
        self, incoming: Incoming, content: Content, now: datetime, tx: Transaction
    ) -> Delivered:
        account = _known(tx.accounts.lock(incoming.account_id))
        before = tx.accounts.usage(account.id, now)
        own_octets = 0
        if incoming.reservation_id is not None:
            tx.reservations.release(incoming.reservation_id)
            after = tx.accounts.usage(account.id, now)
            own_octets = before.reserved_octets - after.reserved_octets
        if earlier := earlier_txn(incoming, tx):
            return earlier
        door = Door.IMAP if incoming.by_owner else DOOR_OF_KIND[incoming.kind]
        promised = own_octets > 0 or incoming.room is Room.PROMISED
        _check_door(account, door, promised=promised)
        if not fits(content.size_octets, before, room=incoming.room, own_octets=own_octets):
            raise QuotaExceededError
        mailbox = _mailbox_txn(tx, incoming)
        if mailbox is None:
            raise NotFoundError("There is no such mailbox")
        tx.messages.add_content(content)
        entry = tx.messages.add_entry(
            mailbox.id,
            content.id,
            flags=incoming.flags,
            internal_date=incoming.internal_date or now,
            saved_at=now,
        )
        tx.messages.remember_ingest(incoming.ingest_key, entry, ingest_dated(incoming.kind, now))
        if incoming.in_history:
            tx.records.add_call(mail_line(account.id, incoming.kind, content.header, at=now))
        used = before.used_octets
        crossed = crossed_percent(used, used + content.size_octets, before.limit_octets)
        rows = self._write_outbox(tx, incoming, Stored(account, content, entry, self._new_id, now))
        _forget_refusal(tx, account.id, before)
        return Delivered(
            mailbox.id,
            mailbox.uidvalidity,
            entry.uid,
            duplicate=False,
            crossed_percent=crossed,
            outbox_rows=rows,
        )

    def _write_outbox(self, tx: Transaction, incoming: Incoming, stored: Stored) -> int:
        wanted = incoming.outside and not incoming.by_owner
        rows = write_outbox_txn(tx, stored) if wanted else 0
        self._steps("outbox.written")
        return rows

    def _content(self, incoming: Incoming, scanned: Scanned) -> Content:
        unique = self._new_id()
        return Content(
            id=ContentId(unique),
            account_id=incoming.account_id,
            blob=blob_key(incoming.account_id, unique),
            kind=incoming.kind,
            size_octets=len(incoming.data),
            envelope=scanned.envelope,
            body=scanned.body,
            bodystructure=scanned.bodystructure,
            structure=scanned.structure,
            header=scanned.header,
            duration_seconds=incoming.duration_seconds,
            pages=incoming.pages,
        )

    @contextmanager
    def _telling_refusals(self, account_id: AccountId) -> Iterator[None]:
        """Let the owner hear of what was refused for want of room (`um.service.notices`)."""
        try:
            yield
        except QuotaExceededError:
            self._bus.publish([QuotaRefused(account_id)])
            raise

    async def _drop(self, blobs: Sequence[BlobKey]) -> None:
        """Delete blobs that no row names; if that fails the sweeper will do it."""
        try:
            await self._blobs.delete(blobs)
        except UMError:
            log.warning("orphan blobs left", blobs=blobs)


async def _scan(data: bytes) -> Scanned:
    if len(data) <= SCAN_INLINE_OCTETS:
        return scan(data)
    return await asyncio.to_thread(scan, data)


def _mailbox_txn(tx: Transaction, incoming: Incoming) -> Mailbox | None:
    """The folder that is named; of what comes into INBOX by itself, the one that its owner chose."""
    if incoming.by_owner or incoming.mailbox != INBOX:
        return named_txn(tx, incoming.account_id, incoming.mailbox)
    return home_txn(tx, incoming.account_id, incoming.kind)


def _forget_refusal(tx: Transaction, account_id: AccountId, before: Usage) -> None:
    """It had room again since the owner was told that something was refused: tell the next time."""
    if refusal_is_over(tx.records.mark(refusal_mark(account_id)) or "", before):
        tx.records.set_mark(refusal_mark(account_id), "")


def _known(account: Account | None) -> Account:
    if account is None:
        raise NotFoundError("There is no such account")
    return account


def _check_door(account: Account, door: Door, *, promised: bool = False) -> None:
    if promised and answer(account.state, door) is not Answer.UNKNOWN:
        return
    if error := refusal(account, door):
        raise error

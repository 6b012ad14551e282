"""Deleting bodies that no message has any more: discarded ones, and what crashes leave behind.

Laws:
- A discarded body goes first, its row after it, so that a kill in between is repaired by the next.
- An orphan younger than 24 h is left alone: it may belong to a delivery whose transaction is to
  come. Only the orphans of an account that is gone, known by their keys, go at any age.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from um.core.ids import OWNER_DIGITS, AccountId, BlobKey, owner_digits
from um.core.ports import BlobStore, Store, Transaction
from um.policy.retention import ORPHAN_BLOB_AGE

BATCH = 500


async def delete_discarded(
    store: Store,
    blobs: BlobStore,
    *,
    of: Collection[AccountId] | None = None,
    before: datetime | None = None,
) -> int:
    """Delete the bodies of some accounts, or of all, discarded (before an instant); how many."""

    def discarded_txn(tx: Transaction) -> list[BlobKey]:
        return tx.messages.discarded(BATCH, of=of, before=before)

    deleted = 0
    while keys := await store.read("discarded", discarded_txn):
        await blobs.delete(keys)
        await store.run("forget-discarded", _forget(keys))
        deleted += len(keys)
    return deleted


async def sweep_orphans(
    store: Store, blobs: BlobStore, now: datetime, *, gone: Collection[AccountId] = ()
) -> int:
    """Delete the orphans that are old enough, and all those of `gone` accounts; returns how many."""
    owners = frozenset(owner_digits(account_id) for account_id in gone)
    await blobs.sweep_temporary(now - ORPHAN_BLOB_AGE, owners=owners)
    swept = 0
    suspects: list[BlobKey] = []
    async for key, _, written_at in blobs.scan():
        if written_at <= now - ORPHAN_BLOB_AGE or key[:OWNER_DIGITS] in owners:
            suspects.append(key)
        if len(suspects) >= BATCH:
            swept += await _delete_unknown(store, blobs, suspects)
            suspects = []
    return swept + await _delete_unknown(store, blobs, suspects)


async def _delete_unknown(store: Store, blobs: BlobStore, keys: list[BlobKey]) -> int:
    if not keys:
        return 0
    known = await store.read("known-blobs", lambda tx: tx.messages.known_blobs(keys))
    orphans = [key for key in keys if key not in known]
    if orphans:
        await blobs.delete(orphans)
    return len(orphans)


def _forget(keys: list[BlobKey]) -> Callable[[Transaction], None]:
    return lambda tx: tx.messages.forget_discarded(keys)

"""Sweeping blobs that no row names: what expunges, refused deliveries and crashes leave behind.

A blob younger than 24 h is left alone: it may belong to a delivery whose transaction is to come.
"""

from datetime import datetime

from um.core.ids import BlobKey
from um.core.ports import BlobStore, Store
from um.policy.retention import ORPHAN_BLOB_AGE

BATCH = 500


async def sweep_orphans(store: Store, blobs: BlobStore, now: datetime) -> int:
    """Delete the orphans that are old enough; returns how many."""
    swept = 0
    old: list[BlobKey] = []
    async for key, _, written_at in blobs.scan():
        if written_at <= now - ORPHAN_BLOB_AGE:
            old.append(key)
        if len(old) >= BATCH:
            swept += await _delete_unknown(store, blobs, old)
            old = []
    return swept + await _delete_unknown(store, blobs, old)


async def _delete_unknown(store: Store, blobs: BlobStore, keys: list[BlobKey]) -> int:
    if not keys:
        return 0
    known = await store.read("known-blobs", lambda tx: tx.messages.known_blobs(keys))
    orphans = [key for key in keys if key not in known]
    if orphans:
        await blobs.delete(orphans)
    return len(orphans)

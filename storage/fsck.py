"""`um fsck`: does the bookkeeping agree with what is there, and can it be mended.

Laws:
- A check changes nothing and may run beside the server; what a delivery in progress makes look
  wrong is looked at twice.
- A repair has the data folder (on PostgreSQL: the database) to itself and is one transaction.
- A message whose body is missing is an alarm for a person: no repair ever deletes its row.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from storage import fsck_statements as sql
from storage import locks
from storage.backend import Backend, database_url
from storage.postgres import LIVE_LOCK, PostgresBackend
from storage.revision import check_revision
from storage.sqlite import SqliteBackend
from storage.statement import Statement
from storage.unit import Unit
from um.core.errors import NotFoundError, UnavailableError
from um.core.ids import AccountId, BlobKey
from um.core.ports import BlobStore, Clock, Greetings
from um.core.steps import no_steps

ORPHAN_AGE = timedelta(hours=24)
"""A body without a row may belong to a delivery that has not committed yet."""
CHANGES_AGE = timedelta(days=7)
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree."""

    check: str
    """`octets-used`, `blob-missing` and so on: the names in CHECKS and of the blob checks."""
    subject: str
    """The id of the account, folder, message or body."""
    detail: str
    repairable: bool = True
    """False: an alarm; it stays until a person has seen to it."""
    repaired: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A query for what is wrong, (subject, detail...) a row, and the statements that mend it."""

    name: str
    find: Statement
    tell: str
    """The detail, with the row's further columns in its braces."""
    mend: tuple[Statement, ...] = ()


_DROP_CONTENTS = (sql.UNLINK_OUTBOX, sql.DISCARD_UNNAMED, sql.DROP_UNNAMED, sql.DROP_ALIVE)
"""Two contents may be found with one body: then it is not discarded with one of them."""

CHECKS = (
    Check("octets-used", sql.USED, "{} octets noted, {} stored", (sql.MEND_USED,)),
    Check("uidnext", sql.UIDNEXT, "UIDNEXT {}, but UID {} was given", (sql.MEND_UIDNEXT,)),
    Check("modseq", sql.MODSEQ, "HIGHESTMODSEQ {}, but {} was given", (sql.MEND_MODSEQ,)),
    Check("uidvalidity", sql.VALIDITY, "last is {}, but {} was given", (sql.MEND_VALIDITY,)),
    Check("entry-astray", sql.ASTRAY, "UID {} lies in no folder", (sql.DROP_ASTRAY,)),
    Check("vanished-astray", sql.STALE, "tombstone {} lies in no folder", (sql.DROP_STALE,)),
    Check("entry-without-content", sql.HOLLOW, "UID {} has no content"),
    Check("entry-size", sql.SIZES, "UID {} says {} octets, not {}", (sql.MEND_SIZES,)),
    Check("content-unnamed", sql.UNNAMED, "in no folder", _DROP_CONTENTS),
    Check("discarded-named", sql.ALIVE, "is still a message's", (sql.DROP_ALIVE,)),
    Check("reservation-expired", sql.EXPIRED, "{} octets", (sql.DROP_EXPIRED,)),
    Check("changes-old", sql.OLD, "{} rows are older than a week", (sql.DROP_OLD,)),
)
"""In this order: a lost entry is dropped before the octets are counted the second time."""


async def fsck(
    database: str | Path,
    blobs: BlobStore,
    *,
    clock: Clock,
    repair: bool = False,
    data_dir: Path | None = None,
    greetings: Greetings | None = None,
    progress: Callable[[str], None] = no_steps,
) -> list[Finding]:
    """Check the store, and with `repair` mend what can be.

    Args:
        database: as for `storage.database.open_store`.
        blobs: the bodies; those without a row for 24 h are deleted by a repair.
        clock: for the ages.
        repair: mend; the caller must not hold the data folder's lock itself.
        greetings: the recordings for callers; those of nobody are deleted by a repair.
        data_dir: whose lock a repair takes; for SQLite the folder of the file, if left out.
        progress: told the name of each check before it begins.

    Raises DataFolderBusyError (repair only), UnavailableError, WrongRevisionError.
    """
    url = database_url(database)
    backend: Backend
    if url.get_backend_name() == "sqlite":
        backend = SqliteBackend(url)
        data_dir = data_dir or backend.path.parent
    else:
        backend = PostgresBackend(url)
    try:
        with ExitStack() as stack:
            if repair and data_dir is not None:
                stack.enter_context(locks.hold(data_dir, exclusive=True))
            await asyncio.to_thread(check_revision, backend)
            inspection = _Inspection(backend, clock, repair=repair)
            found = await asyncio.to_thread(inspection.rows, progress)
            found += await _bodies(inspection, blobs, progress)
            if greetings is not None:
                found += await _greetings(inspection, greetings, progress)
            return found
    except backend.errors as error:
        raise UnavailableError("The database cannot be checked") from error


class _Inspection:
    """The database side, on a thread."""

    def __init__(self, backend: Backend, clock: Clock, *, repair: bool) -> None:
        self.repair = repair
        self.now = clock.now()
        self._backend = backend
        self._clock = clock

    def rows(self, progress: Callable[[str], None]) -> list[Finding]:
        """All checks within the database, twice where a repair of one may show another."""
        with self._unit(writes=self.repair) as unit:
            found = self._integrity(unit)
            for check in CHECKS:
                progress(check.name)
                found += self._check(unit, check)
            if self.repair:
                for check in CHECKS:
                    found += [each for each in self._check(unit, check) if each.repairable]
            return found

    def bodies(self) -> dict[BlobKey, tuple[str, int]]:
        """What should be there: body -> (content, octets)."""
        with self._unit(writes=False) as unit:
            return {blob: (content, size) for blob, content, size in unit.rows(sql.BODIES)}

    def named(self, keys: list[BlobKey]) -> set[BlobKey]:
        """Those of `keys` that a content names at this moment."""
        with self._unit(writes=False) as unit:
            return _among(unit, sql.NAMED, keys)

    def known(self, keys: list[BlobKey]) -> set[BlobKey]:
        """Those of `keys` that a content names, or that housekeeping is to delete."""
        with self._unit(writes=False) as unit:
            return _among(unit, sql.NAMED, keys) | _among(unit, sql.DISCARDED, keys)

    def accounts(self) -> set[AccountId]:
        """Every account there is."""
        with self._unit(writes=False) as unit:
            return {AccountId(name) for (name,) in unit.rows(sql.ACCOUNTS)}

    def _check(self, unit: Unit, check: Check) -> list[Finding]:
        ages: dict[str, datetime] = {"now": self.now, "before": self.now - CHANGES_AGE}
        rows = unit.rows(check.find, **ages)
        if rows and self.repair:
            for statement in check.mend:
                unit.do(statement, **ages)
        return [
            Finding(
                check.name,
                str(subject),
                check.tell.format(*rest),
                repairable=bool(check.mend),
                repaired=bool(check.mend) and self.repair,
            )
            for subject, *rest in rows
        ]

    def _integrity(self, unit: Unit) -> list[Finding]:
        """SQLite's own look at its file; PostgreSQL keeps checksums of its pages by itself."""
        if not isinstance(self._backend, SqliteBackend):
            return []
        lines = [str(line) for (line,) in unit.rows(sql.QUICK_CHECK)]
        return [
            Finding("database", "um.db", line, repairable=False) for line in lines if line != "ok"
        ]

    @contextmanager
    def _unit(self, *, writes: bool) -> Iterator[Unit]:
        """One transaction; committed if the block ends well."""
        connection = self._backend.connect(writes=writes)
        try:
            cursor: Any = connection.cursor()
            if writes and isinstance(self._backend, PostgresBackend):
                _be_alone(cursor)
            self._backend.begin(cursor, writes=writes)
            yield Unit(
                cursor, self._backend.dialect, clock=self._clock, steps=no_steps, writes=writes
            )
            self._backend.commit(cursor)
        finally:
            connection.close()  # rolls back what was not committed


def _among(unit: Unit, statement: Statement, keys: list[BlobKey]) -> set[BlobKey]:
    found: set[BlobKey] = set()
    for start in range(0, len(keys), _BATCH):
        rows = unit.rows(statement, blobs=keys[start : start + _BATCH])
        found |= {BlobKey(blob) for (blob,) in rows}
    return found


async def _bodies(
    inspection: _Inspection, blobs: BlobStore, progress: Callable[[str], None]
) -> list[Finding]:
    progress("bodies")
    expected = await asyncio.to_thread(inspection.bodies)
    present: dict[BlobKey, int] = {}
    strangers: dict[BlobKey, int] = {}
    async for key, size, written_at in blobs.scan():
        if key in expected:
            present[key] = size
        elif written_at < inspection.now - ORPHAN_AGE:
            strangers[key] = size
    found = await _missing(inspection, blobs, expected, present)
    found += await _orphans(inspection, blobs, strangers)
    if inspection.repair:
        await blobs.sweep_temporary(inspection.now - ORPHAN_AGE)
    return found


async def _missing(
    inspection: _Inspection,
    blobs: BlobStore,
    expected: dict[BlobKey, tuple[str, int]],
    present: dict[BlobKey, int],
) -> list[Finding]:
    absent = [key for key in expected if key not in present and not await _is_there(blobs, key)]
    # A message that was expunged while the bodies were scanned misses nothing.
    absent = sorted(await asyncio.to_thread(inspection.named, absent))
    found = [
        Finding("blob-missing", expected[key][0], f"its body {key} is gone", repairable=False)
        for key in absent
    ]
    for key, size in present.items():
        content, wanted = expected[key]
        if size != wanted:
            detail = f"its body {key} has {size} octets, not {wanted}"
            found.append(Finding("blob-size", content, detail, repairable=False))
    return found


async def _orphans(
    inspection: _Inspection, blobs: BlobStore, strangers: dict[BlobKey, int]
) -> list[Finding]:
    known = await asyncio.to_thread(inspection.known, list(strangers))
    found = [
        Finding("blob-orphan", key, f"{size} octets that no message names")
        for key, size in strangers.items()
        if key not in known
    ]
    if inspection.repair:
        await blobs.delete([BlobKey(finding.subject) for finding in found])
        found = [replace(finding, repaired=True) for finding in found]
    return found


async def _greetings(
    inspection: _Inspection, greetings: Greetings, progress: Callable[[str], None]
) -> list[Finding]:
    """Recordings of accounts that are gone: a call in progress outlived its account's purge."""
    progress("greetings")
    kept = await greetings.accounts()
    strays = sorted(kept - await asyncio.to_thread(inspection.accounts))
    if inspection.repair:
        for account_id in strays:
            await greetings.delete_of(account_id)
    return [
        Finding("greeting-astray", each, "its account is gone", repaired=inspection.repair)
        for each in strays
    ]


async def _is_there(blobs: BlobStore, key: BlobKey) -> bool:
    try:
        await blobs.get(key, 0, 0)
    except NotFoundError:
        return False
    return True


def _be_alone(cursor: Any) -> None:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", (LIVE_LOCK,))
    if not cursor.fetchall()[0][0]:
        raise locks.DataFolderBusyError("Other um processes use the database: stop them first")

"""Lets nothing of what was deleted stay readable in an SQLite file, beside those who write to it.

    python -m storage.scrub PATH BUSY_SECONDS

Laws:
- It is a process of its own: whoever closes a file drops all locks that its process has on it
  (POSIX), SQLite's too. One run at a time (flock).
- Octets that belong to nobody are zeroed in the file itself, only while this process holds the write
  lock and all of the log has been copied into the file: then whoever begins to read or to write takes
  what is in the file. Killed anywhere, it has changed nothing that anybody reads.
- The lock is held for SLICE_PAGES (some 20 ms), and then given to others. Each slice ends with a commit,
  so that no connection goes on with pages that it had kept.
- What others do in between takes stale octets along (a page that is split or moved is copied as it
  is). So a read transaction of ours is open all the while: what others add to the log stays there until we
  have seen it, and if a page that waits is among those that were changed, all of these wait too.
- Ends with 0; with TRY_AGAIN while readers keep the log from being copied; with UNKNOWN_LAYOUT for
  a file that wants another way.
"""

import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from storage.stale import HEADER_OCTETS, Layout, Span, UnknownLayoutError, free_leaves, logged_pages
from um.clock import SystemClock
from um.core.ports import Clock

TRY_AGAIN = 3
UNKNOWN_LAYOUT = 4
SLICE_PAGES = 500
PAUSE_SECONDS = 0.02
LOCK_PAUSE_SECONDS = 0.001
PAGES_A_READ = 256
DRAIN_SECONDS = 0.1
"""How long the lock is held for readers to end that began before it: those who begin now do no harm."""
OTHER_RUN_SECONDS = 300.0
"""How long we wait for another run: 100,000 accounts take one some 5 s."""
MORE_SLICES = 200
"""How many slices may be needed besides those for the pages found first, before we give up."""


class LogInUseError(Exception):
    """A reader or a writer kept the log from being copied, or writers were quicker for too long."""


class Scrubber:
    """One run over one file."""

    def __init__(self, path: Path, *, busy_seconds: float, clock: Clock) -> None:
        path = path.resolve()  # as SQLite does: the log lies beside the file that is meant
        self._log_path = Path(f"{path}-wal")
        self._busy_seconds = busy_seconds
        self._clock = clock
        self._writer = sqlite3.connect(path, timeout=0, isolation_level=None)  # we do the waiting
        self._reader = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
        self._file = os.open(path, os.O_RDWR)
        self._seen = (b"", 0)  # the log's salts, and how many frames of it are known

    def run(self) -> int:
        """Do it; returns how many pages were cleaned. Raises LogInUseError, UnknownLayoutError."""
        self._wait_for_other_runs()
        # Most of the log goes without the lock.
        self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        with self._alone():
            pass
        # Until the next slice the file stays as it is: to copy the log into it, our own read
        # transaction would have to end.
        waiting = set(self._suspects())
        cleaned, slices_left = 0, len(waiting) // SLICE_PAGES + MORE_SLICES
        while waiting:
            if not (slices_left := slices_left - 1):
                raise LogInUseError
            with self._alone() as changed:
                began = self._clock.monotonic()
                cleaned += self._slice(waiting, changed)
            os.fsync(self._file)
            time.sleep(max(PAUSE_SECONDS, self._clock.monotonic() - began))
        self._reader.execute("COMMIT")
        self._empty_log()
        return cleaned

    def close(self) -> None:
        """First the connections: their locks end with the file that is closed."""
        self._reader.close()
        self._writer.close()
        os.close(self._file)

    def _wait_for_other_runs(self) -> None:
        for _ in self._tries(OTHER_RUN_SECONDS, PAUSE_SECONDS):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            return

    def _tries(self, seconds: float, pause_seconds: float) -> Iterator[float]:
        """One try after another, one at least, for so many seconds; then LogInUseError.

        Gives the seconds that are left.
        """
        until = self._clock.monotonic() + seconds
        while True:
            yield max(0.0, until - self._clock.monotonic())
            if self._clock.monotonic() > until:
                raise LogInUseError
            time.sleep(pause_seconds)

    def _lock(self, seconds: float) -> None:
        """Take the write lock. SQLite's own waiting, at last ten times a second, can miss every chance."""
        for _ in self._tries(seconds, LOCK_PAUSE_SECONDS):
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            else:
                return

    @contextmanager
    def _alone(self) -> Iterator[set[int]]:
        """Hold the write lock while the file is all there is. Raises LogInUseError.

        Gives the pages that were changed since the last time.
        """
        changed: set[int] = set()
        for left_seconds in self._tries(self._busy_seconds, PAUSE_SECONDS):
            self._lock(left_seconds)
            try:
                if not self._copy_log(changed):
                    continue
                yield changed
                # A write of nothing: the other connections see that something happened, and forget
                # the pages that they had kept.
                (version,) = self._writer.execute("PRAGMA user_version").fetchone()
                self._writer.execute(f"PRAGMA user_version={version}")
                self._writer.execute("COMMIT")
                return
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def _copy_log(self, changed: set[int]) -> bool:
        """Copy the log into the file, under the write lock, and add the pages that it got to `changed`.

        False if somebody goes on reading what was before. Either way our reader begins anew before anybody
        else may write: with all copied nobody can copy more while it reads, and otherwise nobody can
        start the log anew; so the next look misses nothing.
        """
        salts, pages = self._read_log()
        changed.update(pages)
        if self._reader.in_transaction:
            self._reader.execute("COMMIT")
        for _ in range(1 + round(min(DRAIN_SECONDS, self._busy_seconds) / LOCK_PAUSE_SECONDS)):
            told = self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            (busy, frames, copied), *_ = told
            if is_copied := not busy and frames == copied:
                break
            time.sleep(LOCK_PAUSE_SECONDS)
        self._reader.execute("BEGIN")
        self._reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        if busy:  # another copies at this instant: how far is not told
            return False
        if frames < 0 or (frames and not salts):  # no log at all, or not the one that we read
            raise UnknownLayoutError
        self._seen = (salts, frames)
        return is_copied

    def _read_log(self) -> tuple[bytes, list[int]]:
        """The log's salts, and the pages of the frames that it got since it was looked at."""
        try:
            log = self._log_path.open("rb")
        except FileNotFoundError:
            return b"", []
        with log:
            return logged_pages(lambda at, octets: os.pread(log.fileno(), octets, at), self._seen)

    def _suspects(self) -> Iterator[int]:
        """Pages with stale room; the file must not change meanwhile."""
        layout = self._layout()
        free = free_leaves(layout, lambda number: self._page(layout, number))
        for first in range(1, layout.pages + 1, PAGES_A_READ):
            octets = os.pread(
                self._file, PAGES_A_READ * layout.page_octets, (first - 1) * layout.page_octets
            )
            for at in range(0, len(octets), layout.page_octets):
                number = first + at // layout.page_octets
                page = octets[at : at + layout.page_octets]
                if layout.is_ours(number) and layout.stale_spans(page, is_free=number in free):
                    yield number

    def _slice(self, waiting: set[int], changed: set[int]) -> int:
        """Clean some of the pages that wait, under the lock; returns how many needed it."""
        layout = self._layout()
        free = free_leaves(layout, lambda number: self._page(layout, number))

        def spans(number: int) -> list[Span]:
            if not layout.is_ours(number):
                return []
            return layout.stale_spans(self._page(layout, number), is_free=number in free)

        if not waiting.isdisjoint(changed):
            waiting |= {number for number in changed if spans(number)}
        first = list(islice(waiting & changed, SLICE_PAGES))
        rest = islice(waiting - changed, SLICE_PAGES - len(first))
        cleaned = 0
        for number in [*first, *rest]:
            waiting.discard(number)
            for start, end in (stale := spans(number)):
                os.pwrite(self._file, bytes(end - start), (number - 1) * layout.page_octets + start)
            cleaned += bool(stale)
        return cleaned

    def _empty_log(self) -> None:
        """Empty the log, durably. Raises LogInUseError if readers hold it for longer than is waited for.

        SQLite waits for readers, but gives up at once if another empties the log meanwhile.
        """
        self._writer.execute(f"PRAGMA busy_timeout={int(1000 * DRAIN_SECONDS)}")
        for _ in self._tries(self._busy_seconds, LOCK_PAUSE_SECONDS):
            (busy, *_), *_ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if not busy:
                break
        log = os.open(self._log_path, os.O_RDONLY)
        try:
            os.fsync(log)  # its old size, back after a power cut, would bring back what was in it
        finally:
            os.close(log)

    def _layout(self) -> Layout:
        header = os.pread(self._file, HEADER_OCTETS, 0)
        return Layout.of(header, os.fstat(self._file).st_size)

    def _page(self, layout: Layout, number: int) -> bytes:
        page = os.pread(self._file, layout.page_octets, (number - 1) * layout.page_octets)
        if number < 1 or len(page) < layout.page_octets:
            raise UnknownLayoutError
        return page


def main(path: str, busy_seconds: str) -> int:
    """The process's status."""
    scrubber = Scrubber(Path(path), busy_seconds=float(busy_seconds), clock=SystemClock())
    try:
        scrubber.run()
    except UnknownLayoutError:
        return UNKNOWN_LAYOUT
    except (LogInUseError, sqlite3.OperationalError):
        return TRY_AGAIN
    finally:
        scrubber.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Lets nothing of what was deleted stay readable in an SQLite file, beside those who write to it.

    python -m storage.scrub PATH BUSY_SECONDS

Laws:
- It is a process of its own: whoever closes a file drops all locks that its process has on it
  (POSIX), SQLite's too.
- Octets that belong to nobody are zeroed in the file itself, only while this process holds the write
  lock and the log is empty: then the file is all there is. Killed anywhere, it has changed nothing
  that anybody reads.
- The lock is held for SLICE_PAGES (some 20 ms), and then given to others. Each slice ends with a commit,
  so that no connection goes on with pages that it had kept.
- Ends with 0; with TRY_AGAIN while readers keep the log from being emptied; with UNKNOWN_LAYOUT for
  a file that wants another way.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from storage.stale import HEADER_OCTETS, Layout, UnknownLayoutError, free_leaves, stale_spans

TRY_AGAIN = 3
UNKNOWN_LAYOUT = 4
SLICE_PAGES = 500
PAUSE_SECONDS = 0.02
PAGES_A_READ = 256
TRIES = 200
"""How often in a row the log may be found in use again, before we give up."""


class LogInUseError(Exception):
    """A reader or a writer kept the log from being empty."""


class Scrubber:
    """One run over one file."""

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self._log = Path(f"{path}-wal")
        self._busy_seconds = busy_seconds
        self._connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
        self._file = os.open(path, os.O_RDWR)

    def run(self) -> int:
        """Do it; returns how many pages were cleaned. Raises LogInUseError, UnknownLayoutError."""
        self._empty_log()
        waiting = list(self._suspects())
        cleaned = 0
        while waiting:
            cleaned += self._slice([waiting.pop() for _ in range(min(SLICE_PAGES, len(waiting)))])
            os.fsync(self._file)
            time.sleep(PAUSE_SECONDS)
        self._empty_log()
        return cleaned

    def close(self) -> None:
        """First the connection: its locks end with the file that is closed."""
        self._connection.close()
        os.close(self._file)

    def _suspects(self) -> Iterator[int]:
        """Pages with stale room, read beside writers: what is true is seen again under the lock."""
        layout = self._layout()
        for first in range(1, layout.pages + 1, PAGES_A_READ):
            octets = os.pread(
                self._file, PAGES_A_READ * layout.page_octets, (first - 1) * layout.page_octets
            )
            for at in range(0, len(octets), layout.page_octets):
                number = first + at // layout.page_octets
                page = octets[at : at + layout.page_octets]
                if layout.is_ours(number) and _is_suspect(page, layout.usable_octets):
                    yield number
        for number in sorted(free_leaves(layout, lambda number: self._page(layout, number))):
            if any(self._page(layout, number)):
                yield number

    def _slice(self, numbers: list[int]) -> int:
        """Clean some pages; returns how many needed it."""
        self._lock_alone()
        try:
            layout = self._layout()
            free = free_leaves(layout, lambda number: self._page(layout, number))
            cleaned = sum(
                self._clean(layout, number, is_free=number in free)
                for number in numbers
                if layout.is_ours(number)
            )
            # A write of nothing: the other connections see that something happened, and forget
            # the pages that they had kept.
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            self._connection.execute(f"PRAGMA user_version={version}")
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return cleaned

    def _clean(self, layout: Layout, number: int, *, is_free: bool) -> int:
        page = self._page(layout, number)
        if is_free:
            spans = [(0, layout.page_octets)] if any(page) else []
        else:
            spans = stale_spans(page, layout.usable_octets)
        for start, end in spans:
            os.pwrite(self._file, bytes(end - start), (number - 1) * layout.page_octets + start)
        return bool(spans)

    def _lock_alone(self) -> None:
        """Hold the write lock over an empty log. Raises LogInUseError."""
        for _ in range(TRIES):
            self._empty_log()
            self._connection.execute("BEGIN IMMEDIATE")
            if self._log.stat().st_size == 0:
                return
            self._connection.execute("ROLLBACK")  # somebody was quicker
        raise LogInUseError

    def _empty_log(self) -> None:
        """Empty the log. Raises LogInUseError if readers hold it for longer than is waited for.

        SQLite would wait for readers by itself, but not for another that empties the log: two runs
        at once would each find the other. So all the waiting is done here.
        """
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            self._try_to_empty_log()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={int(self._busy_seconds * 1000)}")

    def _try_to_empty_log(self) -> None:
        for _ in range(1 + int(self._busy_seconds / PAUSE_SECONDS)):
            (busy, *_), *_ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if not busy:
                return
            time.sleep(PAUSE_SECONDS)
        raise LogInUseError

    def _layout(self) -> Layout:
        header = os.pread(self._file, HEADER_OCTETS, 0)
        return Layout.of(header, os.fstat(self._file).st_size)

    def _page(self, layout: Layout, number: int) -> bytes:
        page = os.pread(self._file, layout.page_octets, (number - 1) * layout.page_octets)
        if number < 1 or len(page) < layout.page_octets:
            raise UnknownLayoutError
        return page


def _is_suspect(page: bytes, usable_octets: int) -> bool:
    try:
        return bool(stale_spans(page, usable_octets))
    except UnknownLayoutError:  # perhaps it is being written this instant
        return True


def main(path: str, busy_seconds: str) -> int:
    """The process's status."""
    scrubber = Scrubber(Path(path), busy_seconds=float(busy_seconds))
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

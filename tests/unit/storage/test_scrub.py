"""What is deleted is gone from the file, and what lives is not touched, whoever writes meanwhile."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from storage import scrub
from storage.stale import HEADER_OCTETS, Layout, UnknownLayoutError, free_leaves, stale_spans
from um.clock import SystemClock

GONE = b"gone-for-good"


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    for pragma in ("journal_mode=WAL", "synchronous=OFF", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def filled(path: Path, seed: int = 1, rows: int = 3000) -> sqlite3.Connection:
    """A table with two indexes, grown in such an order that pages split and balance."""
    connection, drawn = opened(path), random.Random(seed)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT, body TEXT)")
    connection.execute("CREATE INDEX by_owner ON t (owner)")
    connection.execute("CREATE INDEX by_body ON t (body)")
    connection.execute("BEGIN")
    for _ in range(rows):
        whose = drawn.choice([GONE.decode(), "stays", "stays-too"])
        body = f"{drawn.random()} of {whose} " + "x" * drawn.choice([3, 80, 700, 6000])
        values = (drawn.randrange(1 << 40), f"{whose}-{drawn.random()}", body)
        connection.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", values)
    connection.execute("COMMIT")
    return connection


def forget(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM t WHERE owner LIKE ?", (f"{GONE.decode()}%",))


def octets(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))


def run(path: Path) -> int:
    command = [sys.executable, "-m", "storage.scrub", str(path), "5"]
    return subprocess.run(command, check=False).returncode


def everything(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return connection.execute("SELECT * FROM t ORDER BY id").fetchall()


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_was_deleted_is_left(tmp_path, seed):
    """Deleting alone leaves copies, which is why this is here; afterwards there is none, and all lives."""
    path = tmp_path / "a.db"
    connection = filled(path, seed)
    forget(connection)
    lives = everything(connection)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = octets(path)
    assert run(path) == 0
    assert GONE in before
    assert GONE not in octets(path)
    assert everything(connection) == lives
    assert everything(opened(path)) == lives


@pytest.mark.parametrize("seed", range(4))
def test_beside_writers_that_never_rest(tmp_path, seed):
    """Two connections write and read without a pause, and pages that wait are split and moved under its hands.

    Their rows are there, those that were deleted are nowhere.
    """
    path = tmp_path / "a.db"
    connection = filled(path, seed, rows=6000)
    forget(connection)
    kept = {row[0]: row for row in everything(connection)}
    done, wrote, misread = threading.Event(), [], []

    def write(number: int) -> None:
        mine, drawn = opened(path), random.Random(f"{seed} {number}")
        while not done.is_set():
            key = drawn.randrange(1 << 40)
            row = (key, f"written-{key}", "y" * drawn.choice([10, 300, 5000]))
            mine.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", row)
            wrote.append(row)
            read = mine.execute("SELECT * FROM t WHERE id = ?", (key,)).fetchall()
            misread.extend([] if read == [row] else [row])
        mine.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for each in threads:
        each.start()
    try:
        assert run(path) == 0
    finally:
        done.set()
        for each in threads:
            each.join()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert GONE not in octets(path)
    assert len(wrote) > 2
    assert misread == []
    wanted = kept | {row[0]: row for row in wrote}
    assert everything(opened(path)) == sorted(wanted.values())


@pytest.mark.parametrize("after", [1, 30, 200])
def test_killed_anywhere_it_has_changed_nothing(tmp_path, after):
    """After so many pages it dies as by a power cut; the next run finishes."""
    path = tmp_path / "a.db"
    connection = filled(path)
    forget(connection)
    lives = everything(connection)
    program = (
        "import os, signal, sys; from storage import scrub; pwrite, left = os.pwrite, [int(sys.argv[3])]\n"
        "def counted(*given):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return pwrite(*given)\n"
        "os.pwrite = counted; scrub.main(*sys.argv[1:3])"
    )
    command = [sys.executable, "-c", program, str(path), "5", str(after)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert everything(connection) == lives
    assert run(path) == 0
    assert GONE not in octets(path)
    assert everything(opened(path)) == lives


def test_a_reader_that_stays_is_told_of(tmp_path):
    """Its view needs the log: try again, and nothing is changed."""
    path = tmp_path / "a.db"
    connection = filled(path, rows=300)
    reader = opened(path)
    reader.execute("BEGIN")
    seen = reader.execute("SELECT * FROM t ORDER BY id").fetchall()
    forget(connection)
    command = [sys.executable, "-m", "storage.scrub", str(path), "0.05"]
    assert subprocess.run(command, check=False).returncode == scrub.TRY_AGAIN
    assert reader.execute("SELECT * FROM t ORDER BY id").fetchall() == seen
    reader.execute("COMMIT")
    assert run(path) == 0
    assert GONE not in octets(path)


def test_another_run_is_waited_for(tmp_path):
    """Longer than for readers: it is sure to end."""
    path = tmp_path / "a.db"
    connection = filled(path, rows=300)
    forget(connection)
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"locked\n"
    command = [sys.executable, "-m", "storage.scrub", str(path), "0.05"]
    with subprocess.Popen(command) as ours:
        with pytest.raises(subprocess.TimeoutExpired):
            ours.wait(1)
        other.communicate()
        assert ours.wait() == 0
    assert GONE not in octets(path)


_HOLD = (
    "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); "
    "print('locked', flush=True); sys.stdin.read()"
)


def test_a_file_of_another_layout_is_left_alone(tmp_path):
    """With pointer maps (`auto_vacuum`) a page could be taken for what it is not."""
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum=FULL")
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = path.read_bytes()
    assert run(path) == scrub.UNKNOWN_LAYOUT
    assert path.read_bytes() == before


def test_the_log_of_a_linked_file_is_found(tmp_path):
    """SQLite puts it beside the file that is meant; it tells what was changed meanwhile."""
    real = tmp_path / "real"
    real.mkdir()
    connection = filled(real / "a.db", rows=300)
    forget(connection)
    link = tmp_path / "a.db"
    link.symlink_to(real / "a.db")
    scrubber = scrub.Scrubber(link, busy_seconds=5, clock=SystemClock())
    try:
        scrubber.run()
        opened(link).execute("INSERT INTO t VALUES (1, 'a', 'b')")
        with scrubber._alone() as changed:
            assert changed
    finally:
        scrubber.close()
    assert GONE not in octets(real / "a.db")


def test_octets_reserved_in_each_page_are_another_layout():
    """An extension may keep a checksum there, of what is zeroed too."""
    header = bytearray(b"SQLite format 3\0".ljust(HEADER_OCTETS, b"\0"))
    header[16:18] = (512).to_bytes(2, "big")
    assert Layout.of(bytes(header), 1024).pages == 2
    header[20] = 8
    with pytest.raises(UnknownLayoutError):
        Layout.of(bytes(header), 1024)


@pytest.mark.parametrize("page", [b"\x0d" + bytes([0, 0, 255, 255, 0, 9]), b"\x05" + bytes(2)])
def test_a_page_that_contradicts_itself_is_not_touched(page):
    """More cells than room; a type whose content would begin before its own pointers."""
    page = page.ljust(512, b"\0")
    if page[0] == 5:
        page = page[:5] + (9).to_bytes(2, "big") + page[7:]
    with pytest.raises(UnknownLayoutError):
        stale_spans(page, 512)


@pytest.mark.parametrize("seed", range(20))
def test_any_octets_give_spans_within_the_page_or_one_error(seed):
    drawn = random.Random(seed)
    for _ in range(300):
        page = bytes([drawn.choice([2, 5, 10, 13, 0]), *drawn.randbytes(511)])
        if drawn.random() < 0.7:  # plausible more often than chance
            page = page[:1] + bytes([0, 0, 0, drawn.randrange(40)]) + page[5:]
        try:
            spans = stale_spans(page, 512)
        except UnknownLayoutError:
            continue
        assert all(8 <= start < end <= 512 for start, end in spans)


def test_a_freelist_that_turns_in_a_circle_is_an_error():
    layout = Layout(512, 10, 3)
    circle = (3).to_bytes(4, "big").ljust(512, b"\0")
    with pytest.raises(UnknownLayoutError):
        free_leaves(layout, lambda _: circle)
    with pytest.raises(UnknownLayoutError):
        Layout.of(bytes(HEADER_OCTETS), os.getpid())

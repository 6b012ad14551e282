"""When the database fails: refused for now, nothing half done, and well again afterwards."""

import asyncio
import select
import signal
import socket
import sqlite3
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from storage import sqlite
from storage.database import open_store
from storage.migrate import upgrade
from tests.support.clock import FakeClock
from tests.support.postgres import postgres
from tests.support.stores import on_database
from um.core.errors import UnavailableError
from um.core.events import AccountChanged

pytestmark = pytest.mark.slow


@pytest.fixture
def on_sqlite(tmp_path, sqlite_template):
    path = tmp_path / "um.db"
    path.write_bytes(sqlite_template.read_bytes())
    made = on_database(path)
    yield made
    made.close()


def test_a_locked_database_is_unavailable_for_now(on_sqlite, monkeypatch):
    """A writer that waited its time is refused; reads go on; later writes succeed."""
    house = on_sqlite
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    other = sqlite3.connect(house.url, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError):
        house.account()
    assert house.read(lambda tx: tx.accounts.every()) == []
    other.execute("ROLLBACK")
    other.close()
    account = house.account()
    assert house.read(lambda tx: tx.accounts.every()) == [account]


def test_a_full_database_is_unavailable_for_now(on_sqlite):
    """SQLITE_FULL rolls back; when there is room again the same connection goes on."""
    house = on_sqlite
    account = house.account()
    inbox = house.folder(account)

    def limit_txn(tx, pages):
        tx.accounts._unit._cursor.execute(f"PRAGMA max_page_count={pages}").fetchall()

    house.run(lambda tx: limit_txn(tx, 1))

    def fill():
        for _ in range(500):
            house.deliver(account, inbox, 1)

    with pytest.raises(UnavailableError):
        fill()
    stored = len(house.entries(inbox))
    assert house.used(account) == stored
    house.run(lambda tx: limit_txn(tx, 100_000))
    house.deliver(account, inbox, 1)
    assert house.used(account) == stored + 1


@pytest.mark.parametrize("code", ["SQLITE_IOERR_FSYNC", "SQLITE_CORRUPT"])
def test_a_connection_that_failed_is_opened_anew(on_sqlite, code):
    """IOERR and CORRUPT may pass: the connection is not used again, and the file is."""
    house = on_sqlite
    house.account("before")

    def failing_txn(tx):
        error = sqlite3.OperationalError("injected")
        error.sqlite_errorcode = getattr(sqlite3, code)
        raise error

    connections = set()

    def note_txn(tx):
        connections.add(id(tx.accounts._unit._cursor.connection))
        return tx.accounts._unit._cursor.connection

    first = house.run(note_txn)
    house.run(lambda tx: tx.records.set_mark("m", "1"))
    with pytest.raises(UnavailableError):
        house.run(failing_txn)
    assert house.run(note_txn) is not first
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")
    assert len(house.read(lambda tx: tx.accounts.every())) == 1


def test_nothing_of_a_deleted_account_is_left_in_the_files(on_sqlite):
    """After `compact` no octet of it is in the database or its log."""
    house = on_sqlite
    account = house.account("mallory-the-purged", full_name="Secret Name")
    stays = house.account("stays")
    inbox = house.folder(account)
    for _ in range(50):
        house.deliver(account, inbox, thread_id="thread-of-mallory")
    folder = Path(house.url).parent
    needles = (b"mallory", b"Secret Name", account.id.encode(), inbox.id.encode())
    before = b"".join(path.read_bytes() for path in folder.glob("um.db*"))
    assert all(needle in before for needle in needles)
    house.run(lambda tx: tx.accounts.delete(account.id))
    house.run(lambda tx: tx.messages.forget_discarded(tx.messages.discarded(50)))
    house.runner.run(house.store.compact())
    after = b"".join(path.read_bytes() for path in folder.glob("um.db*"))
    assert [needle for needle in needles if needle in after] == []
    assert stays.id.encode() in after
    house.deliver(stays, house.folder(stays))


def test_compacting_waits_for_readers_and_gives_up_in_time(on_sqlite, monkeypatch):
    """A reader that stays keeps the log from being emptied: said, not hidden."""
    house = on_sqlite
    house.account()
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    reader = sqlite3.connect(house.url, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM accounts").fetchall()
    house.run(lambda tx: tx.records.set_mark("m", "1"))
    # The writing thread's connection was opened with the long timeout before.
    house.run(lambda tx: tx.accounts._unit._cursor.execute("PRAGMA busy_timeout=50").fetchall())
    with pytest.raises(UnavailableError):
        house.runner.run(house.store.compact())
    reader.execute("ROLLBACK")
    reader.close()
    house.runner.run(house.store.compact())


def test_postgresql_is_compacted(request, persistent):
    """VACUUM FULL rewrites every table; the store goes on."""
    account = persistent.account("mallory")
    persistent.run(lambda tx: tx.accounts.delete(account.id))
    persistent.runner.run(persistent.store.compact())
    persistent.account("mallory")


@pytest.fixture(scope="module")
def fragile():
    """A PostgreSQL of its own, to be ill-treated."""
    with postgres(durable=True) as server:
        yield server


@pytest.fixture
def on_postgres(fragile):
    url = fragile.create()
    upgrade(url)
    made = on_database(url)
    made.server = fragile
    yield made
    made.close()


def cut(house):
    """End every backend of the product, as a failover or an administrator does."""
    house.server.administer(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'um'"
    )


def test_a_connection_that_died_idle_is_not_noticed(on_postgres):
    """Nothing was done on it: the transaction is run on a new one."""
    house = on_postgres
    account = house.account()
    cut(house)
    for _ in range(10):
        house.run(lambda tx: tx.accounts.set_preference(account.id, "k", "v"))
        assert house.read(lambda tx: tx.accounts.get(account.id)) == account


def test_the_follower_misses_nothing_while_it_is_cut_off(on_postgres):
    """A change that is committed while the LISTEN connection is down is told after it is back."""
    house = on_postgres
    account = house.account()
    house.run(lambda tx: tx.records.set_mark("x", "y"))
    other = on_database(house.url)
    house.events.clear()
    house.changed.clear()
    cut(house)
    other.run(lambda tx: tx.accounts.set_preference(account.id, "k", "v"))

    async def told():
        house.store.start_following()
        await asyncio.wait_for(house.changed.wait(), 30)

    house.runner.run(told())
    assert house.events == [AccountChanged(account.id)]
    other.close()


def test_a_server_that_is_down_is_unavailable_and_comes_back(on_postgres):
    """Every call is refused while it is down; the store needs no restart when it is back."""
    house = on_postgres
    account = house.account()
    house.server.stop(signal.SIGQUIT)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            house.read(lambda tx: tx.accounts.every())
        with pytest.raises(UnavailableError):
            house.run(lambda tx: tx.accounts.set_preference(account.id, "k", "v"))
    with pytest.raises(UnavailableError):
        open_store(house.url, publish=print, clock=FakeClock())
    house.server.start()
    house.run(lambda tx: tx.accounts.set_preference(account.id, "k", "v"))
    assert house.read(lambda tx: tx.accounts.preferences(account.id)) == {"k": "v"}


@contextmanager
def relay(server_folder, folder):
    """Passes a unix socket on, until a COMMIT goes by: its answer is never delivered."""
    path = folder / ".s.PGSQL.5432"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    armed = threading.Event()
    sockets = [listener]

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(str(server_folder / ".s.PGSQL.5432"))
            sockets.extend((client, upstream))
            threading.Thread(target=commits, args=(client, upstream), daemon=True).start()

    def commits(client, upstream):
        """One thread a connection, so that the answer to a COMMIT cannot slip by."""
        while True:
            ready, _, _ = select.select([client, upstream], [], [], 30)
            if not ready:
                break
            if client in ready:
                data = _receive(client)
                if not data:
                    break
                _send(upstream, data)
                if armed.is_set() and b"COMMIT" in data:
                    _receive(upstream)
                    break
            elif not (data := _receive(upstream)):
                break
            else:
                _send(client, data)
        _shut(client)
        _shut(upstream)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield armed
    finally:
        for each in sockets:
            _shut(each)


def _receive(connection):
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _send(connection, data):
    try:
        connection.sendall(data)
    except OSError:
        _shut(connection)


def _shut(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def test_a_commit_without_an_answer_is_no_success_and_not_repeated(on_postgres, tmp_path_factory):
    """The caller hears UnavailableError; its ingest key tells that the delivery was made, once."""
    house = on_postgres
    account = house.account()
    inbox = house.folder(account)
    folder = tmp_path_factory.mktemp("s")
    name = house.url.split("@/")[1].split("?")[0]
    with relay(house.server.folder, folder) as armed:
        far = on_database(f"postgresql+psycopg://um@/{name}?host={folder}")
        runs = []

        def deliver_txn(tx):
            runs.append(1)
            content = far.content(account, 10)
            tx.messages.add_content(content)
            entry = tx.messages.add_entry(
                inbox.id, content.id, flags=(), internal_date=far.now(), saved_at=far.now()
            )
            tx.messages.remember_ingest("key", entry, far.now())

        far.read(lambda tx: tx.accounts.every())
        armed.set()
        with pytest.raises(UnavailableError):
            far.run(deliver_txn, name="deliver")
        armed.clear()
        assert len(runs) == 1
        assert far.read(lambda tx: tx.messages.ingested("key")) == (inbox.id, 1)
        far.close()
    assert (len(house.entries(inbox)), house.used(account)) == (1, 10)


def test_a_failure_that_the_work_hid_is_no_success(on_postgres):
    """PostgreSQL answers ROLLBACK to the COMMIT of a failed transaction: that is an error."""

    def hiding_txn(tx):
        tx.records.set_mark("m", "1")
        with suppress(psycopg.Error):
            tx.accounts._unit._cursor.execute("SELECT 1/0")

    with pytest.raises(Exception, match="rolled back"):
        on_postgres.run(hiding_txn)
    assert on_postgres.read(lambda tx: tx.records.mark("m")) is None

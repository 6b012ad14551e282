"""A purge that is killed at each of its steps, run again, and what is left of the account: nothing."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from storage.blobs import FileBlobStore
from storage.database import open_store
from storage.exports import FileExports
from storage.greetings import FileGreetings
from storage.schema import metadata
from storage.spool import FileSpool
from tests.support.inbox import PASSWORD, check_books, connect, read_inbox, send_lmtp
from tests.support.server import Server
from um.clock import SystemClock
from um.core.account import CallRecord, GreetingKind
from um.core.credentials import AppPassword, LinkPurpose, OneTimeLink, WebSession
from um.core.ids import E164, AccountId, CredentialId, blob_key, owner_digits
from um.core.ports import Transaction
from um.core.steps import PURGE_STEPS

pytestmark = pytest.mark.slow
SECRET = "Zyxomma-petiolatum"
NUMBER = "+15551230009"
MAIL = b"From: Eve <eve@example.net>\r\nTo: eve@um.example.net\r\nSubject: %s\r\n\r\n%s\r\n"
INVOICE = (
    b"From: billing@example.net\r\nTo: eve@um.example.net\r\nSubject: "
    + SECRET.encode()
    + b"\r\n\r\n.\r\n"
)
OTHER = (
    b"From: Bob <bob@example.net>\r\nTo: anna@um.example.net\r\nSubject: kept\r\n\r\nneighbour\r\n"
)
LATER = "2027-03-01T00:00:00+00:00"
WORDS = (SECRET.encode(), b"eve@", b"Eve <", NUMBER.encode())


class DiedError(Exception):
    """The process would have been killed here."""


def traces(folder: Path, words: tuple[bytes, ...]) -> list[str]:
    """Files below `folder`, logs of the database included, that contain one of the words."""
    return [
        f"{file.relative_to(folder)}: {word!r}"
        for file in sorted(folder.rglob("*"))
        for word in words
        if file.is_file() and word in file.read_bytes()
    ]


def named_in_files(folder: Path, account_id: AccountId) -> list[str]:
    """Files and folders whose name or content, the database's apart, tells of the account."""
    digits = owner_digits(account_id)
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if digits in path.name
        or (path.is_file() and path.name != "um.db" and digits.encode() in path.read_bytes())
    ]


def named_in_tables(database: Path, account_id: AccountId) -> set[str]:
    """The tables that have a row with the account's id anywhere in it."""
    with closing(sqlite3.connect(database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            name
            for (name,) in tables.fetchall()
            for row in connection.execute(f"SELECT * FROM {name}")
            if account_id in repr(row)
        }


def id_of(database: Path, name: str) -> AccountId:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("SELECT id FROM accounts WHERE name = ?", (name,)).fetchone()
    return AccountId(found[0])


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with Eve in every place there is, closed, and Anna beside her."""
    server = Server(tmp_path_factory.mktemp("furnished"))
    server.start()
    server.add_account(
        "eve", password=PASSWORD, numbers=[f"{NUMBER}:voice"], extra=["--full-name", SECRET]
    )
    server.add_account("anna", password=PASSWORD)
    for number in range(3):
        body = (SECRET.encode() + b"\r\n") * (1 + 10_000 * number)
        assert send_lmtp(server, ["eve@um.example.net"], MAIL % (b"%d" % number, body)) == {}
    assert send_lmtp(server, ["anna@um.example.net"], OTHER) == {}
    session = connect(server, "eve")  # an expunged message leaves nothing either
    session.select("INBOX")
    session.store("1", "+FLAGS", "\\Deleted")
    session.expunge()
    session.logout()
    damaged = server.folder / f"{SECRET}.tif"
    damaged.write_bytes(b"II*\0" + SECRET.encode() * 50)
    server.um("deliver", "fax", "eve", str(damaged), check=False)
    server.um("forward", "address", "add", "eve", f"{SECRET}@example.org")
    server.um("forward", "webhook", "eve", f"https://crm.example.net/{SECRET}")
    assert send_lmtp(server, ["eve@um.example.net"], INVOICE) == {}
    assert len(server.um_json("forward", "queue")) == 2
    server.um("account", "close", "eve")
    server.stop()
    account_id = id_of(server.data_dir / "um.db", "eve")
    asyncio.run(die_delivering(server.data_dir / "blobs", account_id))
    asyncio.run(move_in(server.data_dir, account_id))
    return server.data_dir


async def move_in(folder: Path, account_id: AccountId) -> None:
    """Leave a row in every table that may have one of an account, and all that lies beside them.

    A greeting, a call cut off, an export that was finished and one that was not.
    """
    clock = SystemClock()
    now, later = clock.now(), clock.now() + timedelta(days=900)
    store = open_store(folder / "um.db", publish=lambda _: None, clock=clock)
    session = WebSession("5" * 64, account_id, now, now, SECRET, SECRET)
    password = AppPassword(CredentialId("6" * 32), account_id, SECRET, "6" * 64, now)
    link = OneTimeLink("7" * 64, account_id, LinkPurpose.RESET_PASSWORD, later)

    def move_in_txn(tx: Transaction) -> None:
        tx.credentials.add_session(session)
        tx.credentials.add_app_password(password)
        tx.credentials.add_link(link)
        tx.reservations.add(account_id, 1, expires_at=later)
        tx.records.add_call(CallRecord(account_id, now, "voice", E164(NUMBER), SECRET, 1.0))
        tx.lockouts.record_failure("imap:eve@um.example.net", now)
        tx.lockouts.record_failure(f"pin:{account_id}", now)
        tx.records.set_mark(f"lamp:{account_id}", SECRET)
        tx.accounts.set_preference(account_id, "retention.voice", SECRET)
        tx.numbers.add_alias("2001", E164(NUMBER))
        tx.annotations.put(account_id, None, {"/private/comment": SECRET.encode()})

    await store.run("move-in", move_in_txn)
    await store.close()
    await FileGreetings(folder / "greetings").put(account_id, GreetingKind.NAME, SECRET.encode())
    exports = FileExports(folder / "exports")
    await (await exports.open(account_id)).finish()
    await exports.open(account_id)
    spool = FileSpool(folder / "spool")
    entry = await spool.open({"account": account_id, "kind": "voice", "caller": SECRET})
    entry.append("audio.raw", SECRET.encode())
    await entry.sync()
    await spool.close()


def tables_of_accounts() -> set[str]:
    """Those that name accounts: what is added to the schema must be in this house, and must go."""
    return {table.name for table in metadata.sorted_tables if "account_id" in table.columns}


async def die_delivering(blobs: Path, account_id: AccountId) -> None:
    """Leave what deliveries leave that were killed before their transaction: half and whole."""

    def die(_: str) -> None:
        raise DiedError

    body = MAIL % (b"lost", SECRET.encode())
    await FileBlobStore(blobs).put(blob_key(account_id, uuid4().hex), body)
    with pytest.raises(DiedError):
        await FileBlobStore(blobs, steps=die).put(blob_key(account_id, uuid4().hex), body)


@pytest.mark.parametrize("step", PURGE_STEPS)
def test_kill_at_each_step_of_a_purge(step: str, furnished: Path, tmp_path: Path) -> None:
    """Killed and run again, nothing of the account is found anywhere; the neighbour keeps all."""
    server = Server(tmp_path)
    shutil.copytree(furnished, server.data_dir)
    account_id = id_of(server.data_dir / "um.db", "eve")
    assert {each.split("/")[0] for each in traces(server.data_dir, WORDS)} >= {
        "blobs",
        "greetings",
        "quarantine",
        "spool",
    }
    everywhere = tables_of_accounts() - {"purges"} | {"lockout_failures", "marks"}
    assert named_in_tables(server.data_dir / "um.db", account_id) >= everywhere
    named = named_in_files(server.data_dir, account_id)
    assert len(named) >= 6
    assert len([each for each in named if each.startswith("exports/")]) == 2

    killed = server.um("purge", "--at", LATER, check=False, environment={"UM_KILL_AT": step})
    assert killed.returncode == -9, killed.stderr
    server.um("purge", "--at", LATER)
    assert traces(server.data_dir, WORDS) == []
    assert named_in_files(server.data_dir, account_id) == []
    assert named_in_tables(server.data_dir / "um.db", account_id) == {"purges"}
    assert server.um_json("purge", "--dry-run", "--at", LATER) == []

    server.start()
    assert [account["name"] for account in server.um_json("account", "list")] == ["anna"]
    found = read_inbox(server, "anna")
    assert [each.message["Subject"] for each in found] == ["kept"]
    check_books(server, "anna", found)
    server.stop()
    server.um("fsck")


def test_a_closed_account_is_whole_until_its_day(tmp_path: Path) -> None:
    """A day early nothing goes; reopened, everything is in place."""
    with Server(tmp_path) as server:
        server.add_account("eve", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        assert send_lmtp(server, ["eve@um.example.net"], MAIL % (b"one", b"two")) == {}
        server.um("account", "close", "eve")
        purge_at = server.um_json("account", "show", "eve")["purge_at"]
        early = server.um("purge", "--at", purge_at.replace("2027", "2026"), "--json")
        assert early.stdout.strip() == "[]"
        server.um("account", "reopen", "eve")
        assert [each.message["Subject"] for each in read_inbox(server, "eve")] == ["one"]


def test_the_command_works_without_a_terminal(tmp_path: Path) -> None:
    """Nothing due: said in words, exit status 0, no progress bar in the output."""
    with Server(tmp_path) as server:
        done = server.um("purge", "--dry-run")
        assert "Nothing is due" in done.stdout
        assert "\x1b" not in done.stdout + done.stderr

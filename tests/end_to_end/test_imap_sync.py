"""Clients that keep copies, against a real server: imapclient, aioimaplib, mbsync."""

import asyncio
import ssl
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import aioimaplib
import imapclient
import pytest

from tests.support.imap_transcript import message
from tests.support.inbox import PASSWORD, connect, send_lmtp
from tests.support.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um")) as running:
        for name in ("alice", "bob", "carol"):
            running.add_account(name, password=PASSWORD)
        yield running


def deliver(server: Server, name: str, *numbers: int) -> None:
    for number in numbers:
        raw = message(f"Message {number}", number=number)
        assert send_lmtp(server, [f"{name}@um.example.net"], raw) == {}


def trusted(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    return context


def test_imapclient_asks_for_what_changed(server):
    """CONDSTORE: a mod-sequence kept from before is enough to learn what is new."""
    deliver(server, "alice", 1, 2, 3)
    where = server.address("imaps")
    with imapclient.IMAPClient(where.host, where.port, ssl_context=trusted(server)) as client:
        client.login("alice", PASSWORD)
        client.enable("CONDSTORE")
        before = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
        client.add_flags([2], [imapclient.FLAGGED])
        changed = client.fetch("1:*", ["FLAGS"], modifiers=[f"CHANGEDSINCE {before}"])
        assert list(changed) == [2]
        assert imapclient.FLAGGED in changed[2][b"FLAGS"]
        assert changed[2][b"MODSEQ"][0] > before
        assert client.search(["MODSEQ", str(before + 1)]) == [2]
        assert client.search(["YOUNGER", "3600", "UNFLAGGED"]) == [1, 3]
        assert client.sort("REVERSE SIZE SUBJECT") == [1, 2, 3]
        assert client.thread("REFERENCES") == ((1,), (2,), (3,))
        status = client.folder_status("INBOX", ["HIGHESTMODSEQ", "MESSAGES"])
        assert status == {b"HIGHESTMODSEQ": changed[2][b"MODSEQ"][0], b"MESSAGES": 3}


def test_aioimaplib_counts_without_a_list(server):
    """ESEARCH and QRESYNC: one line for many messages, and what went while one was away."""
    deliver(server, "bob", 1, 2, 3, 4)

    async def story() -> None:
        where = server.address("imaps")
        client = aioimaplib.IMAP4_SSL(
            where.host, where.port, timeout=60, ssl_context=trusted(server)
        )
        await client.wait_hello_from_server()
        await client.login("bob", PASSWORD)
        assert client.has_capability("QRESYNC")
        await client.enable("QRESYNC")
        await client.select("INBOX")
        found = await ask(client, "SEARCH", "RETURN (COUNT MIN) UNSEEN", told="ESEARCH")
        assert found[0].endswith(b" UID MIN 1 COUNT 4")
        await client.uid("store", "2:3", "+FLAGS.SILENT", "(\\Deleted)")
        await client.expunge()
        items = "1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"
        gone = await ask(client, "FETCH", items, told="VANISHED")
        assert gone[0] == b"(EARLIER) 2:3"
        await client.logout()

    asyncio.run(story())


async def ask(client: aioimaplib.IMAP4_SSL, name: str, rest: str, *, told: str) -> list[bytes]:
    """A UID command whose answer has a name that this client does not know by itself."""
    protocol = client.protocol
    command = aioimaplib.Command(
        name, protocol.new_tag(), rest, prefix="UID", untagged_resp_name=told
    )
    answer = await protocol.execute(command)
    assert answer.result == "OK"
    return answer.lines


def test_a_connection_is_compressed(tmp_path):
    """COMPRESS: commands and messages cross folded by zlib, and garbage ends the connection only."""
    with Server(tmp_path / "um", overrides={"imap": {"compress": True}}) as own:
        own.add_account("alice", password=PASSWORD)
        raw = message("Compressed", body="The same again.\r\n" * 5000)
        assert send_lmtp(own, ["alice@um.example.net"], raw) == {}
        client = connect(own, "alice")
        assert "COMPRESS=DEFLATE" in client.capability()[1][0].decode()
        client.send(b"x COMPRESS DEFLATE\r\n")
        assert client.readline() == b"x OK DEFLATE active\r\n"
        out = zlib.compressobj(9, zlib.DEFLATED, -15)
        into = zlib.decompressobj(-15)
        search = b'n SEARCH SUBJECT "' + b"x" * 8000 + b'"\r\n'
        commands = b"y SELECT INBOX\r\nz FETCH 1 BODY.PEEK[]\r\n" + b"".join([search] * 60)
        client.send(out.compress(commands) + out.flush(zlib.Z_SYNC_FLUSH))
        received, crossed = b"", 0
        while received.count(b"\r\nn OK ") < 60:
            piece = client.sock.recv(1 << 16)
            assert piece
            crossed += len(piece)
            received += into.decompress(piece)
        assert raw in received
        assert crossed < len(received) / 4
        client.send(b"\xff" * 100)
        while client.sock.recv(1 << 16):
            pass
        connect(own, "alice").logout()


MBSYNC = """
IMAPAccount um
Host {host}
Port {port}
User carol
Pass "{password}"
SSLType IMAPS
CertificateFile {certificate}

IMAPStore far
Account um

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel um
Far :far:
Near :near:
Patterns INBOX Trash
Create Both
Expunge Both
SyncState *
"""


def test_mbsync_keeps_both_sides_alike(server, tmp_path):
    """First sync, a new message, flags both ways, a deletion, and changes on both sides at once."""
    where = server.address("imaps")
    folder = tmp_path / "mail"
    folder.mkdir()
    rules = tmp_path / "mbsyncrc"
    rules.write_text(
        MBSYNC.format(
            host=where.host,
            port=where.port,
            password=PASSWORD,
            certificate=server.certificate,
            folder=folder,
        )
    )

    def sync() -> list[Path]:
        subprocess.run(
            ["mbsync", "-c", str(rules), "um"], check=True, timeout=120, capture_output=True
        )
        return sorted(path for path in (folder / "INBOX").glob("*/*") if path.is_file())

    deliver(server, "carol", 1, 2)
    assert len(sync()) == 2
    deliver(server, "carol", 3)
    assert len(sync()) == 3
    client = connect(server, "carol")
    client.select("INBOX")
    client.store("1", "+FLAGS", "\\Flagged")
    flagged = [path for path in sync() if "F" in path.name.rpartition(",")[2]]
    assert len(flagged) == 1
    assert b"Message 1" in flagged[0].read_bytes()
    # Here the first is read and the second deleted, there the third is deleted.
    second = next(path for path in sync() if b"Message 2" in path.read_bytes())
    second.unlink()
    flagged[0].rename(folder / "INBOX" / "cur" / (flagged[0].name + "S"))
    client.store("3", "+FLAGS", "\\Deleted")
    client.expunge()
    assert len(sync()) == 1
    client.noop()
    assert client.search(None, "ALL")[1] == [b"1"]
    line = client.fetch("1", "(UID FLAGS)")[1][-1]
    assert b"UID 1" in line
    assert b"\\Seen" in line
    assert b"\\Flagged" in line
    client.logout()

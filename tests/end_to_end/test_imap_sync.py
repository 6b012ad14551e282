"""Clients that keep copies, against a real server: what only imapclient, aioimaplib and zlib can ask."""

import asyncio
import imaplib
import ssl
import zlib
from collections.abc import Iterator

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
        for name in ("alice", "bob"):
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


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with other settings than the defaults."""
    imap = {"compress": True, "max_connections_per_address": 4, "max_connections_per_account": 2}
    with Server(tmp_path_factory.mktemp("narrow"), overrides={"imap": imap}) as running:
        for name in ("alice", "bob"):
            running.add_account(name, password=PASSWORD)
        yield running


def test_connections_are_counted_as_configured(narrow):
    """One too many of an account is refused, one too many of an address is not even listened to."""
    first, second, third = (connect(narrow, name) for name in ("alice", "alice", "bob"))
    where = narrow.address("imaps")
    fourth = imaplib.IMAP4_SSL(where.host, where.port, ssl_context=trusted(narrow), timeout=60)
    with pytest.raises(imaplib.IMAP4.error, match=r"\[LIMIT\] Too many connections of this"):
        fourth.login("alice", PASSWORD)
    with pytest.raises(imaplib.IMAP4.error, match="BYE Too many connections"):
        connect(narrow, "bob")
    first.logout()
    fourth.login("alice", PASSWORD)
    for client in (second, third, fourth):
        client.logout()


def test_a_connection_is_compressed(narrow):
    """COMPRESS: commands and messages cross folded by zlib, and garbage ends the connection only."""
    own = narrow
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

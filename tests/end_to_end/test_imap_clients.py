"""Real IMAP clients against a real server: imaplib, aioimaplib, and raw sockets over TLS."""

import asyncio
import imaplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.imap_transcript import message
from tests.support.inbox import PASSWORD, connect, send_lmtp
from tests.support.mail_program import MailProgram
from tests.support.server import Server

pytestmark = pytest.mark.slow
ALICE = "alice@um.example.net"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um")) as running:
        for name in ("alice", "bob", "dave", "erin"):
            running.add_account(name, password=PASSWORD)
        yield running


def trusted(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.certificate))
    context.check_hostname = False
    return context


def test_imaplib_does_a_days_work(server):
    """STARTTLS, APPEND, FETCH, STORE, SEARCH, COPY, EXPUNGE by the standard library's client."""
    where = server.address("imap")
    client = imaplib.IMAP4(where.host, where.port, timeout=60)
    assert "LOGINDISABLED" in client.capabilities
    with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
        client.login("alice", PASSWORD)
    client.starttls(trusted(server))
    assert "STARTTLS" not in client.capabilities
    client.login("alice", PASSWORD)
    raw = message("Größe", body="Grüße " * 50)
    when = imaplib.Time2Internaldate(datetime(2026, 2, 1, 10, tzinfo=UTC))
    assert client.append("INBOX", "(\\Flagged)", when, raw)[0] == "OK"
    assert client.select("INBOX") == ("OK", [b"1"])
    typ, data = client.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")
    assert (typ, data[0][1]) == ("OK", raw)
    assert b'" 1-Feb-2026 10:00:00 +0000"' in data[0][0]
    assert b"\\Flagged" in data[0][0]
    assert client.search("UTF-8", "TEXT", '"GRÜSSE"'.encode())[1] == [b"1"]
    assert client.uid("copy", "1", "Trash")[0] == "OK"
    client.store("1", "+FLAGS", "\\Deleted")
    assert client.expunge() == ("OK", [b"1"])
    assert client.getquotaroot("INBOX")[0] == "OK"
    client.create('"Meine Ablage"')
    assert any(b"Meine Ablage" in line for line in client.list()[1])
    assert client.logout()[0] == "BYE"


def test_aioimaplib_idles_and_is_told(server):
    """EXISTS reaches an idling client, and the message reads back as it was sent."""

    async def story() -> None:
        where = server.address("imaps")
        async with MailProgram(where.host, where.port, "bob", PASSWORD) as program:
            before = program.exists
            await program.idle()
            raw = message("While you idle", number=77)
            await asyncio.to_thread(send_lmtp, server, ["bob@um.example.net"], raw)
            assert await program.wait_for_more(before, timeout_seconds=30) == before + 1
            (mail,) = await program.read_all()
            assert mail.raw.endswith(raw)

    asyncio.run(story())


def test_what_was_sent_behind_starttls_is_forgotten(server):
    """Plaintext in the packet of STARTTLS is dropped, not run inside TLS (CVE-2011-0411)."""
    where = server.address("imap")
    with socket.create_connection((where.host, where.port), timeout=60) as plain:
        plain.recv(1000)
        plain.sendall(b"a STARTTLS\r\nb NOOP\r\n")
        assert plain.recv(1000) == b"a OK Begin TLS negotiation now\r\n"
        with trusted(server).wrap_socket(plain) as secure:
            secure.sendall(b"c NOOP\r\n")
            assert secure.recv(1000) == b"c OK NOOP completed\r\n"


def test_a_suspension_on_the_command_line_ends_an_idling_session(server):
    """Another process changes the account; the session hears of it within moments."""
    client = connect(server, "dave")
    client.select("INBOX")
    client.send(b"x IDLE\r\n")
    assert client.readline() == b"+ idling\r\n"
    server.um("account", "suspend", "dave")
    assert client.readline().startswith(b"* BYE ")
    again = connect(server, "dave")
    with pytest.raises(imaplib.IMAP4.readonly):
        again.select("INBOX")
    again.shutdown()


def _resident_octets(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.parametrize("service", ["imap", "imaps"])
def test_a_reader_that_stalls_costs_no_memory(server, tmp_path, service):
    """40 MB are asked for and not read: the server waits, others are served, nothing piles up."""
    overrides = {"imap": {"allow_plaintext_login": True}}
    with Server(tmp_path / "um", overrides=overrides) as own:
        own.add_account("alice", password=PASSWORD)
        client = connect(own, "alice")
        raw = message("Large", body=("x" * 70 + "\r\n") * 70_000)
        for _ in range(8):
            assert client.append("INBOX", None, None, raw)[0] == "OK"
        client.logout()
        where = own.address(service)
        stalled = socket.create_connection((where.host, where.port), timeout=60)
        if service == "imaps":
            stalled = trusted(own).wrap_socket(stalled)
        stalled.recv(1000)
        stalled.sendall(f'a LOGIN alice "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode())
        while b"b OK" not in stalled.recv(4000):
            pass
        before = _resident_octets(own.pid)
        stalled.sendall(b"c FETCH 1:* BODY.PEEK[]\r\n")
        other = connect(own, "alice")
        other.select("INBOX", readonly=True)
        for _ in range(50):
            assert other.noop()[0] == "OK"
        assert other.fetch("1:*", "(FLAGS)")[0] == "OK"
        assert _resident_octets(own.pid) - before < 12_000_000
        got = 0
        tail = b""
        while not tail.endswith(b"c OK FETCH completed\r\n"):
            piece = stalled.recv(1 << 16)
            got += len(piece)
            tail = (tail + piece)[-100:]
        assert got > 8 * len(raw)
        stalled.close()
        other.logout()


def test_a_connection_that_says_garbage_hurts_no_one(server):
    """Random octets end in BAD and BYE; the server goes on."""
    where = server.address("imap")
    for piece in (b"\x00" * 20_000, b"\r\n" * 100, b"a LOGIN {9999999+}\r\n", b"\x16\x03\x01" * 99):
        with socket.create_connection((where.host, where.port), timeout=60) as garbage:
            garbage.sendall(piece)
            garbage.shutdown(socket.SHUT_WR)
            while garbage.recv(4096):
                pass
    connect(server, "erin").logout()


def test_stopping_says_bye(tmp_path):
    """SIGTERM ends open sessions politely, and the server exits with 0."""
    with Server(tmp_path / "um") as own:
        own.add_account("alice", password=PASSWORD)
        client = connect(own, "alice")
        client.select("INBOX")
        client.send(b"x IDLE\r\n")
        assert client.readline() == b"+ idling\r\n"
        own.stop()
        assert client.readline() == b"* BYE Server is shutting down\r\n"
        own.start()

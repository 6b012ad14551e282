"""Clients that close their own side once they have said all: `printf … | nc -N`, over real sockets."""

import socket
import zlib
from collections.abc import Iterator

import pytest

from tests.support.inbox import PASSWORD, connect
from tests.support.server import Server

pytestmark = pytest.mark.slow

LOGIN = f'a LOGIN alice "{PASSWORD}"\r\n'.encode()
MAIL = b"Subject: large\r\n\r\n" + b"x" * 400_000 + b"\r\n"
BYE = b"* BYE You have nothing more to say\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    overrides = {"imap": {"allow_plaintext_login": True, "compress": True}}
    with Server(tmp_path_factory.mktemp("um"), overrides=overrides) as running:
        running.add_account("alice", password=PASSWORD)
        client = connect(running, "alice")
        for _ in range(20):
            client.append("INBOX", "", "", MAIL)
        client.create("Drop")
        client.logout()
        yield running


def said(server: Server, octets: bytes) -> socket.socket:
    """A connection on which all is said."""
    where = server.address("imap")
    client = socket.create_connection((where.host, where.port), timeout=60)
    client.sendall(octets)
    client.shutdown(socket.SHUT_WR)
    return client


def heard(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    got = b""
    with client:
        while data := client.recv(65536):
            got += data
    return got


def test_everything_that_was_said_is_answered(server):
    """With LOGOUT and without."""
    answer = heard(said(server, b"a NOOP\r\nb CAPABILITY\r\nc LOGOUT\r\n"))
    lines = answer.split(b"\r\n")
    assert [line[:4] for line in lines[1:]] == [b"a OK", b"* CA", b"b OK", b"* BY", b"c OK", b""]
    answer = heard(said(server, LOGIN + b"b SELECT INBOX\r\nc NOOP\r\nd NOO"))
    assert answer.endswith(b"c OK NOOP completed\r\n" + BYE)
    assert b"b OK [READ-WRITE] SELECT completed\r\n" in answer
    assert heard(said(server, b"")).endswith(b" ready\r\n" + BYE)


@pytest.mark.parametrize(
    "last",
    [
        b"d IDLE\r\n",
        b"d APPEND Drop {300}\r\nhalf of it",
        b"d APPEND Drop {300+}\r\nhalf of it",
        b"d APPEND Drop {30000000+}\r\nhalf of it",
        b"d SELECT {300+}\r\nhalf",
    ],
)
def test_what_can_never_be_completed_ends_the_session(server, last):
    """No message is stored of which the end is missing."""
    answer = heard(said(server, LOGIN + last))
    assert answer.endswith(BYE)
    assert b"\r\nd " not in answer
    assert b"(MESSAGES 0)" in heard(said(server, LOGIN + b"b STATUS Drop (MESSAGES)\r\n"))


def test_an_answer_to_a_challenge_that_never_comes(server):
    answer = heard(said(server, b"a AUTHENTICATE PLAIN\r\n"))
    assert answer.endswith(b"+ \r\n" + BYE)


def test_all_of_a_long_answer_arrives(server):
    """8 MB are more than the sockets hold when the client closes its side."""
    answer = heard(said(server, LOGIN + b"b SELECT INBOX\r\nc FETCH 1:* BODY[]\r\nd NOOP\r\n"))
    assert answer.count(b"x" * 400_000) == 20
    assert answer.endswith(b"d OK NOOP completed\r\n" + BYE)


def test_what_is_folded_is_answered_too(server):
    """COMPRESS=DEFLATE: what was sent last is still to be unfolded when the end comes."""
    where = server.address("imap")
    client = socket.create_connection((where.host, where.port), timeout=60)
    client.sendall(LOGIN + b"b COMPRESS DEFLATE\r\n")
    got = b""
    while b"b OK" not in got:
        got += client.recv(65536)
    fold = zlib.compressobj(wbits=-15)
    folded = fold.compress(b"c NOOP\r\n" * 100_000 + b"d LOGOUT\r\n")
    client.sendall(folded + fold.flush(zlib.Z_SYNC_FLUSH))
    client.shutdown(socket.SHUT_WR)
    answer = zlib.decompressobj(wbits=-15).decompress(heard(client))
    assert answer.count(b"c OK NOOP completed\r\n") == 100_000
    assert answer.endswith(b"d OK LOGOUT completed\r\n")

"""What a connection sends at once and what it queues: every octet, in order, whatever the kernel takes."""

import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Protocol

from imap_server.transport import DirectConnection


class Reactor:
    """Notes who wants to read and write."""

    def __init__(self):
        self.readers, self.writers = set(), set()

    def addReader(self, reader):
        self.readers.add(reader)

    def removeReader(self, reader):
        self.readers.discard(reader)

    def addWriter(self, writer):
        self.writers.add(writer)

    def removeWriter(self, writer):
        self.writers.discard(writer)


class Producer:
    """Counts how often it was held back and let go."""

    def __init__(self):
        self.paused = self.resumed = 0

    def pauseProducing(self):
        self.paused += 1

    def resumeProducing(self):
        self.resumed += 1

    def stopProducing(self):
        pass


def connected():
    """A connection over a socket pair, and the client's end of it."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)
    reactor = Reactor()
    connection = DirectConnection(ours, Protocol(), ("192.0.2.1", 1), None, 1, reactor)
    connection.connected = True
    return connection, theirs, reactor


def read(client):
    """What has arrived."""
    got = b""
    while True:
        try:
            got += client.recv(65536)
        except BlockingIOError:
            return got


def drained(connection, client, reactor):
    """All that arrives when the loop lets the connection write."""
    got = read(client)
    while connection in reactor.writers:
        connection.doWrite()
        got += read(client)
    return got


def closed(*things):
    for each in things:
        each.close()


def test_a_small_answer_is_sent_without_the_loop():
    connection, client, reactor = connected()
    connection.write(b"* OK\r\n")
    connection.writeSequence([b"a1 ", b"OK", b"\r\n"])
    assert read(client) == b"* OK\r\na1 OK\r\n"
    assert not reactor.writers
    closed(client, connection.socket)


PIECES = st.lists(st.binary(max_size=20_000), max_size=6)


@given(st.lists(st.tuples(PIECES, st.booleans(), st.booleans()), max_size=6))
def test_every_octet_comes_in_order(writes):
    """Single and several pieces, read meanwhile or not, into a socket that takes little at a time."""
    connection, client, reactor = connected()
    sent, got = b"", b""
    for pieces, together, reads in writes:
        sent += b"".join(pieces)
        if together:
            connection.writeSequence(pieces)
        else:
            for piece in pieces:
                connection.write(piece)
        if reads:
            got += read(client)
    got += drained(connection, client, reactor)
    assert got == sent
    closed(client, connection.socket)


def test_a_slow_reader_holds_the_producer_back():
    connection, client, reactor = connected()
    producer = Producer()
    connection.registerProducer(producer, True)
    octets = bytes(300_000)
    connection.writeSequence([octets])
    assert producer.paused == 1
    assert len(drained(connection, client, reactor)) == len(octets)
    assert producer.resumed == 1
    closed(client, connection.socket)


def test_a_broken_connection_is_found_by_the_loop():
    """Nothing is raised to who writes; the loop is told what became of it."""
    connection, client, reactor = connected()
    client.close()
    connection.write(b"x")
    assert connection in reactor.writers
    assert connection.doWrite() is not None
    closed(connection.socket)

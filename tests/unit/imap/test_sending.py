"""When a session's answers leave: together, in order, and never later than it waits."""

import asyncio

import pytest

from imap_server.protocol import SEND_OCTETS, ImapProtocol


class Wire:
    """Notes each call of Twisted's transport."""

    def __init__(self):
        self.calls = []

    def write(self, data):
        self.calls.append(bytes(data))

    def writeSequence(self, pieces):
        self.calls.append(b"".join(pieces))

    def startTLS(self, context):
        self.calls.append("TLS")

    def loseConnection(self):
        self.calls.append("closed")

    def unregisterProducer(self):
        pass

    def abortConnection(self):
        pass


class Factory:
    """As much of the factory as a connection without a session needs."""

    tls_context_factory = object()


def story(told):
    """Run `told(protocol, wire)` on a loop."""

    async def run():
        protocol = ImapProtocol(Factory(), "192.0.2.1")
        protocol.transport = Wire()
        await told(protocol, protocol.transport.calls)

    asyncio.run(run())


@pytest.mark.parametrize("waits", ["drain", "wait", "pause"])
def test_small_answers_leave_together_when_the_session_waits(waits):
    async def told(protocol, calls):
        protocol.write(b"* 1 EXISTS\r\n")
        protocol.write(b"a OK\r\n")
        assert calls == []
        await {"drain": protocol.drain, "wait": lambda: protocol.wait(0)}.get(
            waits, lambda: protocol.pause(0)
        )()
        assert calls == [b"* 1 EXISTS\r\na OK\r\n"]

    story(told)


def test_much_leaves_at_once():
    async def told(protocol, calls):
        protocol.write(b"* first\r\n")
        protocol.write(bytes(SEND_OCTETS))
        assert calls == [b"* first\r\n" + bytes(SEND_OCTETS)]
        protocol.write(b"* then\r\n")
        protocol.write_all([b"large", b"pieces"])
        assert calls[1:] == [b"* then\r\nlargepieces"]

    story(told)


def test_what_was_said_in_clear_leaves_before_the_handshake():
    """RFC 3501 §6.2.1: the OK of STARTTLS is the last that is sent in clear."""

    async def told(protocol, calls):
        protocol.write(b"a OK Begin TLS negotiation now\r\n")
        protocol.start_tls()
        assert calls == [b"a OK Begin TLS negotiation now\r\n", "TLS"]

    story(told)


def test_what_was_said_before_compression_is_not_folded():
    """RFC 4978 §3: the OK of COMPRESS is the last that is not."""

    async def told(protocol, calls):
        protocol.write(b"a OK\r\n")
        protocol.start_deflate()
        assert calls == [b"a OK\r\n"]
        protocol.write(b"* BYE\r\n")
        await protocol.drain()
        assert calls[1:] != [b"* BYE\r\n"]

    story(told)


def test_a_farewell_leaves_before_the_end():
    async def told(protocol, calls):
        protocol.write(b"* BYE\r\n")
        protocol.close()
        assert calls == [b"* BYE\r\n", "closed"]
        protocol.write(b"too late")
        await protocol.drain()
        assert calls == [b"* BYE\r\n", "closed"]

    story(told)

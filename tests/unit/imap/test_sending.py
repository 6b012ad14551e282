"""When a session's answers leave: together, in order, and never later than it waits."""

import asyncio
import socket

import pytest

from imap_server.errors import SessionOverError
from imap_server.protocol import READ_HIGH_OCTETS, SEND_OCTETS, TURN_SECONDS, ImapProtocol
from imap_server.settings import ImapSettings


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
        self.calls.append("cut")

    def pauseProducing(self):
        self.calls.append("paused")

    def resumeProducing(self):
        self.calls.append("resumed")


class Factory:
    """As much of the factory as a connection without a session needs."""

    tls_context_factory = object()
    settings = ImapSettings(stall_timeout_seconds=0.01)


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


def test_one_timer_ends_a_wait_when_it_is_time_and_never_earlier():
    """It may stem from an earlier wait, to a time that is too early or too late."""

    async def told(protocol, _):
        loop = asyncio.get_running_loop()
        now = loop.time()
        loop.time = lambda: now

        async def waiting(seconds):
            task = asyncio.create_task(protocol.wait(seconds))
            await turns()
            return task

        async def turns():
            for _ in range(4):
                await asyncio.sleep(0)

        for seconds in (10, 20):
            task = await waiting(seconds)
            protocol.wake()
            assert await task
        late = await waiting(30)
        now += 29.9  # the first one's timer, and what came of it, has gone off
        await turns()
        assert not late.done()
        now += 0.2
        await turns()
        assert late.done()
        assert not late.result()
        long = await waiting(1000)
        protocol.wake()
        assert await long
        short = await waiting(5)
        now += 5.1
        await turns()
        assert short.done()
        assert not short.result()
        protocol.connectionLost()
        assert not any(not each.cancelled() for each in loop._scheduled)

    story(told)


def test_who_closes_one_side_and_reads_nothing_is_cut():
    """As everyone who stalls: the session waits for room only so long."""

    async def told(protocol, calls):
        protocol.readConnectionLost()
        protocol.pauseProducing()
        protocol.write(b"* 1 FETCH")
        with pytest.raises(SessionOverError):
            await protocol.drain()
        assert calls == [b"* 1 FETCH", "cut"]

    story(told)


def test_a_side_that_is_closed_is_not_read_again():
    """What was held back is unfolded without asking the transport for more."""

    async def told(protocol, calls):
        protocol.throttle(READ_HIGH_OCTETS + 1)
        protocol.readConnectionLost()
        protocol.throttle(0)
        protocol.close()
        assert calls == ["paused", "closed"]

    story(told)


def test_what_came_during_a_long_turn_is_served_before_the_next_one():
    """A neighbour waits for the end of the present turn, not for more of them."""

    async def told(protocol, calls):
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        asked, answered = loop.create_future(), []

        async def neighbour():
            await asked
            answered.append(True)

        task = asyncio.create_task(neighbour())
        await asyncio.sleep(0)
        with ours, theirs:
            loop.add_reader(ours, lambda: asked.done() or asked.set_result(True))
            theirs.send(b"a NOOP\r\n")
            protocol._turn_began = loop.time() - 2 * TURN_SECONDS
            await protocol.drain()
            assert answered
            loop.remove_reader(ours)
        await task

    story(told)

"""The sockets of media on a real loopback: read together, none of them at another's cost."""

import socket
from collections import Counter

import pytest

from um.clock import SystemClock
from um.telephony.datagrams import MOST_AT_ONCE
from um.telephony.media_sockets import PolledSockets

HOST = "127.0.0.1"
CLOCK = SystemClock()


def bound(sockets, receive, host=HOST):
    """A media socket on a free port, and its address."""
    with socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
    ) as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    return sockets.bind(host, port, receive), (host, port)


@pytest.fixture
def sender():
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.bind((HOST, 0))
        yield made


def test_all_that_came_is_given_out_in_order(sender):
    """With its source and the time; nothing before `read`."""
    sockets, heard = PolledSockets(CLOCK), []
    media, address = bound(sockets, heard.extend)
    for number in range(5):
        sender.sendto(bytes([number]), address)
    assert heard == []
    sockets.read(7.0)
    assert heard == [(bytes([number]), sender.getsockname(), 7.0) for number in range(5)]
    media.close()
    media.close()


def test_a_flood_on_one_socket_starves_no_other(sender):
    """At most MOST_AT_ONCE of one are taken at a time; what is left comes the next times."""
    sockets, heard = PolledSockets(CLOCK), Counter()
    media = [
        bound(sockets, lambda taken, name=name: heard.update(name for _ in taken)) for name in "ab"
    ]
    for _ in range(3 * MOST_AT_ONCE):
        sender.sendto(b"flood", media[0][1])
    sender.sendto(b"speech", media[1][1])
    sockets.read(7.0)
    assert heard == {"a": MOST_AT_ONCE, "b": 1}
    for _ in range(3):
        sockets.read(7.0)
    assert heard == {"a": 3 * MOST_AT_ONCE, "b": 1}


def test_what_waits_at_the_end_is_given_out(sender):
    """More than a beat would take, of this socket alone; one that is closed meanwhile gives no more."""
    sockets, heard = PolledSockets(CLOCK), []
    media, address = bound(sockets, lambda taken: heard.extend(data for data, _, _ in taken))
    other, elsewhere = bound(sockets, lambda *_: pytest.fail("not asked"))
    sender.sendto(b"other", elsewhere)
    for number in range(2 * MOST_AT_ONCE):
        sender.sendto(bytes([number]), address)
    media.take(7.0)
    assert heard == [bytes([number]) for number in range(2 * MOST_AT_ONCE)]
    media.take(7.0)
    media.close()
    media.take(7.0)
    other.close()


def test_what_fails_or_ends_with_one_datagram_holds_up_no_other(sender):
    """A receiver that raises, and one that closes both sockets in the middle of a round."""
    sockets, heard = PolledSockets(CLOCK), []

    def receive(taken):
        ((data, _source, _at),) = taken
        heard.append(data)
        if data == b"bad":
            raise ZeroDivisionError
        if data == b"bye":
            one.close()
            other.close()

    one, first = bound(sockets, receive)
    other, second = bound(sockets, receive)
    sender.sendto(b"bad", first)
    sender.sendto(b"good", second)
    sockets.read(7.0)
    assert sorted(heard) == [b"bad", b"good"]
    sender.sendto(b"bye", first)
    sender.sendto(b"bye", second)
    sockets.read(7.0)
    assert heard[2:] == [b"bye"]
    sockets.read(7.0)


def test_a_port_that_is_taken_is_refused():
    """So that the next pair is tried."""
    sockets = PolledSockets(CLOCK)
    media, address = bound(sockets, print)
    with pytest.raises(OSError, match="in use"):
        sockets.bind(*address, print)
    media.close()
    sockets.bind(*address, print).close()


def test_a_socket_that_is_given_away_lives_on(sender):
    """Its datagrams are its new owner's alone."""
    sockets, heard = PolledSockets(CLOCK), []
    media, address = bound(sockets, lambda taken: heard.extend(data for data, _, _ in taken))
    given = media.detach()
    media.close()
    sender.sendto(b"fax", address)
    sockets.read(7.0)
    given.settimeout(5)
    assert given.recv(100) == b"fax"
    assert heard == []
    given.close()


def test_ipv6_sources_are_host_and_port():
    """As everywhere else; flow and scope are nobody's business."""
    sockets, heard = PolledSockets(CLOCK), []
    media, address = bound(
        sockets, lambda taken: heard.extend(source for _, source, _ in taken), host="::1"
    )
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as phone:
        phone.bind(("::1", 0))
        phone.sendto(b"x", address)
        sockets.read(7.0)
        assert heard == [phone.getsockname()[:2]]
        media.send(b"y", heard[0])
        phone.settimeout(5)
        assert phone.recv(10) == b"y"
    media.close()

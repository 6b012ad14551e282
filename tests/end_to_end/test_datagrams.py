"""Datagrams through the kernel: octets, sources, times. On a real loopback, for there is no other kernel."""

import errno
import socket
from datetime import UTC, datetime

import pytest

from um.clock import SystemClock
from um.telephony.datagrams import MAX_OCTETS, MOST_AT_ONCE, MOST_SECONDS, Mail, stamp_arrivals

CLOCK = SystemClock()
FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def bound(family, host):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made


@pytest.fixture(params=FAMILIES, ids=["IPv4", "IPv6"])
def pair(request):
    """A socket that takes stamps, and one that sends to it."""
    with bound(*request.param) as here, bound(*request.param) as there:
        stamp_arrivals(here)
        yield here, there


def address(of):
    return of.getsockname()[:2]


def test_what_is_sent_is_taken(pair):
    """Any octets, none at all and more than fit included, in order, with their source; then nothing."""
    here, there = pair
    mail = Mail(CLOCK)
    sent = [b"", b"\0", bytes(range(256)) * 4, b"x" * (MAX_OCTETS + 100)]
    for data in sent:
        mail.send(there.fileno(), data, address(here))
    for most in (3, 9):
        for data, source, _ in mail.take(here.fileno(), most, CLOCK.monotonic()):
            assert (data, source) == (sent.pop(0)[:MAX_OCTETS], address(there))
        assert len(sent) == (1 if most == 3 else 0)
    assert mail.take(here.fileno(), 9, CLOCK.monotonic()) == []


def test_more_than_fits_comes_the_next_time():
    """No more than the buffers hold, whatever is asked for; sources of both families one after another."""
    mail = Mail(CLOCK)
    for family, host in FAMILIES * 2:
        with bound(family, host) as here, bound(family, host) as there:
            stamp_arrivals(here)
            for number in range(MOST_AT_ONCE + 3):
                there.sendto(bytes([number]), here.getsockname())
            taken = [mail.take(here.fileno(), 100, CLOCK.monotonic()) for _ in range(2)]
            assert [len(each) for each in taken] == [MOST_AT_ONCE, 3]
            assert {source for each in taken for _, source, _ in each} == {address(there)}


def test_a_datagram_has_the_time_when_it_came(pair):
    """However late it is read."""
    here, there = pair
    mail = Mail(CLOCK)
    for _ in range(1000):  # the kernel begins to stamp a moment after it was asked to
        before = CLOCK.monotonic()
        there.sendto(b"x", here.getsockname())
        after = CLOCK.monotonic()
        ((_, _, at),) = mail.take(here.fileno(), 1, after + 0.5)
        if before - 0.001 <= at <= after + 0.001:
            return
    pytest.fail(f"sent between {before} and {after}, came at {at}")


class SetClock(SystemClock):
    """The wall's clock is ahead by an hour, as if it had been set since the datagram came."""

    def now(self):
        return datetime.fromtimestamp(super().now().timestamp() + 3600, UTC)


def test_a_clock_that_is_set_moves_no_datagram(pair):
    """It came a second before it was read, at the most; never after."""
    here, there = pair
    for clock in (SetClock(), CLOCK):
        mail = Mail(clock)
        there.sendto(b"x", here.getsockname())
        now = CLOCK.monotonic() - 7200
        ((_, _, at),) = mail.take(here.fileno(), 1, now)
        assert now - MOST_SECONDS <= at <= now


def test_what_the_network_refuses_is_an_oserror(pair):
    """With its number, as Python's own sockets raise it."""
    here, _ = pair
    mail = Mail(CLOCK)
    with pytest.raises(OSError) as refused:
        mail.send(here.fileno(), b"x" * 70_000, address(here))
    assert refused.value.errno == errno.EMSGSIZE
    with pytest.raises(OSError):
        mail.send(here.fileno(), b"x", ("no.address.invalid", 9))

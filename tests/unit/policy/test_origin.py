"""Attempts are counted by what one customer of a network cannot choose: an IPv4 address, an IPv6 /64."""

from ipaddress import IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imap_server.registry import Registry
from tests.support.house import House
from tests.support.web_house import run
from um.core.errors import AuthenticationError, LockedOutError
from um.core.origin import origin
from um.smtp.limits import ConnectionLimit

HOSTS = [f"2001:db8:1:2:{number:x}::1" for number in range(60)]
NEIGHBOUR = "2001:db8:1:3::1"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_what_an_address_is_counted_under(address, counted):
    assert origin(address) == counted


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0x2000 << 48, 2**64 - 1))
def test_a_network_is_one_and_its_neighbour_another(host, other, network):
    """Whatever the lower half is; and no two networks are counted together."""
    first, second = (str(IPv6Address(network << 64 | each)) for each in (host, other))
    assert origin(first) == origin(second) == str(IPv6Network((network << 64, 64)))
    assert origin(str(IPv6Address((network ^ 1) << 64 | host))) != origin(first)


def test_guesses_from_one_network_are_slowed_down_together():
    """A new address for each guess is no help; another network is not shut out with it."""

    async def story():
        house = House()
        await house.add()
        login = house.authenticator.login
        for host in HOSTS[:5]:
            with pytest.raises(AuthenticationError):
                await login("alice", "wrong", peer=host)
        with pytest.raises(LockedOutError):
            await login("alice", "wrong", peer=HOSTS[5])
        with pytest.raises(AuthenticationError):
            await login("alice", "wrong", peer=NEIGHBOUR)

    run(story())


def test_mail_connections_of_one_network_are_few_together():
    """As many as of one address; when one has gone there is room for one."""
    limit = ConnectionLimit(total=100, per_address=3)
    assert [limit.admit(host, trusted=False) for host in HOSTS[:4]] == [True, True, True, False]
    assert limit.admit(NEIGHBOUR, trusted=False)
    limit.release(HOSTS[0])
    assert limit.admit(HOSTS[9], trusted=False)
    for host in (*HOSTS[1:3], HOSTS[9], NEIGHBOUR):
        limit.release(host)
    assert limit.open == 0


def test_imap_connections_of_one_network_are_few_together():
    """The same for mail programs."""
    registry, sessions = Registry(), [object() for _ in range(5)]

    def connect(number, host):
        return registry.connect(sessions[number], host, limit=3)  # type: ignore[arg-type]

    assert [connect(number, HOSTS[number]) for number in range(4)] == [True, True, True, False]
    assert connect(4, NEIGHBOUR)
    registry.disconnect(sessions[0], HOSTS[0])  # type: ignore[arg-type]
    assert connect(3, HOSTS[7])

"""The poster of webhooks against a real HTTP server, and the places it will not speak to."""

import asyncio
from ipaddress import IPv4Network, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.forwarding import LOOPBACK
from um.core.errors import RelayDeferredError, RelayRefusedError
from um.policy.outbound import may_reach
from um.web.webhook import HttpWebhooks, is_meant


async def answered(reply: bytes, *, body: bytes = b"{}") -> tuple[BaseException | None, bytes]:
    """Post to a server that answers so; what came of it, and what the server read."""
    seen = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not seen.endswith(body) or b"\r\n\r\n" not in seen:
            seen.extend(await reader.read(1000))
        writer.write(reply)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outcome: BaseException | None = None
    try:
        webhooks = HttpWebhooks(allowed=[LOOPBACK])
        await webhooks.post(f"http://127.0.0.1:{port}/hook?a=b", body, {"x-um-event-id": "7"})
    except (RelayDeferredError, RelayRefusedError) as error:
        outcome = error
    server.close()
    return outcome, bytes(seen)


def test_a_post_as_it_is_on_the_wire():
    """One POST with the path, the length and our headers."""
    outcome, seen = asyncio.run(answered(b"HTTP/1.1 204 No Content\r\n\r\n", body=b'{"a": 1}'))
    assert outcome is None
    head, _, body = seen.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?a=b HTTP/1.1\r\n")
    assert b"content-length: 8" in head.lower()
    assert b"x-um-event-id: 7" in head.lower()
    assert body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n", None),
        (b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\n\r\n", RelayDeferredError),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", RelayDeferredError),
        (b"HTTP/1.1 500 Oops\r\n\r\n", RelayDeferredError),
        (b"HTTP/1.1 410 Gone\r\n\r\n", RelayRefusedError),
        (b"SSH-2.0-x\r\n", RelayDeferredError),
        (b"", RelayDeferredError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000, RelayDeferredError),
    ],
)
def test_answers(reply, kind):
    """2xx is well; 410 ends it; all else is tried again, and no redirect is followed."""
    outcome, _ = asyncio.run(answered(reply))
    assert type(outcome) is (kind or type(None))


def test_nobody_there():
    """A closed port is tried again."""
    webhooks = HttpWebhooks(allowed=[LOOPBACK])
    with pytest.raises(RelayDeferredError, match="ConnectionRefused"):
        asyncio.run(webhooks.post("http://127.0.0.1:9/", b"", {}))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_not_spoken_to_unasked(host):
    """However its address is written; the poster asks the rule after the name was resolved."""
    with pytest.raises((RelayDeferredError, RelayRefusedError), match=r"no address|https"):
        asyncio.run(HttpWebhooks().post(f"https://{host}:9/", b"", {}))


def test_the_address_that_was_checked_is_the_one_spoken_to(monkeypatch):
    """A name that leads to the inside at its second look-up is looked up once."""
    answers = ["93.184.216.34", "169.254.169.254"]
    asked, dialled = [], []

    async def getaddrinfo(_loop, host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", (answers[len(asked) - 1], port))]

    async def open_connection(host, port, **options):
        dialled.append((host, port, options["server_hostname"]))
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    with pytest.raises(RelayDeferredError, match="ConnectionRefused"):
        asyncio.run(HttpWebhooks().post("https://rebind.example.net/", b"", {}))
    assert asked == ["rebind.example.net"]
    assert dialled == [("93.184.216.34", 443, "rebind.example.net")]


def test_a_forbidden_address_among_others_is_passed_over(monkeypatch):
    """Those that may be spoken to are tried in turn; none of the others is ever dialled."""
    public = ["2606:4700::1111", "93.184.216.34"]
    addresses = ["fd00:ec2::254", public[0], "100.100.100.200", "::ffff:10.0.0.1", public[1]]
    dialled = []

    async def getaddrinfo(_loop, _host, port, **_):
        return [(2, 1, 6, "", (each, port)) for each in addresses]

    async def open_connection(host, _port, **_):
        dialled.append(host)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    with pytest.raises(RelayDeferredError):
        asyncio.run(HttpWebhooks().post("https://crm.example.net/", b"", {}))
    assert dialled == public


@pytest.mark.parametrize("host", ["a" * 64 + ".example.net", "a..b.example.net"])
def test_a_name_that_can_be_none_is_told(monkeypatch, host):
    """By the rule; and where that let it through Python's IDNA raises an error of its own."""
    with pytest.raises(RelayRefusedError):
        asyncio.run(HttpWebhooks().post(f"https://{host}/", b"", {}))
    monkeypatch.setattr("um.web.webhook.check_url", lambda _: None)
    with pytest.raises(RelayDeferredError, match=r"Unicode(Encode)?Error"):
        asyncio.run(HttpWebhooks().post(f"https://{host}/", b"", {}))


def test_a_url_that_turned_wrong_is_never_posted_to():
    """The rule is asked again at each post, whatever stands in the database."""
    with pytest.raises(RelayRefusedError):
        asyncio.run(HttpWebhooks().post("http://crm.example.net/", b"", {}))


def test_a_name_that_points_at_this_machine():
    """Localhost by https resolves to a loopback address, which must be written as one."""
    with pytest.raises(RelayDeferredError, match="no address"):
        asyncio.run(HttpWebhooks().post("https://localhost/", b"", {}))


PRIVATE = IPv4Network("10.1.0.0/16")


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:93.184.216.34"),
        *("64:ff9b::5db8:d822", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1"),
        *("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203"),
    ],
)
def test_public_addresses_and_those_that_the_operator_named(address):
    """As they are, and as IPv6 writes them."""
    assert may_reach(address, [PRIVATE])


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"),
        *("127.0.0.1", "0.0.0.0", "10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("100.64.0.1", "100.127.255.255", "198.18.0.1", "198.19.255.255", "192.0.2.1"),
        *("198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1"),
        *("::ffff:169.254.169.254", "::ffff:127.0.0.1", "::7f00:1", "::ffff:0:7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b::6464:64c8", "64:ff9b:1::a00:1", "2002:a9fe:a9fe::1"),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "3fff::1", "100::1", "5f00::1"),
        *("crm.example.net", "", "1.2.3", "4000::1"),
    ],
)
def test_places_that_are_not_public(address):
    """Metadata services, this machine, its networks, and every way to write one of these."""
    assert not may_reach(address, [PRIVATE])


@given(st.ip_addresses(v=4))
def test_an_address_is_the_same_however_it_is_written(address):
    """IPv4-mapped and through a NAT64: neither opens nor closes anything."""
    plain = may_reach(str(address))
    assert may_reach(f"::ffff:{address}") is plain
    assert may_reach(str(IPv6Address((0x64FF9B << 96) | int(address)))) is plain
    assert not plain or address.is_global or address in IPv4Network("192.0.0.0/8")


@pytest.mark.parametrize(
    ("host", "address", "meant"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("crm.example.net", "127.0.0.1", False),
        ("crm.example.net", "::1", False),
        ("crm.example.net", "::ffff:127.0.0.1", False),
        ("crm.example.net", "10.0.0.1", True),
    ],
)
def test_this_machine_is_meant_only_by_its_address(host, address, meant):
    """Though the operator lets loopback through, a name that leads there was made to."""
    assert is_meant(host, address) is meant

"""The poster of webhooks against a real HTTP server, and the places it will not speak to."""

import asyncio

import pytest

from um.core.errors import RelayDeferredError, RelayRefusedError
from um.web.webhook import HttpWebhooks, may_speak_to


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
        await HttpWebhooks().post(f"http://127.0.0.1:{port}/hook?a=b", body, {"x-um-event-id": "7"})
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
    with pytest.raises(RelayDeferredError):
        asyncio.run(HttpWebhooks().post("http://127.0.0.1:9/", b"", {}))


def test_a_url_that_turned_wrong_is_never_posted_to():
    """The rule is asked again at each post, whatever stands in the database."""
    with pytest.raises(RelayRefusedError):
        asyncio.run(HttpWebhooks().post("http://crm.example.net/", b"", {}))


def test_a_name_that_points_at_this_machine():
    """Localhost by https resolves to a loopback address, which must be written as one."""
    with pytest.raises(RelayDeferredError, match="no address"):
        asyncio.run(HttpWebhooks().post("https://localhost/", b"", {}))


@pytest.mark.parametrize(
    ("address", "host", "may"),
    [
        ("93.184.216.34", "crm.example.net", True),
        ("10.0.0.7", "crm.example.net", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "crm.example.net", False),
        ("::1", "crm.example.net", False),
        ("::ffff:127.0.0.1", "crm.example.net", False),
        ("169.254.169.254", "crm.example.net", False),
        ("fe80::1%eth0", "crm.example.net", False),
        ("0.0.0.0", "crm.example.net", False),
        ("224.0.0.1", "crm.example.net", False),
    ],
)
def test_places(address, host, may):
    assert may_speak_to(address, host) is may

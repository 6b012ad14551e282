"""FETCH of large and nested messages: every octet, in slices, or an honest end."""

import asyncio
import base64
import re

import pytest

from imap_server.commands.binary import KEEP_OCTETS
from imap_server.commands.fetch import SLICE_OCTETS
from tests.support.imap_transcript import Stage, message
from um.core.errors import NotFoundError, UnavailableError

LARGE = message("Large", body="".join(f"line {n}\r\n" for n in range(60_000)))
INNER = message("Inner " + "x" * 20)
NESTED = (
    b"Subject: Outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--b--\r\n"
)


async def stage_with(*messages: bytes) -> Stage:
    stage = Stage()
    await stage.house.add("alice", None)
    for data in messages:
        await stage.deposit("mail", "alice", data=data)
    client = await stage.connect("A")
    client.send(b'a LOGIN alice "correct horse"\r\nb SELECT INBOX\r\n')
    await stage.settle()
    client.take_all()
    return stage


async def fetch(stage: Stage, command: str) -> bytes:
    client = stage.clients["A"]
    client.send(b"f " + command.encode() + b"\r\n")
    await stage.settle()
    return client.take_all()


def literals(answer: bytes) -> list[bytes]:
    """The contents of all literals of an answer."""
    found = []
    position = 0
    while match := re.compile(rb"\{(\d+)\}\r\n").search(answer, position):
        position = match.end() + int(match[1])
        found.append(answer[match.end() : position])
    return found


def test_a_message_of_many_slices_comes_whole():
    """Larger than a slice, twice in one response, and by odd partials."""

    async def story():
        stage = await stage_with(LARGE, LARGE, message("Small"))
        assert len(LARGE) > 4 * SLICE_OCTETS
        answer = await fetch(stage, "FETCH 1:3 (BODY.PEEK[] UID BODY.PEEK[TEXT])")
        whole = literals(answer)
        assert whole[0] == whole[2] == LARGE
        assert whole[1] == whole[3] == LARGE.partition(b"\r\n\r\n")[2]
        assert whole[4] == message("Small")
        assert answer.endswith(b")\r\nf OK FETCH completed\r\n")
        start, count = SLICE_OCTETS - 7, SLICE_OCTETS * 2 + 13
        (piece,) = literals(await fetch(stage, f"UID FETCH 2 BODY.PEEK[]<{start}.{count}>"))
        assert piece == LARGE[start : start + count]
        (piece,) = literals(await fetch(stage, "FETCH 2 BODY.PEEK[]<7.5000000000>"))
        assert piece == LARGE[7:]
        await stage.close()

    asyncio.run(story())


def test_what_cannot_be_marked_seen_is_read_all_the_same(monkeypatch):
    r"""A store that cannot write now: \\Seen is a side effect (RFC 3501 §6.4.5)."""

    async def story():
        stage = await stage_with(message("Small"))

        async def refused(*_, **__):
            raise UnavailableError

        with monkeypatch.context() as patch:
            patch.setattr(stage.mailboxes, "change_flags", refused)
            answer = await fetch(stage, "FETCH 1 BODY[]")
        assert literals(answer) == [message("Small")]
        assert answer.endswith(b")\r\nf OK FETCH completed\r\n")
        assert b"FLAGS" not in answer
        assert b"\\Seen" in await fetch(stage, "FETCH 1 BODY[]")
        await stage.close()

    asyncio.run(story())


def attached(octets: bytes) -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: audio/mpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(octets).replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
    )


@pytest.mark.parametrize("octets", [b"sound" * 20_000, b"sound\0" * 300_000])
def test_a_part_is_decoded_as_it_is_sent(octets):
    """BINARY: small and large parts whole, their size, partials, and a reader that stalls."""

    async def story():
        stage = await stage_with(attached(octets))
        client = stage.clients["A"]
        answer = await fetch(stage, "FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])")
        assert literals(answer) == [octets]
        assert (b"~{%d}" % len(octets) in answer) is (b"\0" in octets)
        assert answer.endswith(b" BINARY.SIZE[1] %d)\r\nf OK FETCH completed\r\n" % len(octets))
        (part,) = literals(await fetch(stage, "FETCH 1 BINARY.PEEK[1]<99991.1000>"))
        assert part == octets[99_991:100_991]
        client.link.slow = True
        held = len(await fetch(stage, "FETCH 1 BINARY.PEEK[1]"))
        assert held <= max(KEEP_OCTETS, SLICE_OCTETS)
        client.link.resume()
        await stage.settle()
        assert held + len(client.take_all()) > len(octets)
        await stage.close()

    asyncio.run(story())


def test_parts_of_a_message_within_a_message():
    """RFC 3501 §6.4.5: HEADER, TEXT, MIME and fields of what is enclosed."""

    async def story():
        stage = await stage_with(NESTED)
        sections = ["1", "2", "2.HEADER", "2.TEXT", "2.1", "2.MIME", "2.HEADER.FIELDS (SUBJECT)"]
        asked = " ".join(f"BODY.PEEK[{section}]" for section in sections)
        answer = await fetch(stage, f"FETCH 1 ({asked} BODY.PEEK[2.HEADER.FIELDS (TO)]<4.5>)")
        header, _, text = INNER.partition(b"\r\n\r\n")
        assert literals(answer) == [
            b"hello",
            INNER,
            header + b"\r\n\r\n",
            text,
            text,
            b"Content-Type: message/rfc822\r\n\r\n",
            b"Subject: Inner " + b"x" * 20 + b"\r\n\r\n",
            b"alice",
        ]
        assert b"BODY[2.HEADER.FIELDS (TO)]<4> {5}" in answer
        await stage.close()

    asyncio.run(story())


@pytest.mark.parametrize("error", [NotFoundError, UnavailableError])
def test_a_literal_that_cannot_be_finished_cuts_the_connection(error):
    """Never short, never padded: what was promised cannot be taken back."""

    async def story():
        stage = await stage_with(LARGE)
        get = stage.house.blobs.get

        async def fail_later(key, start=0, length=None):
            if start:
                raise error
            return await get(key, start, length)

        stage.house.blobs.get = fail_later
        answer = await fetch(stage, "FETCH 1 BODY.PEEK[]")
        assert len(answer) < len(LARGE)
        assert b"\r\nf " not in answer
        assert stage.clients["A"].link.closed

    asyncio.run(story())


def test_a_body_that_cannot_be_read_now_is_a_temporary_no():
    async def story():
        stage = await stage_with(LARGE)

        async def refuse(key, start=0, length=None):
            raise UnavailableError

        stage.house.blobs.get = refuse
        answer = await fetch(stage, "FETCH 1 BODY.PEEK[]")
        assert answer == b"f NO [UNAVAILABLE] Storage is not available for the moment\r\n"
        await stage.close()

    asyncio.run(story())


def test_a_failure_of_ours_is_no_and_the_session_goes_on():
    """What nobody foresaw ends one command, not the server."""

    async def story():
        stage = await stage_with(LARGE)

        async def bug(*_: object, **__: object):
            raise ZeroDivisionError

        stage.mailboxes.usage = bug
        assert await fetch(stage, 'GETQUOTA ""') == b"f NO [SERVERBUG] Internal error\r\n"
        assert await fetch(stage, "NOOP") == b"f OK NOOP completed\r\n"
        await stage.close()

    asyncio.run(story())


@pytest.mark.parametrize("item", ["BODY.PEEK[]", "BINARY.PEEK[1]"])
def test_a_bye_never_gets_into_a_literal(item):
    """A session that must end while a body is on its way is cut: what comes short is no message."""

    async def story():
        stage = await stage_with(LARGE)
        client = stage.clients["A"]
        write_all = client.link.write_all

        def write_and_stall(pieces):
            write_all(pieces)
            client.link.slow = True

        client.link.write_all = write_and_stall
        client.send(b"f FETCH 1 " + item.encode() + b"\r\n")
        await stage.settle()
        client.session.context.end("The password was changed, log in again")
        client.link.resume()
        await stage.settle()
        answer = client.take_all()
        assert client.link.closed
        (begun,) = literals(answer)
        assert LARGE[-len(begun) :] != begun
        assert b"BYE" not in answer
        await stage.close()

    asyncio.run(story())


def test_a_header_within_a_message_is_read_at_its_beginning():
    """Fields of a header of megabytes are chosen from its first 256 kB, whatever is asked how often."""

    async def story():
        inner = b"Subject: inner\r\n" + b"X-Flood: y\r\n" * 100_000 + b"Late: z\r\n\r\nbody\r\n"
        stage = await stage_with(b"Content-Type: message/rfc822\r\n\r\n" + inner)
        (chosen,) = literals(
            await fetch(stage, "FETCH 1 BODY.PEEK[1.HEADER.FIELDS (Subject Late)]")
        )
        assert chosen == b"Subject: inner\r\n\r\n"
        (whole,) = literals(await fetch(stage, "FETCH 1 BODY.PEEK[1.HEADER]"))
        assert whole == inner.removesuffix(b"body\r\n")
        await stage.close()

    asyncio.run(story())

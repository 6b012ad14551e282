"""The fax child alone: calls that change over, strangers on their ports, and its end with its server."""

import asyncio
import gc
import resource
import socket
import struct
from contextlib import closing
from pathlib import Path

import pytest

from fax import receiver
from fax.keep import page_name
from fax.libtiff import decode
from fax.pages import salvage
from fax.protocol import Ended, Media, PageKept, PageWaiting, Receive, encode
from fax.receiver import NO_MEDIA_TICKS
from tests.support.fax_machine import SendingFax, compress, expand
from tests.support.fax_receiver import CORE, SENDER, ReceiverLine
from tests.support.t38_machine import SendingT38, read_primary
from tests.support.tiffs import text_page, write_tiff

G711 = Media(*SENDER, 0)
G711_A = Media(*SENDER, 8)
T38 = Media(*SENDER, 0, t38=True, max_datagram=400, correction="t38UDPRedundancy")
STRANGER = ("198.51.100.66", 4000)
LIMIT_TICKS = 5000
PAGES = [text_page(name, rows=160, spacing=60) for name in ("one", "two")]


@pytest.fixture
def files(tmp_path):
    """A TIFF of each page."""
    return [write_tiff(tmp_path / f"{n}.tif", [page]) for n, page in enumerate(PAGES)]


def told(story):
    """Run an async test."""
    asyncio.run(asyncio.wait_for(story(), 120))


class OverRtp:
    """A machine that sends in G.711."""

    def __init__(self, file):
        self.machine = SendingFax(file)
        self.number = 0

    def say(self):
        self.number += 1
        head = struct.pack("!BBHII", 0x80, 0, self.number, self.number * 160, 7)
        return [head + compress(self.machine.say())]

    def hear(self, packets):
        for packet in packets:
            self.machine.hear(expand(packet[12:]))


class OverUdptl:
    """A machine that sends in T.38."""

    def __init__(self, file):
        self.machine = SendingT38(file)

    def say(self):
        return self.machine.tick()

    def hear(self, packets):
        for packet in packets:
            self.machine.hear(packet)


async def talk(line, sender, until):
    """Go on until it is so."""
    for _ in range(LIMIT_TICKS):
        if until():
            return
        sender.hear(await line.tick(sender.say()))
    raise TimeoutError


async def finished(line, sender):
    await talk(line, sender, lambda: line.child.ended is not None)
    return line.child.ended


def kept(folder):
    return [
        decode(page).bitmap
        for page in salvage([f.read_bytes() for f in sorted(folder.glob("page-*.tif"))]).pages
    ]


def bitmaps(files):
    return [decode(page).bitmap for page in salvage([f.read_bytes() for f in files]).pages]


@pytest.mark.parametrize(("first", "then"), [(G711, T38), (T38, G711)])
def test_a_call_goes_over_with_the_pages_that_it_has(tmp_path, files, first, then):
    """T.30 begins anew by the other means; the page kept before stays, what comes is numbered on."""

    async def story():
        line = ReceiverLine(tmp_path, first)
        senders = [
            (OverUdptl if media.t38 else OverRtp)(file)
            for media, file in zip((first, then), files, strict=True)
        ]
        await talk(line, senders[0], lambda: senders[0].machine.pages_confirmed == 1)
        line.call.change_media(then)
        ended = await finished(line, senders[1])
        assert senders[1].machine.pages_confirmed == 1
        assert (ended.complete, ended.t38, ended.ecm) == (True, then.t38, True)
        assert [each.page for each in line.child.said if isinstance(each, PageKept)] == [1, 2]
        assert kept(tmp_path) == bitmaps(files)

    told(story)


def test_a_call_goes_over_before_anything_was_said(tmp_path, files):
    """As with most cores: G.711 for a moment, then T.38; late RTP of before moves nothing."""

    async def story():
        line = ReceiverLine(tmp_path, G711)
        audio, sender = OverRtp(files[0]), OverUdptl(files[0])
        for _ in range(100):
            audio.hear(await line.tick(audio.say()))
        line.call.change_media(T38)
        for _ in range(50):
            sender.hear(await line.tick([*audio.say(), *sender.say()]))
        ended = await finished(line, sender)
        assert (ended.complete, ended.bad_packets) == (True, 0)
        assert kept(tmp_path) == bitmaps(files[:1])

    told(story)


def test_media_change_when_the_page_in_hand_is_decided_on(tmp_path, files):
    """A page that waits for room while the core goes over to T.38, and back again, is kept."""

    async def story():
        line = ReceiverLine(tmp_path, G711)
        line.child.grants = False
        first = OverRtp(files[0])
        await talk(line, first, lambda: line.child.said)
        (waiting,) = line.child.said
        assert isinstance(waiting, PageWaiting)
        for media in (T38, G711_A, T38):
            line.call.change_media(media)
            await line.tick([])
        assert not line.wire.gone
        assert not (tmp_path / page_name(1)).exists()
        line.child.grants = True
        line.child.answer(waiting)
        second = OverUdptl(files[1])
        ended = await finished(line, second)
        assert ended.complete
        assert kept(tmp_path) == bitmaps(files)

    told(story)


def test_a_hang_up_while_media_change_is_told_once(tmp_path, files):
    """The page in hand is kept first; the call ends as it was."""

    async def story():
        line = ReceiverLine(tmp_path, G711)
        line.child.grants = False
        first = OverRtp(files[0])
        await talk(line, first, lambda: line.child.said)
        line.call.change_media(T38)
        line.call.hang_up()
        await line.tick([])
        assert line.child.ended is None
        line.child.answer(line.child.said[0])
        ended = await finished(line, first)
        assert (ended.complete, ended.t38) == (False, False)
        assert kept(tmp_path) == bitmaps(files[:1])
        await line.tick([])
        assert sum(isinstance(each, Ended) for each in line.child.said) == 1

    told(story)


def test_a_call_that_cannot_go_over_ends_with_what_it_has(tmp_path, files, monkeypatch):
    """No terminal, or a disk in trouble: the server hears of it, and nothing freed is touched."""

    async def story():
        line = ReceiverLine(tmp_path, G711)
        first = OverRtp(files[0])
        await talk(line, first, lambda: first.machine.pages_confirmed == 1)

        def broken(*_, **__):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(receiver.Path, "unlink", broken)
        line.call.change_media(T38)
        ended = await finished(line, first)
        assert not ended.t38
        assert (tmp_path / page_name(1)).exists()
        assert line.wire.closed

    told(story)


def test_the_core_may_change_the_law_of_g711(tmp_path, files):
    """A re-INVITE from mu-law to A-law in the middle of a call: both ways, and T.30 goes on."""

    async def story():
        line = ReceiverLine(tmp_path, G711)
        before = (await line.tick([]))[-1]
        line.call.change_media(G711_A)
        (after,) = await line.tick([])
        assert [packet[1] & 0x7F for packet in (before, after)] == [0, 8]
        assert int.from_bytes(after[2:4], "big") == int.from_bytes(before[2:4], "big") + 1

    told(story)


def test_the_core_may_change_the_limit_of_t38(tmp_path):
    """A re-INVITE within T.38: shorter datagrams, parity; their count goes on."""

    async def story():
        line = ReceiverLine(tmp_path, T38)

        async def sent(count):
            found = []
            while len(found) < count:
                found += await line.tick([])
            return found

        before = await sent(8)
        line.call.change_media(
            Media(*SENDER, 0, t38=True, max_datagram=20, correction="t38UDPNoEC")
        )
        after = await sent(3)
        assert max(map(len, before)) > max(map(len, after)) <= 20
        assert read_primary(after[0])[0] == read_primary(before[-1])[0] + 1
        line.call.hang_up()
        await line.tick([])

    told(story)


@pytest.mark.parametrize("media", [G711, T38])
def test_nobody_else_can_take_a_fax_over(tmp_path, files, media):
    """What a stranger sends to the port is dropped and counted; the fax goes where it went."""

    async def story():
        line = ReceiverLine(tmp_path, media)
        sender, thief = ((OverUdptl if media.t38 else OverRtp)(files[0]) for _ in range(2))
        await line.tick(thief.say(), STRANGER)  # first of all
        strange = 0
        for _ in range(200):
            said = thief.say()
            strange += len(said)
            line.wire.coming.extend((data, STRANGER) for data in said)
            line.wire.gone.clear()
            sender.hear(await line.tick(sender.say()))
        ended = await finished(line, sender)
        assert ended.complete
        assert ended.bad_packets >= strange
        assert kept(tmp_path) == bitmaps(files[:1])

    told(story)


def test_media_may_come_from_another_port_of_the_core(tmp_path, files):
    """Behind a core that relays media without saying so: we answer to where it comes from."""

    async def story():
        line = ReceiverLine(tmp_path, G711)
        await line.tick([])
        sender = OverRtp(files[0])
        line.wire.coming.extend((data, (CORE, 7000)) for data in sender.say())
        line.call.beat(line.now + 0.04)
        assert line.wire.gone[-1][1] == (CORE, 7000)

    told(story)


def test_room_that_is_never_granted_holds_nobody(tmp_path, files, monkeypatch):
    """The server's answer is lost: the page is not confirmed, and the call still ends."""
    monkeypatch.setattr(receiver, "ROOM_SECONDS", 0.0)

    async def story():
        line = ReceiverLine(tmp_path, G711)
        line.child.grants = False
        sender = OverRtp(files[0])
        ended = await finished(line, sender)
        assert (ended.complete, sender.machine.pages_confirmed) == (False, 0)

    told(story)


def test_a_page_that_fails_in_no_foreseen_way_is_not_confirmed(tmp_path, files, monkeypatch):
    """A defect of ours, or no memory: the sender learns of it, and the server that the call is over."""

    def broken(*_, **__):
        raise MemoryError

    monkeypatch.setattr(receiver, "read_received_page", broken)

    async def story():
        line = ReceiverLine(tmp_path, G711)
        sender = OverRtp(files[0])
        ended = await finished(line, sender)
        assert ended.detail == "the page could not be stored"
        assert sender.machine.pages_confirmed == 0

    told(story)


@pytest.mark.parametrize("worse", [False, True])
def test_a_defect_ends_one_call(tmp_path, monkeypatch, worse):
    """The server hears of it once, even where the call cannot be ended in an orderly way."""

    async def story():
        line = ReceiverLine(tmp_path, G711)

        def broken(*_):
            raise ZeroDivisionError

        monkeypatch.setattr(line.call, "beat", broken)
        if worse:
            monkeypatch.setattr(line.call, "hang_up", broken)
        await line.tick([])
        await line.tick([])
        (ended,) = line.child.said
        assert ended == Ended(
            "call",
            complete=False,
            detail="the fax receiver failed",
            ecm=ended.ecm,
            y_resolution_dpi=ended.y_resolution_dpi,
            bit_rate=ended.bit_rate,
        )

    told(story)


def test_a_call_without_media_ends(tmp_path):
    """Half a minute of nothing; T.30 may have given up a little before."""

    async def story():
        line = ReceiverLine(tmp_path, T38)
        for _ in range(NO_MEDIA_TICKS + 2):
            await line.tick([])
        assert not line.child.ended.complete
        assert line.wire.closed

    told(story)


@pytest.mark.parametrize("media", [G711, T38])
def test_one_child_serves_many_calls_in_the_memory_of_one(tmp_path, media):
    """A modem is some 100 kB: 300 that were left behind would be seen."""

    def resident_octets():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    async def calls(count):
        for _ in range(count):
            line = ReceiverLine(tmp_path, media)
            for _ in range(10):
                await line.tick([])
            line.call.hang_up()
            await line.tick([])
            assert line.wire.closed

    async def story():
        await calls(50)
        before = resident_octets()
        await calls(300)
        assert resident_octets() - before < 6_000_000

    told(story)


def test_a_call_whose_socket_did_not_come_is_told(tmp_path):
    """This process had no descriptor left for it (SCM_RIGHTS then come empty)."""

    async def story():
        server, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(server), closing(control):
            child = receiver.Receiver(control)
            order = Receive("call", str(tmp_path), "1", True, 1, G711, 1, 1, 1)
            server.send(encode(order))
            child._readable()
            assert receiver.decode(server.recv(4096)) == Ended(
                "call", complete=False, detail="no socket"
            )

    told(story)


def test_a_page_that_is_ready_after_the_server_has_gone_is_refused():
    """A slow disk: the server died while the page was read. The child must not wait for its word."""

    async def story():
        server, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.close()
        with control:
            child = receiver.Receiver(control)
            await asyncio.wait_for(child.run(), 10)
            call = receiver._Call.__new__(receiver._Call)
            call.id, call._child, call._answers = "call", child, {}
            call._loop = asyncio.get_running_loop()
            assert not await asyncio.wait_for(call._has_room(1, 1000), 10)

    asyncio.run(story())

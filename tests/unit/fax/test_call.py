"""Fax calls on the server's side, over the memory stores, with a child that the test plays."""

import asyncio
import re
import socket
import subprocess
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import default

import pytest

from fax.app import FaxService, FaxSettings, Outcome
from fax.keep import page_name
from fax.protocol import Ended, Media
from fax.room import FIRST_PAGE_OCTETS, message_octets
from fax.tiff import read_pages, write_page
from tests.support.fake_call import CALLER, FakeCall
from tests.support.house import DOMAIN, NUMBER, House, incoming
from tests.support.tiffs import (
    READABLE,
    damaged_set,
    readable_page,
    salvageable_set,
    text_page,
    tiff,
    truncated_strip,
)
from um.core.errors import QuotaExceededError, RefusedDocumentError, UnavailableError
from um.core.ids import E164
from um.core.message import MessageKind
from um.mime.build.caller import shown_number
from um.telephony.application import EndReason, FaxMedia, MediaHandOver
from um.telephony.t38 import T38Terms
from um.telephony.udptl import ErrorCorrection

PAGES = [tiff([text_page(name, rows=300)]) for name in ("one", "two", "three")]


class PlayedChild:
    """`fax.child.FaxChild` in name: the test says what the child does."""

    def __init__(self):
        self.running = True
        self.order = None
        self.call = None
        self.media = None
        self.hung_up = []
        self.changes = []

    def check_running(self):
        if not self.running:
            raise UnavailableError

    def receive(self, order, media, call):
        media.close()
        self.check_running()
        self.order, self.call = order, call

    def change_media(self, call, media):
        assert call == self.order.call
        self.changes.append(media)

    def hang_up(self, call):
        self.hung_up.append(call)

    async def close(self):
        pass


@dataclass
class FaxCallOnPaper(FakeCall):
    """A fake call that may be rejected and gives its media away."""

    rejected: tuple | None = None
    t38: T38Terms | None = None
    sockets: list = field(default_factory=list)

    def reject(self, status, reason):
        self.rejected = (status, reason)

    def hand_over_media(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sockets.append(sock)
        return MediaHandOver(sock, ("192.0.2.7", 4000), 0, 20, 11, 22, 33, self.t38)


class Story:
    """A house with one account, a fax service and its played child."""

    def __init__(self, **settings):
        self.house = House()
        self.steps = []
        self.fax = FaxService(
            self.house.spool,
            self.house.delivery,
            self.house.store,
            self.house.quarantine,
            self.house.clock,
            FaxSettings(domain=DOMAIN, pdf_workers=1, **settings),
            steps=self.steps.append,
        )
        self.child = self.fax.child = PlayedChild()
        self.account = None

    async def ring(self, **changes):
        call = FaxCallOnPaper.to(self.account, NUMBER, **changes)
        application = self.fax.application(call)
        await self.settle()
        return call, application

    async def settle(self):
        for _ in range(50):
            await asyncio.sleep(0)

    async def page(self, number):
        """The child keeps a page if it is granted; returns whether it was."""
        octets = PAGES[number - 1]
        granted = await self.child.call.page_waiting(number, len(octets))
        if granted:
            (entry,) = self.house.spool.entries.values()
            (entry.folder / page_name(number)).write_bytes(octets)
            self.child.call.page_kept(number)
        return granted

    def over(self, *, complete=True, detail="OK", station_id="+1 555 000"):
        facts = {"station_id": station_id, "bit_rate": 14400, "ecm": True}
        self.child.call.ended_by_child(
            Ended(
                self.child.order.call,
                complete=complete,
                detail=detail,
                y_resolution_dpi=98,
                **facts,
            )
        )

    async def inbox(self):
        def inbox_txn(tx):
            mailbox = tx.mailboxes.by_name(self.account.id, "INBOX")
            entries = tx.messages.entries(mailbox.id)
            contents = tx.messages.contents([entry.content_id for entry in entries])
            return [(entry, contents[entry.content_id]) for entry in entries]

        found = await self.house.store.read("inbox", inbox_txn)
        return [
            (
                entry,
                content,
                message_from_bytes(await self.house.blobs.get(content.blob), policy=default),
            )
            for entry, content in found
        ]

    def quarantined(self):
        return [data for _, data, _ in self.house.quarantine.documents.values()]

    async def history(self):
        calls = await self.house.store.read("h", lambda tx: tx.records.calls_of(self.account.id))
        return [(call.kind, call.caller, call.detail) for call in calls]

    async def fill(self, left):
        """Leave so many octets free."""
        usage = await self.house.usage(self.account.id)
        size = usage.limit_octets - usage.used_octets - usage.reserved_octets - left
        await self.house.delivery.deliver(incoming(self.account, "fill", size_octets=size))


def story(tell, **settings):
    """Run an async test."""

    async def told():
        one = Story(**settings)
        one.account = await one.house.add(quota_octets=2_000_000)
        await tell(one)
        await one.fax.close()

    asyncio.run(told())


def test_a_fax_is_in_the_mailbox():
    """Two pages, hang-up: one PDF, the facts of the call, the room given back, the spool empty."""

    async def tell(one):
        call, application = await one.ring()
        assert call.answered
        application.answered()
        order = one.child.order
        assert (order.station_id, order.media.host, order.media.port) == (NUMBER, "192.0.2.7", 4000)
        assert (order.sequence, order.timestamp, order.ssrc) == (11, 22, 33)
        assert await one.page(1)
        assert await one.page(2)
        one.house.clock.advance(40)
        one.over()
        assert call.hung_up == 0  # it is the sender's to hang up, for two seconds
        call.fire_timers()
        assert call.hung_up == 1
        application.ended(EndReason.APPLICATION)
        await one.fax.drain()
        ((entry, content, message),) = await one.inbox()
        assert entry.kind is MessageKind.FAX
        assert content.pages == 2
        assert message["Subject"] == "Fax from +1 555 000, 2 pages"
        assert message["X-FaxNumberOfPages"] == "2"
        text, pdf = message.iter_parts()
        assert "Result: complete" in text.get_content()
        assert "Rate: 14400 bit/s" in text.get_content()
        assert "Resolution: standard" in text.get_content()
        assert pdf.get_content().startswith(b"%PDF-")
        assert await one.history() == [("fax", CALLER, "2 pages")]
        assert (await one.house.usage(one.account.id)).reserved_octets == 0
        assert one.house.spool.entries == {}
        assert one.steps == ["spool.synced", "spool.synced", "delivery.acknowledging"]

    story(tell)


def test_a_broken_off_fax_keeps_its_pages_and_says_partial():
    """Hang-up in the second page."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        application.ended(EndReason.CALLER)
        assert one.child.hung_up == [one.child.order.call]
        one.over(complete=False, detail="the sender hung up")
        await one.fax.drain()
        ((_, content, message),) = await one.inbox()
        assert content.pages == 1
        assert message["Subject"].endswith("partial, 1 page received")
        assert "partial: the sender hung up" in next(message.iter_parts()).get_content()

    story(tell)


def test_a_full_disk_does_not_hide_why_the_fax_broke_off():
    """The entry cannot be sealed: the message says all the same who sent it and what went wrong."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        one.house.spool.unavailable = True
        one.over(complete=False, detail="the page could not be stored")
        await one.fax.drain()
        ((_, content, message),) = await one.inbox()
        assert content.pages == 1
        assert str(message["Subject"]).startswith("Fax from +1 555 000, partial")
        assert "the page could not be stored" in next(message.iter_parts()).get_content()

    story(tell)


def test_a_call_without_a_page_is_a_missed_fax():
    """A line in the history, no message, room and spool given back."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        one.over(complete=False, detail="no fax machine")
        await one.fax.drain()
        assert await one.inbox() == []
        assert await one.history() == [("missed-fax", CALLER, "no fax machine")]
        assert (await one.house.usage(one.account.id)).reserved_octets == 0
        assert one.house.spool.entries == {}

    story(tell)


def test_a_sender_that_gives_up_before_the_answer_leaves_nothing():
    """CANCEL while room is being reserved, or just after."""

    async def tell(one):
        call = FaxCallOnPaper.to(one.account, NUMBER)
        one.fax.application(call).ended(EndReason.CALLER)
        await one.fax.drain()
        assert not call.answered
        _, application = await one.ring()
        application.ended(EndReason.CALLER)
        await one.fax.drain()
        assert [line[0] for line in await one.history()] == ["missed-fax"]
        assert one.house.spool.entries == {}
        assert (await one.house.usage(one.account.id)).reserved_octets == 0

    story(tell)


def test_a_full_mailbox_is_refused_before_the_first_page():
    """486, no answer, a line in the history."""

    async def tell(one):
        await one.fill(FIRST_PAGE_OCTETS - 1)
        call, _ = await one.ring()
        assert not call.answered
        assert call.rejected == (486, "Busy Here")
        assert await one.history() == [("refused", CALLER, "quota-exceeded")]

    story(tell)


def test_a_page_without_room_is_refused_and_the_earlier_ones_are_delivered():
    """The reservation grows page by page, up to the quota and never past it."""

    async def tell(one):
        await one.fill(FIRST_PAGE_OCTETS)
        _, application = await one.ring()
        application.answered()
        assert await one.page(1)
        too_much = FIRST_PAGE_OCTETS
        assert not await one.child.call.page_waiting(2, too_much)
        assert message_octets(too_much, 2) > FIRST_PAGE_OCTETS
        one.over(complete=False, detail="there is no room for the page")
        await one.fax.drain()
        contents = [content for entry, content, _ in await one.inbox() if entry.kind == "fax"]
        assert [content.pages for content in contents] == [1]
        usage = await one.house.usage(one.account.id)
        assert usage.used_octets <= usage.limit_octets

    story(tell)


@pytest.mark.parametrize("trouble", ["spool", "child", "store"])
def test_what_cannot_be_kept_is_not_answered(trouble):
    """No disk, no child, no database: 503, and the room is given back."""

    async def tell(one):
        if trouble == "spool":
            one.house.spool.unavailable = True
        elif trouble == "child":
            one.child.running = False
        else:

            async def gone(*_args):
                raise UnavailableError

            one.fax.delivery._store.run, kept = gone, one.fax.delivery._store.run
        call, _ = await one.ring()
        if trouble == "store":
            one.fax.delivery._store.run = kept
        assert not call.answered
        assert call.rejected == (503, "Service Unavailable")
        assert (await one.house.usage(one.account.id)).reserved_octets == 0

    story(tell)


def test_a_child_that_is_gone_at_the_answer_ends_the_call():
    """The sender is hung up on, and the call is a missed fax."""

    async def tell(one):
        call, application = await one.ring()
        one.child.running = False
        application.answered()
        assert call.hung_up == 1
        application.ended(EndReason.APPLICATION)
        await one.fax.drain()
        assert [line[0] for line in await one.history()] == ["missed-fax"]

    story(tell)


def test_a_voice_call_that_turns_out_to_be_a_fax_is_taken():
    """The call is up before the application begins: the child gets the line when all is ready."""

    async def tell(one):
        call = FaxCallOnPaper.to(one.account, NUMBER)
        application = one.fax.application(call)
        application.answered()
        assert one.child.order is None
        await one.settle()
        assert not call.answered
        assert one.child.order.station_id == NUMBER
        await one.page(1)
        one.over()
        await one.fax.drain()
        assert len(await one.inbox()) == 1
        await one.fill(FIRST_PAGE_OCTETS - 1)
        full = FaxCallOnPaper.to(one.account, NUMBER)
        one.fax.application(full).answered()
        await one.settle()
        assert full.hung_up == 1
        assert full.rejected is None

    story(tell)


def test_what_a_dead_process_left_is_delivered_once():
    """Replay: the kept pages as a partial fax; a second replay of the same entry makes no copy."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        await one.page(2)
        (entry,) = one.house.spool.entries.values()
        pages = {name: entry.read(name) for name in entry.names()}
        assert await one.fax.recover(entry) is Outcome.DELIVERED
        entry.folder.mkdir()
        for name, octets in pages.items():
            (entry.folder / name).write_bytes(octets)
        assert await one.fax.recover(entry) is Outcome.DELIVERED
        ((_, content, message),) = await one.inbox()
        assert content.pages == 2
        assert message["Subject"].endswith("partial, 2 pages received")

    story(tell)


def test_a_fax_waits_for_the_storage():
    """The database is away at the end of the call: the fax is delivered when it is back."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        read = one.house.store.read

        async def gone(*_args):
            raise UnavailableError

        one.house.store.read = gone
        one.over()
        await one.fax.drain()
        assert await one.fax.retry_pending() == 1
        one.house.store.read = read
        one.house.clock.advance(2)
        assert await one.fax.retry_pending() == 0
        assert len(await one.inbox()) == 1

    story(tell)


def test_a_kept_page_that_rots_is_noted_and_its_original_kept():
    """A disk that lies: the other page is delivered, the originals go to quarantine."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        await one.page(2)
        (entry,) = one.house.spool.entries.values()
        (entry.folder / page_name(2)).write_bytes(truncated_strip(PAGES[1]))
        one.over()
        await one.fax.drain()
        ((_, content, message),) = await one.inbox()
        assert content.pages == 1
        assert "partial, 1 of 2 pages received" in message["Subject"]
        text = next(message.iter_parts()).get_content()
        assert "Result: partial: 1 of its pages could not be read" in text
        assert "Page 2 could not be read" in next(message.iter_parts()).get_content()
        assert len(one.quarantined()) == 2

    story(tell)


async def by_hand(one, data):
    return await one.fax.deliver_document(
        one.account, data, number=E164(NUMBER), caller_number=CALLER
    )


def test_a_tiff_by_hand_is_a_fax():
    """`um deliver fax`: whole, and with a history."""

    async def tell(one):
        await by_hand(one, tiff([text_page("a"), text_page("b")]))
        ((entry, content, message),) = await one.inbox()
        assert (entry.kind, content.pages) == (MessageKind.FAX, 2)
        assert "partial" not in message["Subject"]
        assert len(await one.history()) == 1
        assert one.quarantined() == []

    story(tell)


def test_a_damaged_tiff_by_hand_is_delivered_with_a_note_and_its_original_kept():
    """The page that decodes, the sentence, the quarantine."""

    async def tell(one):
        damaged = truncated_strip(tiff([text_page("a"), text_page("b")]), page=1)
        await by_hand(one, damaged)
        ((_, content, message),) = await one.inbox()
        assert content.pages == 1
        assert "Page 2 could not be read" in next(message.iter_parts()).get_content()
        assert one.quarantined() == [damaged]

    story(tell)


def test_a_document_that_is_refused_stays_in_quarantine():
    """With the reason; nothing is delivered."""

    async def tell(one):
        with pytest.raises(RefusedDocumentError, match="no TIFF"):
            await by_hand(one, b"<html>")
        assert await one.inbox() == []
        assert one.quarantined() == [b"<html>"]

    story(tell)


def test_every_damaged_document_is_delivered_or_refused_and_kept():
    """The whole set by the one path: what came out of it, and the original in quarantine."""
    sets = {name: (data, 0) for name, data in damaged_set().items()}
    sets |= {name: each[:2] for name, each in salvageable_set().items()}

    async def tell(one):
        expected = []
        for name, (data, pages) in sets.items():
            try:
                await by_hand(one, data)
                assert pages, name
            except RefusedDocumentError:
                assert not pages, name
            if name != "IFD loop":  # all its pages are whole
                expected.append(data)
        assert sorted(one.quarantined()) == sorted(expected)
        delivered = [content.pages for _, content, _ in await one.inbox()]
        assert delivered == [pages for _, pages in sets.values() if pages]

    story(tell)


def test_a_document_by_hand_obeys_the_quota():
    """No promise was made for it."""

    async def tell(one):
        await one.fill(3000)
        with pytest.raises(QuotaExceededError):
            await by_hand(one, tiff([text_page("a")]))

    story(tell)


def words_in(pdf, folder):
    """What poppler finds to read in a PDF."""
    (folder / "fax.pdf").write_bytes(pdf)
    command = ["pdftotext", "-layout", folder / "fax.pdf", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_line_above_a_page_says_who_when_and_which(tmp_path):
    """Station and number, the account's own time, the page; a hostile station writes plain letters."""

    async def tell(one):
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        await one.page(2)
        one.over(complete=False, station_id="+1 555\r\n\0\u202e(evil")
        await one.fax.drain()
        ((_, _, message),) = await one.inbox()
        _, pdf = message.iter_parts()
        first, second, *_ = words_in(pdf.get_content(), tmp_path).split("\f")
        line = rf"2026-\S+ \S+ E[SD]T +From \+1 555 \(evil \({re.escape(shown_number(CALLER))}\)"
        assert re.search(rf"{line} +To {re.escape(NUMBER)} +partial +Page 1 of 2", first)
        assert "Page 2 of 2" in second


# ---- T.38

TERMS = T38Terms(max_datagram=72, correction=ErrorCorrection.FEC, local_tcf=True)
T38_MEDIA = Media(
    "192.0.2.7",
    4002,
    0,
    t38=True,
    max_datagram=72,
    correction="t38UDPFEC",
    local_tcf=True,
)


def test_t38_is_offered_a_moment_after_the_fax_has_begun():
    """2.5 s: the core may be first; once the fax is over nothing is offered."""

    async def tell(one):
        call, application = await one.ring()
        application.answered()
        assert [seconds for seconds, _ in call.timers] == [2.5]
        assert not one.child.order.media.t38
        call.fire_timers()
        assert call.t38_offers == 1
        one.over()
        application._offer_t38()
        assert call.t38_offers == 1
        application.ended(EndReason.CALLER)

    story(tell)


def test_without_the_line_a_page_is_the_image_alone(tmp_path):
    """`fax.header_line = false`."""

    async def tell(one):
        await by_hand(one, tiff([text_page("a")]))
        ((_, _, message),) = await one.inbox()
        _, pdf = message.iter_parts()
        assert words_in(pdf.get_content(), tmp_path).strip() == ""

    story(tell, header_line=False)


def test_the_words_of_a_fax_are_in_its_text_and_its_document(tmp_path):
    """`fax.ocr = true`: a received one and one by hand; the room that was reserved is enough."""

    async def tell(one):
        PAGES[0], kept = tiff([readable_page()]), PAGES[0]
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        PAGES[0] = kept
        one.over()
        await one.fax.drain()
        await by_hand(one, tiff([text_page("a", rows=20), readable_page()]))
        found = [message for _, _, message in await one.inbox()]
        for message, page in zip(found, (1, 2), strict=True):
            text, pdf = message.iter_parts()
            assert f"[Page {page}]\r\n{READABLE[0]}" in text.get_content()
            assert (
                READABLE[1].split()
                == re.findall(r"The.*dog", words_in(pdf.get_content(), tmp_path))[0].split()
            )

    story(tell, ocr=True)


def test_a_fax_does_not_wait_for_its_text():
    """The time is up, or the server closes: it is delivered without."""

    async def tell(one):
        await by_hand(one, tiff([readable_page()]))
        one.fax._reader.close()
        await by_hand(one, tiff([readable_page()]))
        for _, content, message in await one.inbox():
            assert content.pages == 1
            assert "[Page 1]" not in next(message.iter_parts()).get_content()

    story(tell, ocr=True, ocr_seconds=0.01)


def test_lines_that_came_damaged_are_counted():
    """What the receiver noted in a kept page is told for each page."""

    async def tell(one):
        (page,) = read_pages(PAGES[0])
        noted, kept = write_page(replace(page, bad_rows=12)), PAGES[1]
        _, application = await one.ring()
        application.answered()
        await one.page(1)
        PAGES[1] = noted
        await one.page(2)
        PAGES[1] = kept
        one.over()
        await one.fax.drain()
        ((_, _, message),) = await one.inbox()
        assert message["X-UM-Fax-Bad-Lines"] == "0, 12"
        assert "Bad lines: 12 on page 2" in next(message.iter_parts()).get_content()


def test_the_child_is_told_of_other_media():
    """Where UDPTL goes, how long its datagrams may be, what makes them good; not after the end."""

    async def tell(one):
        call, application = await one.ring()
        application.answered()
        call.media_changed(FaxMedia(("192.0.2.7", 4002), 0, TERMS))
        call.media_changed(FaxMedia(("192.0.2.7", 4004), 8, None))
        assert one.child.changes == [T38_MEDIA, Media("192.0.2.7", 4004, 8)]
        one.over()
        call.media_changed(FaxMedia(("192.0.2.7", 4002), 0, TERMS))
        assert len(one.child.changes) == 2
        application.ended(EndReason.CALLER)

    story(tell)


def test_a_call_that_is_t38_from_the_start_is_handed_over_as_such():
    """Then there is nothing to offer."""

    async def tell(one):
        call, application = await one.ring(t38=TERMS)
        application.answered()
        assert one.child.order.media == replace(T38_MEDIA, port=4000)
        assert call.timers == []
        one.over()
        application.ended(EndReason.CALLER)

    story(tell)


@pytest.mark.parametrize(
    ("settings", "takes"),
    [({"enable_t38": False}, False), ({"t38_offer_seconds": 0}, True)],
)
def test_t38_can_be_switched_off_or_left_to_the_core(settings, takes):
    """fax.enable_t38, fax.t38_offer_seconds."""

    async def tell(one):
        one.fax.settings = replace(one.fax.settings, **settings)
        call, application = await one.ring()
        application.answered()
        assert (call.media_changed is not None, call.timers) == (takes, [])
        one.over()
        application.ended(EndReason.CALLER)

    story(tell)

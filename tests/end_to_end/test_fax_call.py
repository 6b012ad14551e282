"""Fax calls into a real server from a sending machine in a process of its own, in real time."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from fax.room import FIRST_PAGE_OCTETS, message_octets
from tests.support.fax_call import start
from tests.support.fax_child import child_of
from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.inbox import PASSWORD, check_books, connect, read_inbox, send_lmtp
from tests.support.relay import Profile, RtpRelay
from tests.support.server import Server
from tests.support.speech import correlates, decode_mp3, duration, say
from tests.support.t38_call import send_t38
from tests.support.telephone import HangUp, Press, Say, Silence, Telephone, WaitForBeep
from tests.support.tiffs import FINE, readable_page, text_page, write_tiff
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

NUMBER, BOTH_NUMBER, OFF_NUMBER = "+15551230001", "+15551230002", "+15551230003"
SENT = [text_page("first page", rows=500), text_page("second page", rows=300)]
SPARSE = [text_page(f"page {number}", rows=120, spacing=60) for number in (1, 2, 3)]
MAX_PAGES = 2
SPEECH_SECONDS = 30.0
"""Longer than a fax takes to its second page."""


@pytest.fixture
def server(tmp_path):
    overrides = {"fax": {"max_pages": MAX_PAGES}, "policy": {"quota_octets": 3 * 1_048_576}}
    with Server(tmp_path / "server", overrides=overrides, goes_first=True) as running:
        numbers = [f"{NUMBER}:fax", f"{BOTH_NUMBER}:both"]
        running.add_account("alice", password=PASSWORD, numbers=numbers)
        yield running


def start_machine(server, file, *, number=NUMBER, **options):
    """A sending fax machine that has begun to call."""
    where = server.address("sip")
    return start((where.host, where.port), uri(server, number), file, **options)


def uri(server, number):
    where = server.address("sip")
    return f"sip:{number}@{where.host}:{where.port}"


def inbox(server, count=1):
    return wait_for(
        lambda: len(found := read_inbox(server, "alice")) >= count and found,
        f"{count} messages",
        30,
    )


def pages_of(message):
    """The pages of the fax's only PDF, as poppler decodes them."""
    _, pdf = message.iter_parts()
    assert pdf.get_content_type() == "application/pdf"
    return pages_of_pdf(pdf.get_content())


def kept_pages(server):
    return sorted(server.data_dir.glob("spool/*/*/page-*.tif"))


def test_faxes_at_once_arrive_dot_for_dot(server, tmp_path):
    """Fine with ECM, standard without, over a bad line, into a recording: each PDF is what was sent.

    In one call 0.5 % of the packets are lost. In another one a person calls the number for voice and
    fax, and the machine begins after the beep: it is a fax and no message. So it is in the announcement
    of an account that has switched its voicemail off.
    """
    server.add_account("carla", password=PASSWORD, numbers=[f"{OFF_NUMBER}:both"])
    server.um("account", "voicemail", "carla", "off")
    fine = write_tiff(tmp_path / "fine.tif", SENT, dpi=FINE)
    standard = write_tiff(tmp_path / "standard.tif", SENT[:1])
    sparse = write_tiff(tmp_path / "sparse.tif", SPARSE[:1])
    machines = [
        start_machine(server, fine, caller="+15550000111"),
        start_machine(server, standard, ecm=False, caller="+15550000222"),
        start_machine(server, fine, loss=0.005, caller="+15550000333"),
        start_machine(server, sparse, number=BOTH_NUMBER, after_beep=True, caller="+15550000444"),
        start_machine(server, sparse, number=OFF_NUMBER, caller="+15550000555"),
    ]
    sent = [machine.result() for machine in machines]
    assert [(each.code, each.pages_confirmed, each.ecm) for each in sent] == [
        (0, 2, True),
        (0, 1, False),
        (0, 2, True),
        (0, 1, True),
        (0, 1, True),
    ]
    found = inbox(server, 4)
    by_subject = {str(each.message["Subject"]): each.message for each in found}
    assert sorted(by_subject) == [
        "Fax from +15550000111, 2 pages",
        "Fax from +15550000222, 1 page",
        "Fax from +15550000333, 2 pages",
        "Fax from +15550000444, 1 page",
    ]
    message = by_subject["Fax from +15550000111, 2 pages"]
    assert same_pixels(SENT, pages_of(message))
    text = next(message.iter_parts()).get_content()
    assert "Resolution: fine" in text
    assert "Result: complete" in text
    # Without ECM, too: no bits are lost on loopback.
    assert same_pixels(SENT[:1], pages_of(by_subject["Fax from +15550000222, 1 page"]))
    assert same_pixels(SENT, pages_of(by_subject["Fax from +15550000333, 2 pages"]))
    assert same_pixels(SPARSE[:1], pages_of(by_subject["Fax from +15550000444, 1 page"]))
    check_books(server, "alice", found)
    (heard,) = wait_for(lambda: read_inbox(server, "carla"), "the fax without voicemail", 30)
    assert same_pixels(SPARSE[:1], pages_of(heard.message))
    assert not list(server.data_dir.glob("spool/*/*/*"))


def test_faxes_over_t38_survive_a_bad_network(server, tmp_path):
    """10 and 15 % of the UDPTL datagrams lost, others overtaken or doubled: every dot arrives."""
    file = write_tiff(tmp_path / "sparse.tif", SPARSE[:MAX_PAGES])
    where = server.address("sip")

    def send(number, loss):
        profile = Profile(loss=loss, reorder=0.05, reorder_by=3, duplicate=0.05, seed=number)
        with RtpRelay(profile) as relay:
            caller = f"+1555000077{number}"
            sent = send_t38((where.host, where.port), NUMBER, file, relay, caller=caller)
            return sent, relay.network.lost / relay.network.passed

    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(send, (1, 2), (0.10, 0.15)))
    assert [(sent.code, sent.pages_confirmed) for sent, _ in outcomes] == [(0, MAX_PAGES)] * 2
    assert all(share > 0.07 for _, share in outcomes)
    found = inbox(server, 2)
    for each in found:
        assert same_pixels(SPARSE[:MAX_PAGES], pages_of(each.message))
        assert "Result: complete" in next(each.message.iter_parts()).get_content()
    ends = [
        line
        for line in map(json.loads, server.log_text().splitlines())
        if line["event"] == "fax.ended"
    ]
    assert [(line["mode"], line["complete"]) for line in ends] == [("T.38", True)] * 2
    assert all(line["recovered_ifps"] > 10 and line["repeated_datagrams"] > 0 for line in ends)
    check_books(server, "alice", found)


def test_the_death_of_the_child_costs_the_page_in_hand_and_nothing_else(server, tmp_path):
    """SIGKILL after page 1: one page kept and marked partial; the next fax works.

    The server lives: an open IMAP session goes on, and a caller who is speaking notices nothing.
    """
    client = connect(server, "alice")
    client.select("INBOX")
    where = server.address("sip")
    spoken = say(seconds=SPEECH_SECONDS)
    script = [Silence(1), Press("#"), WaitForBeep(15), Say(spoken), HangUp()]
    with ThreadPoolExecutor() as pool:
        speaking = pool.submit(
            Telephone().call, (where.host, where.port), uri(server, BOTH_NUMBER), script
        )
        machine = start_machine(server, write_tiff(tmp_path / "sent.tif", SENT))
        wait_for(lambda: kept_pages(server), "the first page kept")
        first_child = child_of(server)
        assert not speaking.done()
        os.kill(first_child, signal.SIGKILL)
        (found,) = inbox(server)
        assert not speaking.done()
    assert str(found.message["Subject"]).endswith("partial, 1 page received")
    assert same_pixels(SENT[:1], pages_of(found.message))
    assert machine.result().pages_confirmed <= 1
    wait_for(lambda: child_of(server) not in {None, first_child}, "a new child")
    again = start_machine(server, write_tiff(tmp_path / "one.tif", SENT[1:])).result()
    assert again.pages_confirmed == 1
    found = inbox(server, 3)
    assert [each.message["X-UM-Kind"] for each in found] == ["fax", "voice", "fax"]
    (audio,) = [part for part in found[1].message.walk() if part.get_content_type() == "audio/mpeg"]
    heard = decode_mp3(audio.get_content())
    assert correlates(spoken, heard) > 0.9
    assert duration(heard) > SPEECH_SECONDS - 0.5
    assert client.noop()[0] == "OK"
    client.logout()
    check_books(server, "alice", found)


def test_a_page_that_cannot_be_written_is_not_confirmed(server, tmp_path):
    """The disk refuses page 2: the sender counts one page and hears a DCN; one page is delivered."""
    machine = start_machine(server, write_tiff(tmp_path / "sent.tif", SENT))
    (page,) = wait_for(lambda: kept_pages(server), "the first page kept")
    page.with_name("page-0002.tif.new").mkdir()  # nothing can be written by this name
    sent = machine.result()
    assert sent.pages_confirmed == 1
    assert sent.code != 0
    (found,) = inbox(server)
    assert str(found.message["Subject"]).endswith("partial, 1 page received")
    assert "could not be stored" in next(found.message.iter_parts()).get_content()


def test_the_page_after_the_last_one_allowed_is_not_confirmed(server, tmp_path):
    """`max_pages` are delivered and marked; the sender is told by a DCN."""
    sent = start_machine(server, write_tiff(tmp_path / "three.tif", SPARSE)).result()
    assert sent.pages_confirmed == MAX_PAGES
    assert sent.code != 0
    (found,) = inbox(server)
    assert str(found.message["Subject"]).endswith("partial, 2 pages received")
    assert f"more than {MAX_PAGES} pages" in next(found.message.iter_parts()).get_content()
    assert same_pixels(SPARSE[:MAX_PAGES], pages_of(found.message))


def test_the_page_that_the_mailbox_has_no_room_for_is_not_confirmed(tmp_path):
    """The quota ends a fax between two pages; what was confirmed before is delivered within it.

    With text recognition on, a page is promised room for its words, too: the first page's 256 KiB
    are promised away after a few.
    """
    quota, left = 1_048_576, FIRST_PAGE_OCTETS + 10_000
    fit = next(n for n in range(1, 20) if message_octets(1000 * (n + 1), n + 1, ocr=True) > left)
    overrides = {"fax": {"ocr": True}, "policy": {"quota_octets": quota}}
    with Server(tmp_path / "server", overrides=overrides) as server:
        server.add_account("alice", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
        head = b"From: a@example.net\r\nSubject: filler\r\n\r\n"
        assert send_lmtp(server, ["alice@um.example.net"], filled(head, quota - left)) == {}
        pages = [SPARSE[0]] * (fit + 1)
        sent = start_machine(server, write_tiff(tmp_path / "sent.tif", pages)).result()
        assert sent.pages_confirmed == fit
        assert sent.code != 0
        _, found = inbox(server, 2)
        assert str(found.message["Subject"]).endswith(f"partial, {fit} pages received")
        assert "no room" in next(found.message.iter_parts()).get_content()
        shown = server.um_json("account", "show", "alice")
        assert shown["used_octets"] <= quota
        assert shown["reserved_octets"] == 0


def filled(head, size_octets):
    """A mail of about that size."""
    line = b"x" * 70 + b"\r\n"
    return head + line * ((size_octets - len(head)) // len(line))


def test_a_mailbox_that_takes_no_fax_says_so_before_the_first_page(server):
    """By the SIP status, unanswered; and with room again the next call is answered."""
    numbers = {"full": "+15551230010", "suspended": "+15551230011", "closed": "+15551230012"}
    for name, number in numbers.items():
        server.add_account(name, password=PASSWORD, numbers=[f"{number}:fax"])
    mail = filled(b"From: a@example.net\r\nSubject: large\r\n\r\n", 3_000_000)
    assert send_lmtp(server, ["full@um.example.net"], mail) == {}
    server.um("account", "suspend", "suspended", "--reason", "unpaid")
    server.um("account", "close", "closed")
    where = server.address("sip")

    def status(name):
        return Telephone().call((where.host, where.port), uri(server, numbers[name]), []).status

    assert {name: status(name) for name in numbers} == {
        "full": 486,
        "suspended": 480,
        "closed": 410,
    }
    client = connect(server, "full")
    client.select("INBOX")
    client.uid("store", "1", "+FLAGS", "\\Deleted")
    client.expunge()
    client.logout()
    assert status("full") == 200


def test_documents_by_hand(server, tmp_path):
    """`um deliver fax`: a TIFF, a PDF through Ghostscript, and one that is refused with the reason."""
    file = write_tiff(tmp_path / "two.tif", SENT)
    server.um("deliver", "fax", "alice", str(file), "--from", "+15559990000")
    _, pdf = inbox(server)[0].message.iter_parts()
    document = tmp_path / "document.pdf"
    document.write_bytes(pdf.get_content())
    server.um("deliver", "fax", "alice", str(document))
    found = inbox(server, 2)
    assert [each.message["X-FaxNumberOfPages"] for each in found] == ["2", "2"]
    (tmp_path / "no.tif").write_bytes(b"<html>")
    refused = server.um("deliver", "fax", "alice", str(tmp_path / "no.tif"), check=False)
    assert refused.returncode != 0
    assert "no TIFF" in refused.stderr
    check_books(server, "alice", found)


def test_imap_finds_the_words_of_a_fax(tmp_path):
    """`fax.ocr = true`: SEARCH TEXT and BODY find what stands on a page, and nothing else."""
    overrides = {"fax": {"ocr": True}}
    with Server(tmp_path / "server", overrides=overrides) as server:
        server.add_account("alice", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
        for name, pages in (("words", [readable_page()]), ("other", SENT[1:])):
            file = write_tiff(tmp_path / f"{name}.tif", pages)
            server.um("deliver", "fax", "alice", str(file))
        client = connect(server, "alice")
        client.select("INBOX", readonly=True)
        for key, text, found in (
            ("BODY", "brown fox jumps", b"1"),
            ("TEXT", "ANNA BELL", b"1"),
            ("BODY", "Zanzibar", b""),
        ):
            assert client.search(None, key, f'"{text}"')[1] == [found]
        client.logout()

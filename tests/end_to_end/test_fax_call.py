"""Fax calls into a real server from a sending machine in a process of its own, in real time."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.fax_pixels import pages_of_pdf, same_pixels
from tests.support.inbox import PASSWORD, check_books, connect, read_inbox
from tests.support.server import PROJECT, Server
from tests.support.tiffs import FINE, readable_page, text_page, write_tiff

pytestmark = pytest.mark.slow

NUMBER = "+15551230001"
SENT = [text_page("first page", rows=500), text_page("second page", rows=300)]
LIMIT_SECONDS = 120


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path / "server") as running:
        running.add_account("alice", password=PASSWORD, numbers=[f"{NUMBER}:fax"])
        yield running


def start_machine(server, file, *options):
    """A sending fax machine that has begun to call."""
    where = server.address("sip")
    command = [
        sys.executable,
        "-m",
        "tests.support.fax_call",
        "--sip",
        f"{where.host}:{where.port}",
        "--to",
        f"sip:{NUMBER}@{where.host}:{where.port}",
        *options,
        str(file),
    ]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def result_of(machine):
    out, _ = machine.communicate(timeout=LIMIT_SECONDS)
    return json.loads(out.splitlines()[-1])


def wait_for(condition, what, seconds=LIMIT_SECONDS):
    """Look again every 50 ms; fails with `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        select.select([], [], [], 0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


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


def child_of(server):
    """The process id of the server's fax child."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        if parent == server.pid and b"fax.receiver" in command:
            return int(status.parent.name)
    return None


def test_two_faxes_at_once_arrive_dot_for_dot(server, tmp_path):
    """Fine with ECM and standard without: each PDF is what its sender sent."""
    fine = write_tiff(tmp_path / "fine.tif", SENT, dpi=FINE)
    standard = write_tiff(tmp_path / "standard.tif", SENT[:1])
    first = start_machine(server, fine, "--caller", "+15550000111")
    second = start_machine(server, standard, "--no-ecm", "--caller", "+15550000222")
    sent, other = result_of(first), result_of(second)
    assert (sent["code"], sent["pages_confirmed"], sent["ecm"]) == (0, 2, True)
    assert (other["code"], other["pages_confirmed"], other["ecm"]) == (0, 1, False)
    found = inbox(server, 2)
    by_subject = {str(each.message["Subject"]): each.message for each in found}
    assert sorted(by_subject) == ["Fax from +15550000111, 2 pages", "Fax from +15550000222, 1 page"]
    message = by_subject["Fax from +15550000111, 2 pages"]
    assert same_pixels(SENT, pages_of(message))
    text = next(message.iter_parts()).get_content()
    assert "Resolution: fine" in text
    assert "Result: complete" in text
    # Without ECM, too: no bits are lost on loopback.
    assert same_pixels(SENT[:1], pages_of(by_subject["Fax from +15550000222, 1 page"]))
    check_books(server, "alice", found)
    assert not list(server.data_dir.glob("spool/*/*/receiving.tif"))


def test_the_death_of_the_child_costs_the_page_in_hand_and_nothing_else(server, tmp_path):
    """SIGKILL after page 1: one page kept and marked partial, the server lives, the next fax works."""
    file = write_tiff(tmp_path / "sent.tif", SENT)
    machine = start_machine(server, file)
    wait_for(lambda: kept_pages(server), "the first page kept")
    first_child = child_of(server)
    os.kill(first_child, signal.SIGKILL)
    (found,) = inbox(server)
    assert str(found.message["Subject"]).endswith("partial, 1 page received")
    assert same_pixels(SENT[:1], pages_of(found.message))
    assert result_of(machine)["pages_confirmed"] <= 1
    wait_for(lambda: child_of(server), "a new child")
    assert child_of(server) != first_child
    again = result_of(start_machine(server, write_tiff(tmp_path / "one.tif", SENT[1:])))
    assert again["pages_confirmed"] == 1
    check_books(server, "alice", inbox(server, 2))


def test_the_death_of_the_server_keeps_the_confirmed_page(server, tmp_path):
    """SIGKILL of the server after page 1: after the restart exactly one fax of one page."""
    machine = start_machine(server, write_tiff(tmp_path / "sent.tif", SENT))
    wait_for(lambda: kept_pages(server), "the first page kept")
    child = child_of(server)
    server.kill9()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), "the child gone with its server", 10)
    machine.kill()
    machine.wait()
    server.start()
    (found,) = inbox(server)
    assert str(found.message["Subject"]).endswith("partial, 1 page received")
    assert same_pixels(SENT[:1], pages_of(found.message))
    check_books(server, "alice", [found])
    assert kept_pages(server) == []


def test_a_page_that_cannot_be_written_is_not_confirmed(server, tmp_path):
    """The disk refuses page 2: the sender counts one page and hears a DCN; one page is delivered."""
    machine = start_machine(server, write_tiff(tmp_path / "sent.tif", SENT))
    (page,) = wait_for(lambda: kept_pages(server), "the first page kept")
    page.with_name("page-0002.tif.new").mkdir()  # nothing can be written by this name
    sent = result_of(machine)
    assert sent["pages_confirmed"] == 1
    assert sent["code"] != 0
    (found,) = inbox(server)
    assert str(found.message["Subject"]).endswith("partial, 1 page received")
    assert "could not be stored" in next(found.message.iter_parts()).get_content()


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

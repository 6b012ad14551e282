"""The export: everything in one zip, made beside everything else, fetched piece by piece, gone in a day."""

import io
import json
import mailbox
import zipfile
from datetime import datetime, timedelta

import pytest

from tests.support.house import mail
from tests.support.portal_house import PortalHouse, text_of
from tests.support.web_house import run
from um.core.account import CallRecord, GreetingKind
from um.core.errors import UnavailableError
from um.core.message import MessageKind
from um.mime.mbox import mbox_entry


@pytest.fixture
def web(tmp_path):
    house = PortalHouse(exports=tmp_path / "exports")
    house.account = run(house.house.add("alice", language="en"))
    # The disk's own clock dates an export.
    house.house.clock.advance(
        seconds=(datetime.now().astimezone() - house.house.clock.now()).total_seconds()
    )
    return house


def made(web):
    """An export, begun through the page and waited for."""

    async def story():
        browser = web.signing()
        await browser.asking("POST", "/login", data={"name": "alice", "password": "correct horse"})
        page = await browser.asking("GET", "/export")
        token = page.text.partition('name="token" value="')[2][:64]
        answer = await browser.asking("POST", "/export", data={"token": token})
        assert answer.headers["location"] == "/export"
        while web.desk.exporter.job(web.account.id).running:
            await web.desk.exporter.settled()
        return browser

    return run(story())


def test_everything_is_in_it(web, tmp_path):
    """Folders as mbox files that a standard reader reads, greetings, history."""
    tricky = mail(subject="Hello").replace(b"xxx\r\n", b"\r\nFrom here\r\n>From there\r\n", 1)
    web.put_in(web.account, MessageKind.MAIL, tricky)
    web.voice(web.account)
    run(web.services.mailboxes.create(web.account.id, "A/../B"))
    run(web.house.greetings.put(web.account.id, GreetingKind.NAME, b"RIFFname"))
    call = CallRecord(web.account.id, web.house.clock.now(), "voice", None, "=cmd()", 1.0)
    run(web.house.store.run("call", lambda tx: tx.records.add_call(call)))
    browser = made(web)
    answer = browser.get("/export/file")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    names = archive.namelist()
    assert {"INBOX.mbox", "Trash.mbox", "greetings/name.wav", "history.json"} < set(names)
    assert not any(".." in name.split("/") for name in names)
    assert json.loads(archive.read("history.json"))[0]["caller"] == "=cmd()"
    (tmp_path / "inbox").write_bytes(archive.read("INBOX.mbox"))
    read = list(mailbox.mbox(tmp_path / "inbox"))
    assert len(read) == 2
    assert read[0]["Subject"] == "Hello"
    assert b"\n>From here\n>>From there\n" in archive.read("INBOX.mbox")
    assert "Ready" in text_of(browser.get("/export"))


def test_a_download_that_broke_off_goes_on(web):
    """By ranges of the same file."""
    web.voice(web.account)
    browser = made(web)
    whole = browser.get("/export/file")
    rest = browser.get(
        "/export/file", headers={"range": "bytes=100-", "if-range": whole.headers["etag"]}
    )
    assert (rest.status_code, rest.content) == (206, whole.content[100:])


def test_it_is_its_owners_and_gone_after_a_day(web):
    """Another account has none; a day later nobody has."""
    run(web.house.add("bob", "+15551230002"))
    browser = made(web)
    assert browser.get("/export/file").status_code == 200
    assert web.signed_in("bob").get("/export/file").status_code == 404
    assert web.browser().get("/export/file").status_code == 303
    web.house.clock.advance(days=1, minutes=1)
    assert web.signed_in().get("/export/file").status_code == 404
    assert run(web.desk.exporter.sweep()) == 1
    assert run(web.desk.exporter.find(web.account.id)) is None


def test_one_that_fails_says_so_and_leaves_nothing(web, tmp_path):
    """The disk is full: no half file, and it can be tried again."""
    web.voice(web.account)

    async def full(*_):
        raise UnavailableError

    right, web.services.mailboxes.octets = web.services.mailboxes.octets, full
    browser = made(web)
    assert "could not be made" in text_of(browser.get("/export"))
    assert list((tmp_path / "exports").iterdir()) == []
    web.services.mailboxes.octets = right
    made(web)
    assert browser.get("/export/file").status_code == 200


def test_a_suspended_owner_may_take_everything_along(web):
    web.voice(web.account)
    run(web.house.accounts.suspend("alice", reason="unpaid"))
    assert made(web).get("/export/file").status_code == 200


def test_an_entry_begins_with_its_line_and_ends_with_an_empty_one():
    """RFC 4155: whatever the message ends with."""
    at = datetime.fromisoformat("2026-03-04T12:00:00+00:00")
    head = b"From MAILER-DAEMON Wed Mar 04 12:00:00 2026\n"
    assert mbox_entry(b"A: b\r\n\r\nx\r\n", at) == head + b"A: b\n\nx\n\n"
    assert mbox_entry(b"A: b\r\n\r\nx", at + timedelta(0)) == head + b"A: b\n\nx\n\n"

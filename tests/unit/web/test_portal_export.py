"""The export: everything in one zip, made beside everything else, fetched piece by piece, gone in a day."""

import asyncio
import io
import json
import mailbox
import re
import zipfile
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from storage.exports import FileExports
from tests.support.house import mail
from tests.support.portal_house import PortalBrowser, PortalHouse, text_of
from tests.support.web_house import run
from um.core.account import CallRecord, GreetingKind
from um.core.errors import UnavailableError
from um.core.message import ANSWERED, FLAGGED, SEEN, FlagOperation, MessageKind
from um.core.ports import Exported
from um.mime.mbox import mbox_entry
from um.service.export import Exporter, ExportState
from um.service.export_jobs import KEY, MOST_TRIES, SILENT, ExportJobs


@pytest.fixture
def web(tmp_path):
    house = PortalHouse(exports=tmp_path / "exports")
    house.folder = tmp_path / "exports"
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
        await web.services.exporter.settled()
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
    assert run(web.services.exporter.sweep()) == 1
    assert run(web.services.exporter.state(web.account.id)) == ExportState()


@pytest.mark.parametrize(
    ("path", "media_type"),
    [("/export/file", "text/html"), ("/api/v1/me/export/file", "application/problem+json")],
)
def test_one_that_goes_after_it_was_found_is_not_found(web, path, media_type, monkeypatch):
    """Its day, or its account, ends between the look for it and the opening."""
    browser = made(web)
    found = run(web.services.exporter.find(web.account.id))

    async def found_before(_: str) -> Exported:
        return found

    found.path.unlink()
    monkeypatch.setattr(web.services.exporter, "find", found_before)
    answer = browser.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith(media_type)


def test_one_that_goes_while_it_is_fetched_is_fetched_whole(web):
    """Removed and made anew after the first octet of the answer: who fetches has all of the old."""
    web.voice(web.account)
    browser = made(web)
    expected = browser.get("/export/file").content
    path = run(web.services.exporter.find(web.account.id)).path

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                path.unlink()
                path.write_bytes(b"another")
            await send(message)

        await web.app(scope, receive, send_on)

    answer = PortalBrowser(app, "192.0.2.7", cookies=browser.cookies).get("/export/file")
    assert answer.content == expected
    assert path.read_bytes() == b"another"


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


def test_flags_and_keywords_go_along_as_mail_programs_read_them(web, tmp_path):
    """`Status`, `X-Status` and `X-Keywords`; a stranger's fields of these names are not ours."""
    foreign = mail(subject="Hello").replace(
        b"Subject:", b"Status: RO\r\nX-Keywords: a\r\n b\r\nSubject:"
    )
    place = web.put_in(web.account, MessageKind.MAIL, foreign)
    web.put_in(web.account, MessageKind.MAIL, mail(subject="New"))
    flags = [SEEN, ANSWERED, FLAGGED, "$Forwarded", "work"]
    run(
        web.services.mailboxes.change_flags(
            web.account.id,
            place.mailbox_id,
            uids=[place.uid],
            operation=FlagOperation.ADD,
            flags=flags,
        )
    )
    archive = zipfile.ZipFile(io.BytesIO(made(web).get("/export/file").content))
    (tmp_path / "inbox").write_bytes(archive.read("INBOX.mbox"))
    told, fresh = mailbox.mbox(tmp_path / "inbox")
    assert (told.get_flags(), told["X-Keywords"]) == ("ROAF", "$Forwarded work")
    assert told.get_all("Status") == ["RO"]
    assert (fresh.get_flags(), fresh["X-Status"]) == ("O", None)


def test_a_process_that_starts_goes_on_with_what_another_left(web):
    """Killed or stopped while it ran: the next one makes it, and whoever asks sees it running."""
    web.voice(web.account)
    account_id, house = web.account.id, web.house
    jobs = ExportJobs(house.store, house.clock)
    assert run(jobs.claim(account_id))  # and then the process is killed
    run(jobs.hear(account_id, done=3, total=9))
    browser = web.signed_in()
    assert "3 of 9 messages" in text_of(browser.get("/export"))
    told = browser.get("/api/v1/me/export").json()
    assert (told["state"], told["done"], told["total"], told["file"]) == ("running", 3, 9, None)
    assert run(jobs.claim(account_id)) is None
    exporter = web.services.exporter

    async def starts(*, alone):
        count = await exporter.resume(alone=alone)
        await exporter.settled()
        return count

    assert run(starts(alone=False)) == 0  # another node may work at it
    house.clock.advance(SILENT.total_seconds())
    assert run(starts(alone=False)) == 1
    assert browser.get("/api/v1/me/export").json()["state"] == "ready"
    assert browser.get("/export/file").status_code == 200
    assert run(jobs.find(account_id)) is None


def test_who_is_alone_goes_on_at_once(web):
    """At the first look only: later ones are for what falls silent."""
    web.voice(web.account)
    exporter, jobs = web.services.exporter, ExportJobs(web.house.store, web.house.clock)
    run(jobs.claim(web.account.id))

    async def starts():
        count = await exporter.resume(alone=True)
        await exporter.settled()
        return count

    assert run(starts()) == 1
    run(jobs.claim(web.account.id))
    assert run(starts()) == 0


def test_a_server_that_stops_leaves_its_job_to_the_next(web):
    """It is no failed try: stopped a hundred times it still is made."""
    web.voice(web.account)
    jobs = ExportJobs(web.house.store, web.house.clock)

    async def stopped(work):
        exporter = Exporter(
            web.house.store,
            web.services.mailboxes,
            web.house.greetings,
            FileExports(web.folder),
            web.house.clock,
        )
        await work(exporter)
        await asyncio.sleep(0)
        await exporter.stop()

    run(stopped(lambda exporter: exporter.start(web.account.id)))
    for _ in range(MOST_TRIES + 1):
        assert run(jobs.find(web.account.id)).tries <= 1
        run(stopped(lambda exporter: exporter.resume()))
    assert not run(jobs.find(web.account.id)).failed
    assert [each.suffix for each in web.folder.glob("*")] == []


def test_what_ends_the_process_each_time_has_failed_in_the_end(web):
    """After MOST_TRIES nobody tries again but its owner, who is told."""
    jobs, clock = ExportJobs(web.house.store, web.house.clock), web.house.clock
    run(jobs.claim(web.account.id))
    for _ in range(MOST_TRIES - 1):
        assert run(jobs.adopt(alone=True)) == [web.account.id]
    assert run(jobs.adopt(alone=True)) == []
    browser = web.signed_in()
    assert "could not be made" in text_of(browser.get("/export"))
    assert browser.get("/api/v1/me/export").json()["state"] == "failed"
    assert run(jobs.claim(web.account.id)).tries == 1
    run(jobs.fail(web.account.id))
    clock.advance(days=1)
    assert run(jobs.adopt(alone=False)) == []
    assert run(jobs.find(web.account.id)) is None


def test_an_account_that_is_purged_meanwhile_gets_no_file(web):
    """Neither while it is written, nor in the instant after."""
    web.voice(web.account)
    exporter, account_id = web.services.exporter, web.account.id

    async def purged():
        await web.house.store.run("gone", lambda tx: tx.accounts.delete(account_id))

    async def story(before):
        await exporter.start(account_id)
        find = exporter._exports.open

        async def opened(which):
            file = await find(which)
            finish = file.finish

            async def finished():
                if not before:
                    await finish()
                await purged()
                if before:
                    await finish()

            file.finish = finished
            return file

        exporter._exports.open = opened
        await exporter.settled()

    run(story(before=False))
    assert list(web.folder.glob("*")) == []


def test_a_job_that_cannot_be_read_is_none(web):
    """Whatever stands there, a new one can be begun."""
    for damaged in ("", "{}", "[]", "null", '{"began_at": "x", "heard_at": "y"}', "x"):
        run(web.house.accounts.set_preferences("alice", {KEY: damaged}))
        assert web.signed_in().get("/export").status_code == 200
    assert run(ExportJobs(web.house.store, web.house.clock).claim(web.account.id))


def test_the_api_begins_watches_and_fetches(web):
    """202, then the file with its end; another begins while the old one can still be fetched."""
    web.voice(web.account)

    async def story():
        owner = web.browser()
        answer = await owner.asking(
            "POST", "/api/v1/session", json={"name": "alice", "password": "correct horse"}
        )
        owner.headers["x-csrf-token"] = answer.json()["form_token"]
        assert (await owner.asking("GET", "/api/v1/me/export")).json()["state"] == "none"
        begun = await owner.asking("POST", "/api/v1/me/export")
        assert (begun.status_code, begun.json()["state"]) == (202, "running")
        again = await owner.asking("POST", "/api/v1/me/export")
        assert (again.status_code, again.json()["state"]) == (202, "running")
        await web.services.exporter.settled()
        return owner

    owner = run(story())
    told = owner.get("/api/v1/me/export").json()
    assert (told["state"], told["file"]["size_octets"] > 0) == ("ready", True)
    answer = owner.get("/api/v1/me/export/file")
    assert answer.headers["content-type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert "attachment" in answer.headers["content-disposition"]


def test_an_entry_begins_with_its_line_and_ends_with_an_empty_one():
    """RFC 4155: whatever the message ends with."""
    at = datetime.fromisoformat("2026-03-04T12:00:00+00:00")
    head = b"From MAILER-DAEMON Wed Mar 04 12:00:00 2026\n"
    marked = head + b"A: b\nStatus: O\n\nx\n\n"
    assert mbox_entry(b"A: b\r\n\r\nx\r\n", at) == marked
    assert mbox_entry(b"A: b\r\n\r\nx", at + timedelta(0)) == marked
    assert mbox_entry(b"\r\nx\r\n", at) == head + b"Status: O\n\nx\n\n"
    assert mbox_entry(b"A: b\r\n", at, flags=[SEEN]) == head + b"A: b\nStatus: RO\n\n"


@given(st.binary(max_size=200), st.sets(st.sampled_from([SEEN, FLAGGED, "$x", "work"])))
def test_any_octets_are_one_entry(data, flags):
    """A reader finds one message, with our flags, whatever is in it."""
    at = datetime.fromisoformat("2026-03-04T12:00:00+00:00")
    entry = mbox_entry(b"A: b\r\n" + data, at, flags=flags)
    assert entry.count(b"\nStatus: ") >= 1
    assert len(re.findall(rb"(?m)^From ", entry)) == 1
    assert entry.endswith(b"\n\n")

"""The portal's list and message pages: what they show, what they do, and what never happens in them."""

import re

import pytest

from tests.support.house import PASSWORD
from tests.support.portal_house import HOSTILE, PortalBrowser, PortalHouse, tags, text_of
from tests.support.web_house import run
from um.core.errors import RefusedDocumentError
from um.core.message import MessageKind

MAIL = (
    "From: {sender}\r\nTo: alice@um.example.net\r\nSubject: {subject}\r\nMessage-ID: <1@x>\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
    "--b\r\nContent-Type: text/html\r\n\r\n<p>rich</p><script>alert(1)</script>\r\n"
    '--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="{file}"\r\n\r\n'
    "%PDF-1.4 bill\r\n--b--\r\n"
)


def mail(subject="Hello", *, text="Good day", sender="Bob <bob@example.org>", file="a.pdf"):
    return MAIL.format(subject=subject, text=text, sender=sender, file=file).encode()


@pytest.fixture
def web():
    house = PortalHouse()
    house.account = run(house.house.add("alice", language="en"))
    return house


def links(answer, start):
    return [each["href"] for each in tags(answer, "a") if (each["href"] or "").startswith(start)]


def opened(browser, at=0):
    """The page of a message of the list."""
    return browser.get(links(browser.get("/"), "/messages/")[at])


def test_who_is_not_logged_in_is_asked_to_and_comes_back(web):
    """The login page leads on to what was wanted, if that is a page of ours."""
    browser = web.browser()
    sent = browser.get("/statements")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login?back=/statements")
    fields = {"name": "alice", "password": PASSWORD}
    answer = browser.post("/login", data=fields | {"back": "/statements"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/statements")
    assert browser.get("/login").headers["location"] == "/"
    for hostile in ("//evil.example", "/\\evil.example", "https://evil.example/", "/a\r\nb: c"):
        answer = web.browser().post("/login", data=fields | {"back": hostile})
        assert answer.headers["location"] == "/"


def test_a_wrong_password_is_said_and_the_name_stays(web):
    answer = web.browser().post("/login", data={"name": HOSTILE, "password": "wrong"})
    assert answer.status_code == 401
    assert "User name or password is wrong." in text_of(answer)
    assert [each["value"] for each in tags(answer, "input") if each.get("name") == "name"] == [
        HOSTILE
    ]
    assert not tags(answer, "img")


def test_another_sites_form_neither_logs_in_nor_does_anything(web):
    """Login by Origin, everything else by the form token."""
    fields = {"name": "alice", "password": PASSWORD}
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert web.browser().post("/login", data=fields, headers=foreign).status_code == 403
    web.voice(web.account)
    browser = web.signed_in()
    picked = {"m": links(browser.get("/"), "/messages/")[0].rpartition("/")[2], "act": "trash"}
    assert browser.post("/messages", data=picked).status_code == 403
    assert browser.post("/messages", data=picked | {"token": "0" * 64}).status_code == 403
    assert browser.post("/logout").status_code == 403
    assert "1 message" in text_of(browser.get("/"))


def test_logging_out_ends_the_session(web, monkeypatch):
    """For whoever has its cookie, and for the pages that listen at once."""
    woken = []
    monkeypatch.setattr(web.services.streams, "wake", woken.append)
    browser = web.signed_in()
    stolen = PortalBrowser(web.app, "192.0.2.9", cookies=browser.cookies)
    assert browser.send("/logout").headers["location"] == "/login?done=logged_out"
    assert stolen.get("/").status_code == 303
    assert woken == [web.account.id]


def test_a_page_runs_only_our_script_by_its_nonce(web):
    """A strict policy without unsafe-inline; no inline style, script or event attribute anywhere."""
    web.voice(web.account)
    browser = web.signed_in()
    first, second = browser.get("/"), browser.get("/")
    nonces = [
        re.search("'nonce-([^']+)'", each.headers["content-security-policy"])
        for each in (first, second)
    ]
    assert nonces[0][1] != nonces[1][1]
    for page in (first, opened(browser), web.browser().get("/login")):
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'")
        nonce = re.search("'nonce-([^']+)'", policy)[1]
        for each in tags(page, "script") + [
            link for link in tags(page, "link") if link["rel"] == "stylesheet"
        ]:
            assert each["nonce"] == nonce
        for each in tags(page):
            assert not any(name.startswith("on") or name == "style" for name in each)
    for name in ("portal.css", "portal.js", "icon.svg"):
        where = re.search(rf"/static/[0-9a-f]+/{re.escape(name)}", first.text)[0]
        assert browser.get(where).status_code == 200
    assert browser.get("/static/x/../door.py").status_code == 404


def test_the_list_says_who_what_when_and_how_long(web):
    """A voice message by caller and duration, a fax by station and pages, a bill by its subject."""
    web.voice(web.account)
    web.fax(web.account)
    web.put_in(web.account, MessageKind.INVOICE, mail("Invoice 42"))
    page = web.signed_in().get("/")
    said = text_of(page)
    assert "Anna" in said
    assert "Voice message · +1 555 987 0001" in said
    assert "0:12" in said
    assert "Example Ltd" in said
    assert "3 pages" in said
    assert "Invoice 42" in said
    assert "3 messages, 3 unread" in said
    assert "<title>Inbox (3)" in page.text


def test_a_withheld_number_is_an_unknown_caller(web):
    web.voice(web.account, name="", number="")
    assert "Unknown caller" in text_of(web.signed_in().get("/"))


def test_the_list_is_filtered_searched_and_paged(web):
    """By kind, by words of sender and subject, fifty a page."""
    web.fax(web.account)
    for count in range(60):
        web.house.clock.advance(minutes=1)
        web.put_in(web.account, MessageKind.MAIL, mail(f"Letter {count}"))
    browser = web.signed_in()
    assert len(links(browser.get("/"), "/messages/")) == 50
    older = links(browser.get("/"), "/?after=")[0]
    assert len(links(browser.get(older), "/messages/")) == 11
    assert "Newest" in text_of(browser.get(older))
    assert len(links(browser.get("/?kind=fax"), "/messages/")) == 1
    assert len(links(browser.get("/?q=letter+59"), "/messages/")) == 1
    assert "Nothing fits" in text_of(browser.get("/?q=nowhere"))
    assert browser.get("/?kind=else").status_code == 404
    assert browser.get("/?folder=Nowhere").status_code == 404
    assert browser.get("/?after=x").status_code == 422


def test_a_search_goes_on_in_all_folders(web):
    """By a link beside it; where each lies is told; what is done there is done to each in its folder."""
    run(web.services.mailboxes.create(web.account.id, "Archive"))
    web.put_in(web.account, MessageKind.MAIL, mail("Harbour one"))
    web.put_in(web.account, MessageKind.MAIL, mail("Harbour two"), mailbox="Archive")
    browser = web.signed_in()
    page = browser.get("/?q=harbour&folder=Archive")
    assert len(links(page, "/messages/")) == 1
    (other,) = [each for each in links(page, "/?") if "everywhere=1" in each and "kind" not in each]
    page = browser.get(other)
    assert len(links(page, "/messages/")) == 2
    assert "All folders" in text_of(page)
    assert "Archive · Harbour two" in text_of(page)
    assert "Only in Archive" in text_of(page)
    picked = [each["value"] for each in tags(page, "input") if each.get("name") == "m"]
    token = browser.token()
    browser.post("/messages", data={"token": token, "act": "trash", "m": picked})
    assert len(links(browser.get("/?folder=Trash"), "/messages/")) == 2
    assert len(links(browser.get("/?q=harbour&everywhere=1&folder=Trash"), "/messages/")) == 0
    assert "Search in all folders" not in text_of(browser.get("/?everywhere=1"))


def test_statements_are_read_a_page_at_a_time(web):
    """Of all folders but Trash, by month, the newest first."""
    run(web.services.mailboxes.create(web.account.id, "Bills"))
    for count in range(70):
        web.house.clock.advance(days=30)
        where = "Bills" if count % 2 else "INBOX"
        web.put_in(web.account, MessageKind.INVOICE, mail(f"Bill {count:02}"), mailbox=where)
    browser = web.signed_in()
    first = browser.get("/statements")
    assert len(links(first, "/messages/")) == 60
    (older,) = [each["href"] for each in tags(first, "a") if each.get("rel") == "next"]
    assert len(links(browser.get(older), "/messages/")) == 10


def test_opening_a_message_marks_it_as_read(web):
    web.voice(web.account)
    browser = web.signed_in()
    page = opened(browser)
    assert page.status_code == 200
    assert "unread" not in text_of(browser.get("/")).replace("Mark as unread", "")


def test_a_voice_message_has_a_player_with_its_waveform(web):
    """Three bars as drawn, once for two looks; the audio comes by ranges."""
    web.voice(web.account)
    browser = web.signed_in()
    page = opened(browser)
    assert len(tags(page, "rect")) == 3
    opened(browser)
    audio = tags(page, "audio")[0]["src"]
    part = browser.get(audio, headers={"range": "bytes=0-1"})
    assert (part.status_code, part.content) == (206, b"\xff\xf3")
    assert part.headers["content-type"] == "audio/mpeg"


def test_a_fax_is_shown_as_pictures_and_opened_as_what_it_is(web):
    """A picture a page, drawn several at a time; the PDF in its own tab under its own policy."""
    web.fax(web.account, pages=3)
    browser = web.signed_in()
    page = opened(browser)
    pictures = [each["src"] for each in tags(page, "img")]
    assert len(pictures) == 3
    assert browser.get(pictures[1]).content == b"\x89PNG2"
    assert browser.get(pictures[2]).headers["content-type"] == "image/png"
    assert web.drawn == [1]
    document = browser.get(links(page, "/messages/")[0])
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["content-disposition"].startswith("inline")
    assert "script-src" not in document.headers["content-security-policy"]
    assert browser.get(pictures[0].replace("1.png", "9.png")).status_code == 404


def test_a_document_that_cannot_be_drawn_is_a_link_only(web):
    """A fax without the drawing program, a broken bill: no picture, the file all the same."""

    async def broken(*_):
        raise RefusedDocumentError

    object.__setattr__(web.desk, "draw_sheets", broken)
    web.fax(web.account)
    web.put_in(web.account, MessageKind.INVOICE, mail("Invoice"))
    browser = web.signed_in()
    for at in range(2):
        page = opened(browser, at)
        assert page.status_code == 200
        assert not tags(page, "img")
        assert "Download" in text_of(page)


def test_a_strangers_document_is_never_drawn(web):
    """Mail: no picture, although somebody asks for one by its address."""
    web.put_in(web.account, MessageKind.MAIL, mail())
    browser = web.signed_in()
    where = links(browser.get("/"), "/messages/")[0]
    assert not tags(browser.get(where), "img")
    assert browser.get(f"{where}/sheets/3/1.png").status_code == 404
    assert web.drawn == []


def test_mail_is_text_and_its_html_stays_in_a_sandboxed_frame(web):
    """The frame has no permissions, and the answer's own policy lets nothing run or load."""
    web.put_in(web.account, MessageKind.MAIL, mail(text="<script>alert(2)</script>"))
    browser = web.signed_in()
    page = opened(browser)
    assert "<script>alert(2)</script>" in text_of(page)
    frame = tags(page, "iframe")[0]
    assert frame["sandbox"] is None or frame["sandbox"] == ""
    html = browser.get(frame["src"])
    policy = html.headers["content-security-policy"]
    assert policy.endswith("; sandbox")
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert html.headers["x-frame-options"] == "SAMEORIGIN"
    assert all(each.get("nonce") for each in tags(page, "script"))


def test_hostile_names_subjects_and_files_are_text(web):
    """Nothing that a caller, sender or file is called becomes an element of a page."""
    web.voice(web.account, name=HOSTILE)
    web.fax(web.account, station=HOSTILE)
    hostile = mail(HOSTILE, sender=f'"{HOSTILE}" <x@example.org>', file="<svg onload=alert(1)>.pdf")
    web.put_in(web.account, MessageKind.INVOICE, hostile)
    web.put_in(web.account, MessageKind.MAIL, hostile)
    browser = web.signed_in()
    listed = browser.get("/")
    assert HOSTILE in text_of(listed)
    pages = [listed, browser.get("/statements"), browser.get(f"/?q={HOSTILE}")]
    pages += [opened(browser, at) for at in range(4)]
    for page in pages:
        assert page.status_code == 200
        assert not [each for each in tags(page) if any(name.startswith("on") for name in each)]
        assert all((each["src"] or "").startswith("/messages/") for each in tags(page, "img"))


def test_delete_restore_and_delete_for_good(web):
    """Several at once; out of Trash again; for good only from there."""
    for _ in range(2):
        web.voice(web.account)
    browser = web.signed_in()
    picked = [each.rpartition("/")[2] for each in links(browser.get("/"), "/messages/")]
    answer = browser.send("/messages", m=picked, act="trash", back="/?kind=voice")
    assert answer.headers["location"] == "/?kind=voice&done=trash"
    assert "Moved to Trash." in text_of(browser.get(answer.headers["location"]))
    trash = browser.get("/?folder=Trash")
    where = links(trash, "/messages/")
    assert len(where) == 2
    assert "In Trash since" in text_of(browser.get(where[0]))
    browser.send("/messages", m=where[0].rpartition("/")[2], act="restore")
    assert len(links(browser.get("/"), "/messages/")) == 1
    browser.send("/messages", m=where[1].rpartition("/")[2], act="expunge")
    assert not links(browser.get("/?folder=Trash"), "/messages/")
    assert browser.get(where[1]).status_code == 404


def test_wrong_deeds_do_nothing(web):
    web.voice(web.account)
    browser = web.signed_in()
    one = links(browser.get("/"), "/messages/")[0].rpartition("/")[2]
    assert browser.send("/messages", m=one, act="burn").status_code == 422
    for wrong in ("x", "0-0", "-1", "a-99999999999", f"{'0' * 32}-1"):
        assert browser.send("/messages", m=wrong, act="trash").status_code in (404, 422)
    assert browser.send("/messages", act="trash").headers["location"] == "/"
    assert len(links(browser.get("/"), "/messages/")) == 1


def test_another_accounts_message_is_not_there(web):
    """Neither its page, nor its pictures, nor anything done to it."""
    web.fax(web.account)
    run(web.house.add("bob", "+15551230002"))
    where = links(web.signed_in().get("/"), "/messages/")[0]
    bob = web.signed_in("bob")
    for path in ("", "/html", "/view/2", "/sheets/2/1.png"):
        assert bob.get(where + path).status_code == 404
    assert bob.send("/messages", m=where.rpartition("/")[2], act="trash").status_code == 404


def test_a_suspended_account_sees_everything_and_changes_nothing(web):
    """With the reason; looking does not even mark as read."""
    web.voice(web.account)
    browser = web.signed_in()
    run(web.house.accounts.suspend("alice", reason=f"unpaid {HOSTILE}"))
    page = browser.get("/")
    assert "Your service is suspended." in text_of(page)
    assert f"Reason: unpaid {HOSTILE}" in text_of(page)
    assert not tags(page, "img")
    one = links(page, "/messages/")[0]
    assert browser.get(one).status_code == 200
    assert 'class="row new"' in browser.get("/").text
    refused = browser.send("/messages", m=one.rpartition("/")[2], act="trash")
    assert refused.status_code == 403
    assert len(links(browser.get("/"), "/messages/")) == 1


def test_bills_stand_by_month(web):
    """On the owner's calendar; what lies in Trash is not among them."""
    web.put_in(web.account, MessageKind.INVOICE, mail("Invoice 1"))
    web.house.clock.advance(days=31)
    web.put_in(web.account, MessageKind.INVOICE, mail("Invoice 2"))
    web.voice(web.account)
    page = web.signed_in().get("/statements")
    said = text_of(page)
    assert said.index("Invoice 2") < said.index("Invoice 1")
    assert len(re.findall(r"<h2>", page.text)) == 2


def test_what_is_not_there_is_said_on_a_page(web):
    browser = web.signed_in()
    answer = browser.get("/nowhere")
    assert answer.status_code == 404
    assert "There is nothing here" in text_of(answer)
    assert web.browser().get("/nowhere").status_code == 404

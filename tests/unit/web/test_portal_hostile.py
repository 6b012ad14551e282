"""Every page and every field of the portal with hostile words wherever somebody can put them."""

import re
from html import unescape
from zipfile import ZipFile

import pytest

from tests.support.house import PASSWORD
from tests.support.portal_house import HOSTILE, PortalHouse, tags, text_of
from tests.support.web_house import run
from tests.unit.web.test_portal_messages import mail
from um.core.account import CallRecord
from um.core.message import MessageKind
from um.service.views import Views

CRLF = "Bob\r\nX-Injected: 1"
OPEN = {"/static/{_}/{name}", "/favicon.ico"}


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """An owner whose callers, senders, files, folders, programs and operator all mean harm."""
    house = PortalHouse(exports=tmp_path_factory.mktemp("exports"))
    account = run(house.house.add("alice", language="en", full_name=HOSTILE))
    house.account = account
    for name in (HOSTILE, CRLF):
        house.voice(account, name=name)
        house.fax(account, station=name)
    letter = mail(
        HOSTILE, text=HOSTILE, sender=f'"{HOSTILE}" <x@example.org>', file=f"{HOSTILE}.pdf"
    )
    for kind in (MessageKind.INVOICE, MessageKind.MAIL, MessageKind.NOTICE):
        house.put_in(account, kind, letter)
    run(views(house).choose("alice", MessageKind.FAX, f"{HOSTILE} here"))
    house.fax(account, station=HOSTILE)
    call = CallRecord(
        account.id, house.house.clock.now(), "missed-voice", None, HOSTILE, 0.0, HOSTILE
    )
    run(house.house.store.run("call", lambda tx: tx.records.add_call(call)))
    run(house.services.app_passwords.add("alice", HOSTILE))
    run(house.house.accounts.set_preferences("alice", {"contact.company": HOSTILE}))
    run(exported(house))
    return house


async def exported(house):
    await house.services.exporter.start(house.account.id)
    await house.services.exporter.settled()
    return await house.services.exporter.find(house.account.id)


def views(house):
    return Views(house.house.store, house.house.clock, house.house.settings)


def visitor(web):
    browser = web.signing()
    browser.headers["user-agent"] = HOSTILE
    assert browser.post("/login", data={"name": "alice", "password": PASSWORD}).status_code == 303
    return browser


def everywhere(web, browser):
    """The address of every page there is: by the route table, and what the pages themselves lead to."""
    waiting = [each.path for each in web.routes() if "GET" in each.methods and "{" not in each.path]
    waiting += [f"/?q={HOSTILE}", f"/?q={HOSTILE}&everywhere=1", "/?folder=Trash&kind=voice"]
    seen = set()
    while waiting:
        path = waiting.pop().partition("#")[0]
        if path in seen:
            continue
        seen.add(path)
        answer = browser.get(path)
        yield path, answer
        if answer.headers.get("content-type", "").startswith("text/html"):
            found = [each.get("href") or each.get("src") or "" for each in tags(answer)]
            waiting += [each for each in found if each.startswith("/") and "/static/" not in each]


def check_page(path, page):
    for each in tags(page):
        assert not [name for name in each if name.startswith("on")], path
    for each in tags(page, "img"):
        assert (each["src"] or "").startswith("/messages/"), path
    for each in tags(page, "script"):
        assert each.get("nonce"), path


@pytest.mark.parametrize("suspended", [False, True])
def test_nothing_hostile_becomes_an_element_or_a_field(web, suspended):
    """All pages and downloads, whatever they are reached by; a suspension's reason is text too."""
    if suspended:
        run(web.house.accounts.suspend("alice", reason=HOSTILE))
    pages, told = {}, 0
    for path, answer in everywhere(web, visitor(web)):
        assert answer.status_code in (200, 303, 404), (path, answer.text)
        assert "x-injected" not in answer.headers
        assert not [each for each in answer.headers.values() if re.search(r"[\x00-\x1f<>]", each)]
        pages[path.partition("?")[0]] = answer.status_code
        if answer.headers.get("content-type", "").startswith("text/html") and "/html" not in path:
            check_page(path, answer)
            told += HOSTILE in text_of(answer)
    wanted = {each.path for each in web.routes() if "GET" in each.methods} - OPEN
    for pattern in wanted - {"/reset/{token}"}:
        shape = re.compile(re.sub(r"{\w+}", "[^/]+", pattern.replace(".", r"\.")))
        assert any(shape.fullmatch(each) for each in pages), pattern
    assert told > 12
    if suspended:
        assert HOSTILE in text_of(visitor(web).get("/telephone"))
        run(web.house.accounts.resume("alice"))


def test_what_is_exported_is_called_by_harmless_names(web):
    """Neither a folder's name nor a caller's leads out of where the zip file is unpacked."""
    run(views(web).choose("alice", MessageKind.VOICE, "a\\..\\b/..../c:d"))
    with ZipFile(run(exported(web)).path) as opened:
        names = opened.namelist()
    assert len(names) >= 5
    for name in names:
        assert not set('\\:<>"|?*') & set(name), name
        assert not [each for each in name.split("/") if each in ("", ".", "..")], name
    answer = visitor(web).get("/export/file")
    assert re.fullmatch(
        r'attachment; filename="alice-\d{8}\.zip"', answer.headers["content-disposition"]
    )


def test_a_closed_accounts_reason_is_text_at_the_door(web):
    """It is told to whoever has the right password."""
    run(web.house.add("carol", None))
    run(web.house.accounts.close("carol", reason=HOSTILE))
    answer = web.signing().post("/login", data={"name": "carol", "password": PASSWORD})
    assert HOSTILE in unescape(text_of(answer))
    check_page("/login", answer)

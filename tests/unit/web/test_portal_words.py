"""The portal's languages: each complete, each spoken on every page."""

import re
from datetime import datetime

import pytest

from tests.support.house import PASSWORD
from tests.support.portal_house import PortalHouse, text_of
from tests.support.server import PROJECT
from tests.support.web_house import run
from um.core.account import CallRecord
from um.core.forwarding import AddressState
from um.core.message import MessageKind
from um.web.portal.wording import LANGUAGES, accepted, catalogue, wording

PAGES = (
    "/",
    "/?folder=Trash",
    "/?q=nothing",
    "/statements",
    "/history",
    "/telephone",
    "/forwarding",
    "/account",
    "/security",
    "/export",
    "/keeping",
    "/nowhere",
)
DOORS = ("/login", "/forgotten", "/reset/x")


def values(text):
    return sorted(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_with_the_same_values(language):
    """As many months and days too; no text is empty."""
    english, other = catalogue("en"), catalogue(language)
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert values(other[key]) == values(text), key
        assert other[key].strip() or key == "number.group", key
        assert other[key].count(",") == text.count(",") or not key.startswith("date."), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_spoken_in_the_owners_language(language, tmp_path):
    """Inside by the account's language, at the door by the browser's."""
    web = PortalHouse(exports=tmp_path)
    account = run(web.house.add("alice", language=language))
    web.voice(account)
    web.fax(account)
    now = web.house.clock.now()
    for kind in ("voice", "missed-voice", "missed-fax", "refused", "mail", "something-new"):
        call = CallRecord(account.id, now, kind, None, "", 1.0)
        run(web.house.store.run("call", lambda tx, call=call: tx.records.add_call(call)))
    run(web.services.address_book.add(account.id, "anna@example.org"))
    browser = web.signed_in()
    for path in PAGES:
        page = browser.get(path)
        assert f'<html lang="{language}">' in page.text
        assert wording(language)("nav.logout") in text_of(page)
    for path in DOORS:
        page = web.browser().get(path, headers={"accept-language": f"{language}-CA;q=0.9"})
        assert f'<html lang="{language}">' in page.text
    assert all(wording(language).has(f"address.{state}") for state in AddressState)
    assert all(wording(language).has(f"kind.{kind}") for kind in MessageKind)


REFUSED = (
    ("/telephone", {"ring": "999"}, "ring_seconds"),
    ("/telephone", {"ring": "soon"}, "ring_seconds"),
    ("/account/name", {"name": "12345"}, "name_digits"),
    ("/account/name", {"name": "a b"}, "name_letters"),
    ("/security/pin", {"current": PASSWORD, "pin": "123456"}, "pin_run"),
    ("/security/pin", {"current": PASSWORD, "pin": "12"}, "pin_length"),
    ("/security/password", {"current": PASSWORD, "fresh": "x", "again": "x"}, "password_short"),
    ("/security/apps", {"current": PASSWORD, "label": ""}, "label_length"),
    (
        "/forwarding/addresses",
        {"current": PASSWORD, "address": "alice@um.example.net"},
        "address_own",
    ),
    ("/forwarding/addresses", {"current": PASSWORD, "address": "anna"}, "address_form"),
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_is_told_with_its_reason_in_the_owners_language(language, tmp_path):
    """What a use case says in English stands on no page; its reason does."""
    web = PortalHouse(exports=tmp_path)
    run(web.house.add("alice", language=language))
    browser, words = web.signed_in(), wording(language)
    for path, fields, why in REFUSED:
        answer = browser.send(path, **fields)
        assert answer.status_code == 422
        said = words(f"why.{why}").partition("{")[0]
        assert said in text_of(answer), (path, fields)
    files = {"file": ("x.wav", b"no sound", "audio/wav")}
    answer = browser.send("/greetings/busy", files=files)
    assert words("error.refused_document") in text_of(answer)
    hold = web.house.accounts.set_legal_hold("alice", on=True, reason="case 7")
    web.voice(run(web.house.accounts.show("alice")).account)
    run(hold)
    message = browser.get("/api/v1/me/messages").json()["messages"][0]["id"]
    moved = browser.send("/messages", act="trash", m=message).headers["location"]
    assert moved
    message = browser.get("/api/v1/me/messages?folder=Trash").json()["messages"][0]["id"]
    answer = browser.send("/messages", act="expunge", m=message)
    assert words("error.hold") in text_of(answer)


def test_every_reason_that_a_use_case_names_has_its_words():
    """By their names in the source: one that is new has a text, one that is gone leaves none."""
    named = set()
    for folder in ("um/policy", "um/service", "um/web", "voicemail"):
        for file in (PROJECT / folder).rglob("*.py"):
            named |= set(re.findall(r'why="(\w+)"', file.read_text("utf-8")))
    told = {key.removeprefix("why.") for key in catalogue("en") if key.startswith("why.")}
    assert named == told


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_closed_account_is_told_why_and_until_when_in_the_browsers_language(language):
    """After the right password only."""
    web = PortalHouse()
    run(web.house.add("alice", language="en"))
    run(web.house.accounts.close("alice", reason="unpaid"))
    asked = {"accept-language": language}
    fields = {"name": "alice", "password": PASSWORD}
    page = web.browser().post("/login", data=fields, headers=asked)
    words = wording(language)
    assert page.status_code == 403
    assert words("error.closed_because", reason="unpaid") in text_of(page)
    until = f"{words.date(datetime(2026, 5, 4))}, 07:00"
    assert words("error.closed_until", at=until) in text_of(page)
    page = web.browser().post("/login", data=fields | {"password": "wrong"}, headers=asked)
    assert "unpaid" not in text_of(page)


def test_who_speaks_another_language_gets_english():
    assert wording("de").language == "en"
    assert wording("fr_CA").language == "fr"
    assert accepted("de, es-MX;q=0.8, en;q=0.5") == "es"
    assert accepted("") == "en"


def test_numbers_sizes_and_days_as_a_language_writes_them():
    """Near days by their hour, others by their date."""
    now = datetime(2026, 3, 5, 12, 0)
    english, french, spanish = (wording(each) for each in ("en", "fr", "es"))
    assert english.number(1234567.5, 1) == "1,234,567.5"
    assert french.number(1234.5, 1) == "1\u202f234,5"
    assert spanish.size(1536 * 1024) == "1,5 MB"
    assert english.size(10) == "1 kB"
    assert english.moment(datetime(2026, 3, 5, 9, 5), now) == "09:05"
    assert french.moment(datetime(2026, 3, 4, 9, 5), now) == "mer. 09:05"
    assert spanish.moment(datetime(2026, 1, 4, 9, 5), now) == "4 ene"
    assert english.moment(datetime(2025, 12, 31, 9, 5), now) == "31 Dec 2025"
    assert spanish.date(datetime(2026, 3, 4)) == "4 de marzo de 2026"

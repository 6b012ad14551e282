"""The portal's settings: telephone, forwarding, account, passwords, and what is refused there."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.house import PASSWORD
from tests.support.portal_house import HOSTILE, PortalHouse, tags, text_of
from tests.support.web_house import run
from um.core.account import CallRecord, GreetingKind
from um.core.forwarding import AfterCopy, CopyMode
from um.core.message import MessageKind
from um.policy.lifecycle import Door
from um.policy.retention import Choice
from um.service.mailbox_folders import NoSuchUseError
from um.web.portal import history
from um.web.portal.agents import agent_name

LINES = history.LINES
NEW = "a better password"


@pytest.fixture
def web():
    house = PortalHouse()
    house.account = run(house.house.add("alice", language="en"))
    return house


def account(web):
    return run(web.house.accounts.show("alice")).account


def test_ring_time_and_voicemail(web):
    """Set, switched off, and given back to the operator's default; nonsense is refused."""
    browser = web.signed_in()
    browser.send("/telephone", voicemail="off", ring="35")
    assert (account(web).voicemail_enabled, account(web).ring_seconds) == (False, 35)
    assert [
        each["value"]
        for each in tags(browser.get("/telephone"), "input")
        if each.get("name") == "ring"
    ] == ["35"]
    browser.send("/telephone", voicemail="on", ring="")
    assert (account(web).voicemail_enabled, account(web).ring_seconds) == (True, None)
    for wrong in ("-1", "soon", "1e2", "181", "99999"):
        assert browser.send("/telephone", voicemail="off", ring=wrong).status_code == 422
    assert account(web).voicemail_enabled


def test_a_greeting_is_uploaded_heard_and_removed(web):
    """What is no sound is refused in words, and nothing changes."""
    browser = web.signed_in()
    kinds = lambda: run(web.services.greetings.kinds(web.account.id))  # noqa: E731
    files = {"file": ("g.wav", b"RIFF" + bytes(100_000), "audio/wav")}
    done = browser.send("/greetings/busy", files=files)
    assert done.headers["location"] == "/telephone?done=greeting"
    assert kinds() == {GreetingKind.BUSY}
    audio = tags(browser.get("/telephone"), "audio")[0]["src"]
    assert browser.get(audio).content.startswith(b"RIFF")
    refused = browser.send("/greetings/name", files={"file": ("x.txt", b"words", "text/plain")})
    assert refused.status_code == 422
    assert "The file could not be read." in text_of(refused)
    assert "Choose a sound file" in text_of(
        browser.send("/greetings/name", files={"file": ("", b"")})
    )
    browser.send("/greetings/busy/remove")
    assert kinds() == set()
    assert browser.send("/greetings/other", files=files).status_code == 422


def test_a_stranger_sends_no_large_file(web):
    """Who has no session is turned away before the file is read; nobody sends more than fits."""
    files = {"file": ("g.wav", b"RIFF" + bytes(200_000), "audio/wav")}
    assert web.browser().post("/greetings/busy", files=files).status_code == 303
    browser = web.signed_in()
    huge = {"file": ("g.wav", b"RIFF" + bytes(21 * 1024 * 1024), "audio/wav")}
    assert browser.send("/greetings/busy", files=huge).status_code == 413
    assert browser.post("/greetings/busy", files=files).status_code == 403
    assert run(web.services.greetings.kinds(web.account.id)) == set()


def test_addresses_and_rules_of_forwarding(web):
    """An address waits for its confirmation; a wrong one is refused in words."""
    browser = web.signed_in()
    browser.send("/forwarding/addresses", address="anna@example.org", current=PASSWORD)
    page = browser.get("/forwarding")
    assert "anna@example.org" in text_of(page)
    assert "waiting for confirmation" in text_of(page)
    for wrong in ("alice@um.example.net", "x", HOSTILE, "a@b.c\r\nBcc: d@e.f"):
        answer = browser.send("/forwarding/addresses", address=wrong, current=PASSWORD)
        assert answer.status_code == 422
    rules = {f"mode-{kind}": "off" for kind in ("voice", "fax", "invoice")}
    rules |= {f"after-{kind}": "keep" for kind in ("voice", "fax", "invoice")}
    browser.send("/forwarding", **(rules | {"mode-fax": "attach", "after-fax": "seen"}))
    rule = run(web.services.forward_rules.every(web.account.id))[MessageKind.FAX]
    assert (rule.mode, rule.after) == (CopyMode.ATTACH, AfterCopy.SEEN)
    assert browser.send("/forwarding", **(rules | {"mode-fax": "burn"})).status_code == 422
    browser.send("/forwarding/addresses/remove", address="anna@example.org")
    assert run(web.services.address_book.every(web.account.id)) == []


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/forwarding/addresses", {"address": "thief@example.org"}),
        ("/security/apps", {"label": "thief"}),
    ],
)
def test_a_stolen_session_makes_no_way_in(web, path, fields):
    """Without the password, and with a guessed one, nothing is added; guesses are counted."""
    browser = web.signed_in()
    for guess in ({}, *({"current": f"guess {number}"} for number in range(4))):
        answer = browser.send(path, **(fields | guess))
        assert answer.status_code == 403
        assert "present password is wrong" in text_of(answer)
    assert browser.send(path, **fields, current=PASSWORD).status_code == 429
    assert run(web.services.address_book.every(web.account.id)) == []
    assert run(web.services.app_passwords.every("alice")) == []


def test_contact_language_and_time_zone(web):
    """The next page speaks the new language; what is said of oneself is text as well."""
    browser = web.signed_in()
    fields = {"full_name": HOSTILE, "timezone": "Europe/Paris", "language": "fr"}
    browser.send("/account", **(fields | {"contact-city": "Paris"}))
    page = browser.get("/account")
    assert '<html lang="fr">' in page.text
    assert not tags(page, "img")
    assert HOSTILE in text_of(page)
    assert run(web.services.profiles.contact("alice"))["city"] == "Paris"
    for wrong in ({"timezone": "Mars/Base"}, {"language": "xx"}, {"full_name": "a\x00b"}):
        assert browser.send("/account", **(fields | wrong)).status_code == 422


def test_the_user_name_is_changed_and_taken_names_are_refused(web):
    run(web.house.add("bob", "+15551230002"))
    browser = web.signed_in()
    assert "taken" in text_of(browser.send("/account/name", name="bob"))
    assert browser.send("/account/name", name="5551230009").status_code == 422
    browser.send("/account/name", name="alicia")
    assert browser.get("/account").status_code == 200
    assert web.signed_in("alicia").get("/").status_code == 200


def test_the_password_is_changed_by_who_knows_it(web):
    """Other sessions end, one's own stays."""
    browser, other = web.signed_in(), web.signed_in()
    fields = {"current": PASSWORD, "fresh": NEW, "again": NEW}
    assert "differ" in text_of(browser.send("/security/password", **(fields | {"again": "x"})))
    wrong = browser.send("/security/password", **(fields | {"current": "guess"}))
    assert wrong.status_code == 403
    assert "present password is wrong" in text_of(wrong)
    short = browser.send("/security/password", **(fields | {"fresh": "x", "again": "x"}))
    assert short.status_code == 422
    assert (
        browser.send("/security/password", **fields).headers["location"].endswith("done=password")
    )
    assert browser.get("/").status_code == 200
    assert other.get("/").status_code == 303
    assert web.signed_in(password=NEW).get("/").status_code == 200


@pytest.mark.parametrize("apps", ["", "end"])
def test_app_passwords_end_with_the_password_if_asked(web, apps):
    """The box in the form decides; without it a mail program goes on."""
    run(web.services.app_passwords.add("alice", "phone"))
    browser = web.signed_in()
    browser.send("/security/password", current=PASSWORD, fresh=NEW, again=NEW, apps=apps)
    left = run(web.services.app_passwords.every("alice"))
    assert [each.label for each in left] == ([] if apps else ["phone"])


def test_a_pin_is_set_and_never_shown(web):
    browser = web.signed_in()
    easy = browser.send("/security/pin", current=PASSWORD, pin="111111")
    assert easy.status_code == 422
    done = browser.send("/security/pin", current=PASSWORD, pin="280641")
    assert done.headers["location"] == "/security?done=pin"
    assert run(web.house.authenticator.verify_pin(web.account.id, "280641"))
    assert "280641" not in browser.get("/security").text


def test_an_app_password_is_shown_once(web):
    """It opens IMAP until it is revoked."""
    browser = web.signed_in()
    made = browser.send("/security/apps", label=HOSTILE, current=PASSWORD)
    shown = re.search(r'id="app-password">([a-z0-9-]+)<', made.text)[1]
    later = browser.get("/security")
    assert shown not in later.text
    assert HOSTILE in text_of(later)
    assert not tags(later, "img")
    login = web.house.authenticator.login
    assert run(login("alice", shown, peer="192.0.2.1", door=Door.IMAP)).account.name == "alice"
    named = [each["value"] for each in tags(later, "input") if each.get("name") == "id"]
    browser.send("/security/apps/remove", id=named[0])
    assert "never used" not in text_of(browser.get("/security"))
    assert browser.send("/security/apps", label="", current=PASSWORD).status_code == 422


def test_sessions_are_listed_and_ended(web):
    """By what the browser calls itself, which is text."""
    browser, other = web.signed_in(), web.browser()
    fields = {"name": "alice", "password": PASSWORD}
    other.post("/login", data=fields, headers={"user-agent": HOSTILE})
    page = browser.get("/security")
    assert HOSTILE in text_of(page)
    assert not tags(page, "img")
    ids = [each["value"] for each in tags(page, "input") if each.get("name") == "id"]
    assert len(ids) == 1
    browser.send("/security/sessions/end", id=ids[0])
    assert other.get("/").status_code == 303
    third = web.signed_in()
    browser.send("/security/sessions/end-others")
    assert third.get("/").status_code == 303
    assert browser.get("/").status_code == 200
    assert browser.send("/security/sessions/end", id="0" * 32).status_code == 404


def test_a_forgotten_password_asks_the_same_of_everyone(web):
    """The answer tells nothing; an invented link opens nothing."""
    known = web.browser().post("/forgotten", data={"name": "alice"})
    unknown = web.browser().post("/forgotten", data={"name": HOSTILE})
    strip = lambda page: re.sub(r'nonce="[^"]+"', "", page.text)  # noqa: E731
    assert strip(known) == strip(unknown)
    fields = {"fresh": NEW, "again": NEW}
    assert web.browser().post("/reset/invented", data=fields).status_code == 404
    assert web.browser().post("/reset/x", data=fields | {"again": "y"}).status_code == 422


def test_a_mailed_link_sets_a_new_password_once(web):
    """Asked for on the page, mailed to the confirmed address, used on the page."""
    run(web.house.confirmed(web.account, "anna@example.org"))
    web.house.clock.advance(days=1)
    web.browser().post("/forgotten", data={"name": "alice"})
    run(web.house.sender.tick())
    text = web.house.relay.message().get_body(("plain",)).get_content()
    token = re.search(r"/reset/([\w-]+)", text)[1]
    fields = {"fresh": NEW, "again": NEW}
    assert web.browser().get(f"/reset/{token}").status_code == 200
    short = web.browser().post(f"/reset/{token}", data={"fresh": "x", "again": "x"})
    assert short.status_code == 422
    done = web.browser().post(f"/reset/{token}", data=fields)
    assert done.headers["location"] == "/login?done=reset"
    assert "app passwords have ended" in text_of(web.browser().get("/login?done=reset"))
    assert web.browser().post(f"/reset/{token}", data=fields).status_code == 404
    assert web.signed_in(password=NEW)


def test_the_history_tells_of_each_call(web):
    """Callers are text."""
    call = CallRecord(web.account.id, web.house.clock.now(), "missed-voice", None, HOSTILE, 0.0)
    answered = replace(call, kind="voice", detail="answered 1234.5")
    bill = replace(call, kind="invoice", detail=f"Invoice {HOSTILE}")
    for each in (call, answered, bill, replace(call, kind="mail")):
        run(web.house.store.run("call", lambda tx, each=each: tx.records.add_call(each)))
    page = web.signed_in().get("/history")
    for words in ("Missed call", "Answered call", "Bill Invoice", "Mail"):
        assert words in text_of(page)
    assert "Voice message " not in text_of(page)
    assert not tags(page, "img")
    assert "Bill Invoice" not in text_of(web.signed_in().get("/history?only=calls"))
    assert "Missed call" not in text_of(web.signed_in().get("/history?only=invoices"))
    assert web.signed_in().get("/history?only=nothing").status_code == 404
    assert web.signed_in().get("/history?after=x").status_code == 422


def test_a_long_history_is_read_a_page_at_a_time(web):
    """Each line once, many of one instant among them, whatever comes meanwhile."""
    call = CallRecord(web.account.id, web.house.clock.now(), "voice", None, "", 0.0)
    for number in range(LINES + 30):
        line = replace(call, caller=f"caller-{number:03}")
        run(web.house.store.run("call", lambda tx, line=line: tx.records.add_call(line)))
    late = replace(call, at=call.at + timedelta(seconds=1), caller="late")
    browser, seen, path = web.signed_in(), [], "/history"
    while path:
        page = browser.get(path)
        seen += re.findall(r"caller-[0-9]{3}", page.text)
        run(web.house.store.run("call", lambda tx: tx.records.add_call(late)))
        links = [each["href"] for each in tags(page, "a") if each.get("rel") == "next"]
        path = links[0] if links else ""
    assert seen == [f"caller-{number:03}" for number in reversed(range(LINES + 30))]


def test_a_rule_of_clean_up_is_shown_before_it_acts(web):
    """Its dry run stands in the answer; nothing moves before a day is over; nonsense is refused."""
    web.voice(web.account)
    web.house.clock.advance(days=70)
    browser = web.signed_in()
    usual = {f"rule-{kind}": "" for kind in ("voice", "fax", "invoice", "mail")}
    page = browser.send("/keeping", **(usual | {"rule-voice": "60"}))
    assert "Voice messages: 1 message" in text_of(page)
    assert "in force from" in text_of(browser.get("/keeping"))
    retention = web.services.retention
    assert run(retention.run()) == []
    web.house.clock.advance(days=1, minutes=1)
    assert [each.messages for each in run(retention.run())] == [1]
    browser = web.signed_in()
    browser.send("/keeping", **(usual | {"rule-voice": "keep"}))
    assert run(retention.rules("alice")) == []
    for wrong in ("0", "-1", "soon", "999999"):
        assert browser.send("/keeping", **(usual | {"rule-fax": wrong})).status_code == 422


def test_a_damaged_rule_is_shown_and_mended_by_saving(web):
    """It keeps everything meanwhile; the page says so, and whatever is chosen takes its place."""
    web.voice(web.account)
    web.house.clock.advance(days=70)
    damaged = {
        "retention.voice": "voice oldre than 60 days",
        "retention.fax": "voice older than 60 days -> Trash",
        "retention.mail": "mail older than 90 days -> Trash",
        "retention.mail.shown": "yesterday mail older than 90 days -> Trash",
    }
    run(web.house.accounts.set_preferences("alice", damaged))
    browser = web.signed_in()
    page = browser.get("/keeping")
    assert page.status_code == 200
    assert text_of(page).count("cannot be read any more") == 2
    assert "not in force until it is saved here" in text_of(page)
    assert run(web.services.retention.dry_run("alice")) == []
    chosen = {"rule-voice": "keep", "rule-fax": "", "rule-invoice": "", "rule-mail": "90"}
    assert "cannot be read" not in text_of(browser.send("/keeping", "/keeping", **chosen))
    told = run(web.services.retention.choices("alice"))
    assert (told["voice"].keep, told["fax"], told["mail"].damaged) == (True, Choice(), False)
    assert "in force from" in text_of(browser.get("/keeping"))


def test_a_rule_that_deletes_for_good_is_not_shown_as_one_that_moves_to_trash(web):
    """Only an operator can make one."""
    word = "fax older than 30 days -> delete"
    run(web.services.retention.choose("alice", MessageKind.FAX, word))
    assert "deleted for good, not moved to Trash" in text_of(web.signed_in().get("/keeping"))


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Firefox, Linux",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1",
            "Safari, iPhone",
        ),
        ("curl/8.5", "curl/8.5"),
        ("", ""),
        ("x" * 200, "x" * 60),
    ],
)
def test_a_session_is_called_as_people_know_their_browser(agent, name):
    assert agent_name(agent) == name


def test_what_was_typed_and_refused_need_not_be_typed_again(web):
    """The form comes back as it was, with the reason; nothing of it was saved."""
    fields = {"full_name": "Anna <Bell>", "timezone": "Nowhere", "language": "en"}
    fields["contact-city"] = "Zürich"
    page = web.signed_in().send("/account", **fields)
    assert page.status_code == 422
    told = {each.get("name"): each.get("value") for each in tags(page, "input")}
    assert {name: told[name] for name in fields if name != "language"} == {
        name: text for name, text in fields.items() if name != "language"
    }
    assert "Nowhere" in text_of(page)
    assert account(web).full_name == ""


def test_a_callers_number_can_be_called_back(web):
    """A number in E.164 and nothing else, of voice messages and calls."""
    web.voice(web.account, name="Bob", number="+15559870001")
    web.voice(web.account, name="Eve", number="javascript:alert(1)")
    browser = web.signed_in()
    pages = [
        browser.get(each["href"])
        for each in tags(browser.get("/"), "a")
        if each.get("class") == "open"
    ]
    found = sorted(
        each["href"] for page in pages for each in tags(page, "a") if "tel:" in each["href"]
    )
    assert found == ["tel:+15559870001"]
    call = CallRecord(
        web.account.id, web.house.clock.now(), "missed-voice", None, "+15559870002", 0.0
    )
    for each in (call, replace(call, kind="fax"), replace(call, caller="+1;ext=<x>")):
        run(web.house.store.run("call", lambda tx, each=each: tx.records.add_call(each)))
    links = [each["href"] for each in tags(browser.get("/history"), "a") if "tel:" in each["href"]]
    assert links == ["tel:+15559870002"]


def test_a_suspended_account_changes_no_setting(web):
    """Every form answers 403; logging out and ending sessions still works."""
    browser = web.signed_in()
    token = browser.token()
    run(web.house.accounts.suspend("alice", reason="unpaid"))
    files = {"file": ("g.wav", b"RIFF", "audio/wav")}
    for path in (
        "/telephone",
        "/forwarding",
        "/forwarding/addresses",
        "/account",
        "/account/name",
        "/security/password",
        "/security/pin",
        "/security/apps",
        "/keeping",
        "/greetings/busy/remove",
    ):
        assert browser.post(path, data={"token": token}).status_code == 403, path
    assert browser.post("/greetings/busy", data={"token": token}, files=files).status_code == 403
    for path in ("/telephone", "/forwarding", "/account", "/security", "/history"):
        assert browser.get(path).status_code == 200
    assert browser.post("/security/sessions/end-others", data={"token": token}).status_code == 303
    assert browser.post("/logout", data={"token": token}).status_code == 303


def test_every_form_of_the_portal_wants_its_token(web):
    """Whatever changes anything is refused to who has only the cookie."""
    browser = web.signed_in()
    open_ = {"/login", "/forgotten", "/reset/{token}"}
    elsewhere = {"sec-fetch-site": "cross-site"}
    for route in web.routes():
        if "POST" in route.methods and route.path in open_:
            assert web.browser().post(route.path, headers=elsewhere).status_code == 403, route.path
        elif "POST" in route.methods:
            path = re.sub(r"\{kind\}", "busy", route.path)
            answer = browser.post(path, data={"token": "0" * 64})
            assert answer.status_code == 403, path


@pytest.mark.parametrize("charset", ["undefined", "unicode_escape", "raw_unicode_escape", "x"])
def test_a_form_in_a_charset_that_gives_no_text_is_the_senders_fault(web, charset):
    """A multipart form names its own charset: surrogates and codecs that fail are no 500 of ours."""
    browser = web.signed_in()
    fields = ("name", "password", "fresh", "again", "token")
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{each}"\r\n\r\n\\ud800\r\n'
        for each in fields
    )
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    for path in ("/login", "/forgotten", "/reset/x", "/telephone", "/greetings/busy"):
        answer = browser.post(path, content=f"{body}--x--\r\n", headers=headers)
        assert answer.status_code < 500, path


def test_nothing_of_the_portal_is_shown_to_nobody(web):
    """Every page leads who is not logged in to the login, but those that are for them."""
    open_ = {"/login", "/forgotten", "/reset/{token}", "/static/{_}/{name}", "/favicon.ico"}
    places = {"message": f"{'0' * 32}-1", "number": "2", "sheet": 1}
    asked = [
        route.path.format_map(places)
        for route in web.routes()
        if "GET" in route.methods and route.path not in open_
    ]
    assert len(asked) > 10
    for path in asked:
        answer = web.browser().get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/login"), path


def test_a_neighbours_settings_are_not_there(web):
    """By another's name for it a session, an app password or an address is 404, and stays."""
    bob = run(web.house.add("bob", "+15551230002"))
    theirs = web.signed_in("bob")
    run(web.house.confirmed(bob, "bob@example.org"))
    theirs.send("/security/apps", label="phone", current=PASSWORD)
    (app,) = run(web.services.app_passwords.every("bob"))
    (session,) = run(web.services.sessions.every(bob.id))
    browser = web.signed_in()
    for path, fields in (
        ("/security/sessions/end", {"id": session.public_id}),
        ("/security/apps/remove", {"id": app.id}),
        ("/forwarding/addresses/remove", {"address": "bob@example.org"}),
    ):
        assert browser.send(path, **fields).status_code == 404, path
    assert theirs.get("/").status_code == 200
    assert run(web.services.app_passwords.every("bob")) == [app]
    assert [each.address for each in run(web.house.book.every(bob.id))] == ["bob@example.org"]


def test_an_error_without_a_status_of_its_own_has_that_of_its_kind(web, monkeypatch):
    """On a page as in the API: a sender's fault is no 500."""

    async def refused(*_, **__):
        raise NoSuchUseError

    monkeypatch.setattr(web.services.records, "history", refused)
    assert web.signed_in().get("/history").status_code == 422

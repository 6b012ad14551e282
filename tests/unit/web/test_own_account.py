"""One's own account over the API: preferences, secrets, greetings, app passwords, forwarding, history."""

from dataclasses import replace

import pytest

from tests.support.house import PASSWORD, incoming
from tests.support.web_house import HouseReception, WebHouse, check_problem, run
from um.core.account import CallRecord
from um.core.message import MessageKind

ME = "/api/v1/me"
NEW = "another horse"


@pytest.fixture
def web():
    house = WebHouse()
    house.account = run(house.house.add("alice"))
    house.owner = house.logged_in()
    return house


def audit(web):
    records = run(web.house.store.read("audit", lambda tx: tx.records.audit_of(web.account.id)))
    return [(each.actor, each.action, each.detail) for each in records]


def test_preferences_are_shown_and_changed(web):
    """What is left out stays; null is the operator's default; the log names keys, not contents."""
    browser = web.owner
    given = {
        "full_name": "Anna Älpler",
        "timezone": "Europe/Zurich",
        "language": "fr",
        "voicemail": False,
        "ring_seconds": 0,
        "contact": {"city": "Zürich", "phone": "+41 44 000 00 00"},
    }
    told = browser.patch(ME, json=given).json()
    assert {key: told[key] for key in given if key != "contact"} == {
        key: value for key, value in given.items() if key != "contact"
    }
    assert (told["contact"]["city"], told["contact"]["street"]) == ("Zürich", "")
    assert "Zürich" not in str(audit(web))
    changed = browser.patch(ME, json={"ring_seconds": None, "contact": {"city": ""}}).json()
    assert (changed["ring_seconds"], changed["full_name"]) == (None, "Anna Älpler")
    assert (changed["contact"]["city"], changed["contact"]["phone"]) == ("", "+41 44 000 00 00")
    assert browser.get(ME).json() == changed
    assert audit(web)[-1][:2] == ("owner", "profile")


@pytest.mark.parametrize(
    "wrong",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": "a\u0000b"},
        {"language": "klingon"},
        {"language": "e\n"},
        {"ring_seconds": -1},
        {"ring_seconds": 181},
        {"ring_seconds": 1.5},
        {"full_name": "a\r\nBcc: x"},
        {"full_name": "x" * 300},
        {"contact": {"city": "\u202e"}},
        {"contact": {"password": "x"}},
        {"quota_octets": 10**12},
        {"state": "active"},
        {"name": "bob"},
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(web, wrong):
    before = web.owner.get(ME).json()
    check_problem(web.owner.patch(ME, json={"voicemail": False} | wrong), 422, "invalid")
    assert web.owner.get(ME).json() == before


def test_a_password_needs_the_old_one_and_ends_other_sessions(web):
    """The own session stays; a wrong old one counts as a wrong login."""
    browser, other = web.owner, web.logged_in()
    url = f"{ME}/password"
    wrong = {"old_password": "wrong horse", "new_password": NEW}
    check_problem(browser.put(url, json=wrong), 401, "authentication-failed")
    short = {"old_password": PASSWORD, "new_password": "short"}
    assert "short" not in check_problem(browser.put(url, json=short), 422, "invalid")["detail"]
    right = {"old_password": PASSWORD, "new_password": NEW}
    assert browser.put(url, json=right).status_code == 204
    assert browser.get(ME).status_code == 200
    check_problem(other.get(ME), 401, "authentication-failed")
    web.browser().log_in("alice", NEW)
    for _ in range(5):
        browser.put(url, json=wrong)
    check_problem(browser.put(url, json=wrong), 429, "locked-out")


def test_a_pin_needs_the_password_and_opens_the_phone(web):
    """Too easy ones are refused as on the phone; nothing of it is in the log."""
    browser, url = web.owner, f"{ME}/pin"
    check_problem(
        browser.put(url, json={"password": "wrong horse", "pin": "471936"}),
        401,
        "authentication-failed",
    )
    easy = browser.put(url, json={"password": PASSWORD, "pin": "111111"})
    assert "111111" not in check_problem(easy, 422, "invalid")["detail"]
    assert browser.put(url, json={"password": PASSWORD, "pin": "471936"}).status_code == 204
    assert run(web.house.authenticator.verify_pin(web.account.id, "471936")).name == "alice"
    assert "471936" not in str(audit(web))


def test_greetings_are_uploaded_heard_and_removed(web):
    """Any audio goes through the conversion; what is none is refused in words."""
    browser, url = web.owner, f"{ME}/greetings"
    sound = b"RIFF" + bytes(100_000)
    assert browser.put(f"{url}/busy", content=sound).status_code == 204
    recorded = {each["kind"]: each["recorded"] for each in browser.get(url).json()}
    assert recorded == {"unavailable": False, "busy": True, "name": False, "temporary": False}
    heard = browser.get(f"{url}/busy")
    assert (heard.content, heard.headers["content-type"]) == (sound, "audio/wav")
    part = browser.get(f"{url}/busy", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    check_problem(browser.put(f"{url}/name", content=b"MZ"), 422, "refused-document")
    check_problem(browser.put(f"{url}/shouting", content=sound), 422, "invalid")
    huge = browser.put(f"{url}/name", content=bytes(20 * 1024 * 1024 + 1))
    check_problem(huge, 413, "too-large")
    assert browser.delete(f"{url}/busy").status_code == 204
    check_problem(browser.delete(f"{url}/busy"), 404, "not-found")
    check_problem(browser.get(f"{url}/busy"), 404, "not-found")
    assert [each[:2] for each in audit(web)[-2:]] == [
        ("owner", "greeting"),
        ("owner", "greeting-removed"),
    ]


def test_a_body_without_a_length_is_cut_off_too(web):
    """Chunked, so that only counting helps."""

    async def endless():
        for _ in range(30):
            yield bytes(1024 * 1024)

    browser = web.owner
    answer = run(browser.asking("PUT", f"{ME}/greetings/busy", content=endless()))
    check_problem(answer, 413, "too-large")


def test_large_bodies_share_one_room(web, monkeypatch):
    """Who comes when it is taken is told to come again; what was read gives its room back."""
    monkeypatch.setattr("um.web.bodies.LARGE_OCTETS", 1000)
    url = f"{ME}/greetings/busy"
    for _ in range(3):
        answer = web.owner.put(url, content=b"RIFF" + bytes(2000))
        check_problem(answer, 503, "unavailable")
        assert "retry-after" in answer.headers
        assert web.owner.put(url, content=b"RIFF" + bytes(900)).status_code == 204


def test_an_app_password_is_shown_once_and_opens_mail_only(web):
    browser, url = web.owner, f"{ME}/app-passwords"
    made = browser.post(url, json={"label": "phone <b>", "password": PASSWORD})
    assert made.status_code == 201
    password = made.json()["password"]
    (listed,) = browser.get(url).json()
    assert (listed["label"], listed["used_at"]) == ("phone <b>", None)
    assert password not in browser.get(url).text
    login = web.house.authenticator.login
    assert run(login("alice", password, peer="192.0.2.1")).account.name == "alice"
    check_problem(
        web.browser().post("/api/v1/session", json={"name": "alice", "password": password}),
        401,
        "authentication-failed",
    )
    check_problem(browser.post(url, json={"label": "\r\n", "password": PASSWORD}), 422, "invalid")
    assert browser.delete(f"{url}/{listed['id']}").status_code == 204
    check_problem(browser.delete(f"{url}/{listed['id']}"), 404, "not-found")


def test_copies_go_to_confirmed_addresses_by_rules(web):
    """An address waits for its link; a rule holds for one kind."""
    browser, url = web.owner, f"{ME}/forwarding"
    given = {"address": "anna@example.org", "password": PASSWORD}
    added = browser.post(f"{url}/addresses", json=given)
    assert (added.status_code, added.json()["state"]) == (201, "unconfirmed")
    rule = {"mode": "attach", "after": "seen"}
    assert browser.put(f"{url}/rules/fax", json=rule).status_code == 204
    told = browser.get(url).json()
    assert told["rules"]["fax"] == rule
    assert told["rules"]["voice"] == {"mode": "off", "after": "keep"}
    assert [each["address"] for each in told["addresses"]] == ["anna@example.org"]
    check_problem(browser.put(f"{url}/rules/mail", json=rule), 422, "invalid")
    check_problem(browser.put(f"{url}/rules/fax", json={"mode": "sell"}), 422, "invalid")
    bad = browser.post(f"{url}/addresses", json=given | {"address": "a@b\r\nBcc: c@d"})
    check_problem(bad, 422, "invalid")
    assert browser.delete(f"{url}/addresses/anna@example.org").status_code == 204
    check_problem(browser.delete(f"{url}/addresses/anna@example.org"), 404, "not-found")


@pytest.mark.parametrize(
    ("path", "body"),
    [("forwarding/addresses", {"address": "thief@example.org"}), ("app-passwords", {"label": "x"})],
)
def test_a_stolen_session_makes_no_way_in(web, path, body):
    """The cookie and the form token alone add no address and no app password."""
    url = f"{ME}/{path}"
    check_problem(web.owner.post(url, json=body), 422, "invalid")
    for guess in range(5):
        answer = web.owner.post(url, json=body | {"password": f"guess {guess}"})
        check_problem(answer, 401, "authentication-failed")
    check_problem(web.owner.post(url, json=body | {"password": PASSWORD}), 429, "locked-out")
    assert run(web.services.address_book.every(web.account.id)) == []
    assert run(web.services.app_passwords.every("alice")) == []


def test_a_fresh_address_opens_no_new_password_for_a_day(web):
    """The older one gets the link at once, the fresh one a day after it was confirmed."""
    confirmed(web)
    run(web.house.confirmed(web.account, "new@example.org", kind=None))
    ask, name = "/api/v1/password-reset", {"name": "alice"}

    def asked() -> set[str]:
        web.house.relay.sent.clear()
        assert web.browser().post(ask, json=name).status_code == 202
        run(web.house.sender.tick())
        return {each.recipient for each in web.house.relay.sent}

    assert asked() == {"anna@example.org"}
    web.house.clock.advance(hours=23)
    assert asked() == {"anna@example.org"}
    web.house.clock.advance(hours=1)
    assert asked() == {"anna@example.org", "new@example.org"}


def test_the_history_is_told_latest_first(web):
    call = CallRecord(web.account.id, web.house.clock.now(), "missed-voice", None, "\x1b[2J", 0.0)
    later = replace(call, at=web.house.clock.now().replace(hour=23), kind="fax", caller="+1")
    for each in (call, later):
        run(web.house.store.run("call", lambda tx, each=each: tx.records.add_call(each)))
    told = web.owner.get(f"{ME}/history").json()
    assert [each["kind"] for each in told["lines"]] == ["fax", "missed-voice"]
    assert told["next"] is None
    first = web.owner.get(f"{ME}/history?limit=1").json()
    rest = web.owner.get(f"{ME}/history?limit=1&after={first['next']}").json()
    assert ([each["kind"] for each in rest["lines"]], rest["next"]) == (["missed-voice"], None)
    only = web.owner.get(f"{ME}/history?kind=fax&kind=mail").json()
    assert [each["kind"] for each in only["lines"]] == ["fax"]
    for wrong in ("after=x", "after=1", "kind=none", "limit=0", f"after={'9' * 18}.1"):
        check_problem(web.owner.get(f"{ME}/history?{wrong}"), 422, "invalid")


def test_mail_that_came_is_in_the_history_once_and_stays(web):
    """A bill with its subject, a letter by its author alone; what is deleted since is told still."""
    reception = HouseReception(web.house)
    bill = b"From: Billing <billing@example.net>\r\nSubject: Invoice 7\r\n\r\nx\r\n"
    for _ in range(2):
        run(reception.take(web.account, bill, key=None))
    letter = b"From: Carol <carol@example.org>\r\nSubject: Private\r\n\r\nx\r\n"
    run(reception.take(web.account, letter, key=None, sender="carol@example.org"))
    run(web.house.delivery.deliver(incoming(web.account, "copy", kind=MessageKind.MAIL)))
    for message in web.owner.get(f"{ME}/messages").json()["messages"]:
        web.owner.delete(f"{ME}/messages/{message['id']}")
    told = web.owner.get(f"{ME}/history").json()["lines"]
    assert [(each["kind"], each["caller"], each["detail"]) for each in told] == [
        ("mail", "Carol <carol@example.org>", ""),
        ("invoice", "Billing <billing@example.net>", "Invoice 7"),
    ]


def confirmed(web):
    """An address of the account that opens a new password; what was sent before is forgotten."""
    run(web.house.book.add(web.account.id, "anna@example.org"))
    run(web.house.sender.tick())
    token = web.house.mailed_token()
    run(web.house.book.confirm(token))
    web.house.clock.advance(days=1)
    web.house.relay.sent.clear()


def mailed_link(web) -> str:
    run(web.house.sender.tick())
    (mail,) = web.house.relay.sent
    text = web.house.relay.message().get_body(("plain",)).get_content()
    assert mail.recipient == "anna@example.org"
    return text.split("/reset/")[1].split()[0]


def test_a_forgotten_password_is_set_by_a_mailed_link(web):
    """Once; sessions end, the new password opens, the old one does not."""
    confirmed(web)
    run(web.services.app_passwords.add("alice", "phone"))
    browser = web.browser()
    assert (
        browser.post("/api/v1/password-reset", json={"name": "+1 555 123 0001"}).status_code == 202
    )
    token = mailed_link(web)
    use = "/api/v1/password-reset/use"
    check_problem(browser.post(use, json={"token": token, "password": "short"}), 422, "invalid")
    assert browser.post(use, json={"token": token, "password": NEW}).status_code == 204
    check_problem(browser.post(use, json={"token": token, "password": NEW}), 404, "not-found")
    check_problem(web.owner.get(ME), 401, "authentication-failed")
    assert run(web.services.app_passwords.every("alice")) == []
    browser.log_in("alice", NEW)
    assert token not in str(audit(web))


def test_a_new_password_ends_the_link_to_the_old_one(web):
    """Whoever read the mail gets nowhere once the owner has set a new password."""
    confirmed(web)
    web.browser().post("/api/v1/password-reset", json={"name": "alice"})
    token = mailed_link(web)
    run(web.house.accounts.set_password("alice", NEW))
    use = {"token": token, "password": "another long one"}
    answer = web.browser().post("/api/v1/password-reset/use", json=use)
    check_problem(answer, 404, "not-found")


@pytest.mark.parametrize("who", ["nobody", "alice", "suspended"])
def test_who_asks_learns_nothing(web, who):
    """Unknown, without an address, suspended: the same answer, and no mail."""
    if who == "suspended":
        confirmed(web)
        run(web.house.accounts.suspend("alice"))
    name = "nobody" if who == "nobody" else "alice"
    answer = web.browser().post("/api/v1/password-reset", json={"name": name})
    assert (answer.status_code, answer.content) == (202, b"null")
    run(web.house.sender.tick())
    assert web.house.relay.sent == []


def test_an_address_asks_twenty_times_a_day(web):
    """And then 429, for whatever name; a neighbour of its network counts as the same."""
    ask = "/api/v1/password-reset"
    for count in range(20):
        asking = web.browser(peer=f"2001:db8:0:7::{count:x}")
        assert asking.post(ask, json={"name": f"name-{count}"}).status_code == 202
    same = web.browser(peer="2001:db8:0:7:ffff::1")
    check_problem(same.post(ask, json={"name": "alice"}), 429, "locked-out")
    other = web.browser(peer="2001:db8:0:8::1")
    assert other.post(ask, json={"name": "alice"}).status_code == 202


def test_an_owner_is_meant_whatever_the_account_is_called(web):
    """Renamed while a request is on its way, and the old name given to another: nothing of theirs."""
    check_problem(web.owner.put(f"{ME}/name", json={"name": "123"}), 422, "invalid")
    assert web.owner.put(f"{ME}/name", json={"name": "Anna"}).json()["name"] == "anna"
    run(web.house.add("alice", "+15551230002"))
    check_problem(web.owner.put(f"{ME}/name", json={"name": "alice"}), 409, "already-exists")
    find = web.services.sessions.find

    async def late(cookie, *, touch=True):
        """What the session said just before the account got its new name."""
        visitor = await find(cookie, touch=touch)
        return replace(visitor, account=replace(visitor.account, name="alice"))

    web.services.sessions.find = late
    assert web.owner.patch(ME, json={"full_name": "Anna"}).json()["name"] == "anna"
    pin = {"password": PASSWORD, "pin": "471936"}
    check_problem(web.owner.put(f"{ME}/pin", json=pin), 401, "authentication-failed")
    assert run(web.house.accounts.show("alice")).account.full_name == ""


def test_what_is_held_by_law_is_not_removed_for_good(web):
    """Into Trash and back, as ever; out of Trash only by restoring."""
    run(web.house.delivery.deliver(incoming(web.account)))
    run(web.house.accounts.set_legal_hold("alice", on=True, reason="case 7"))
    (message,) = web.owner.get(f"{ME}/messages").json()["messages"]
    moved = web.owner.delete(f"{ME}/messages/{message['id']}").json()
    answer = web.owner.delete(f"{ME}/messages/{moved['id']}")
    check_problem(answer, 403, "legal-hold")
    assert "case 7" not in answer.text
    assert web.owner.post(f"{ME}/messages/{moved['id']}/restore").status_code == 200

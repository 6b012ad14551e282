"""Coming in: sessions by cookie, form tokens, and what every answer carries."""

import pytest

from tests.support.house import PASSWORD
from tests.support.web_house import WebHouse, check_problem, run

SESSION = "/api/v1/session"


@pytest.fixture
def web():
    house = WebHouse()
    run(house.house.add("alice"))
    return house


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use(web):
    """`__Host-`, Secure, HttpOnly, SameSite=Lax, for the whole site and the browser's session."""
    browser = web.browser()
    answer = browser.post(SESSION, json={"name": "ALICE@um.example.net", "password": PASSWORD})
    assert answer.status_code == 200
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-um=")
    assert {each.lower() for each in attributes} == {"httponly", "path=/", "samesite=lax", "secure"}
    told = answer.json()
    assert (told["name"], told["state"], told["read_only"]) == ("alice", "active", False)
    assert browser.get(SESSION).json() == told


def test_without_a_cookie_there_is_nobody(web):
    """401 with how to come in; an invented cookie is no better."""
    browser = web.browser()
    answer = browser.get(SESSION)
    check_problem(answer, 401, "authentication-failed")
    assert answer.headers["www-authenticate"].startswith("Cookie")
    browser.cookies.set("__Host-um", "x" * 43, domain="um.example.net")
    check_problem(browser.get(SESSION), 401, "authentication-failed")
    browser.cookies.set("__Host-um", "x" * 5000, domain="um.example.net")
    check_problem(browser.get(SESSION), 401, "authentication-failed")


def test_a_login_rotates_the_session(web):
    """The cookie of before opens nothing afterwards, so that nobody can plant one."""
    browser = web.logged_in()
    before = browser.cookies["__Host-um"]
    browser.log_in()
    assert browser.cookies["__Host-um"] != before
    stranger = web.browser()
    stranger.cookies.set("__Host-um", before, domain="um.example.net")
    check_problem(stranger.get(SESSION), 401, "authentication-failed")


def test_a_session_ends_by_itself_after_thirty_idle_minutes(web):
    browser = web.logged_in()
    web.house.clock.advance(minutes=29)
    assert browser.get(SESSION).status_code == 200
    web.house.clock.advance(minutes=29)
    assert browser.get(SESSION).status_code == 200
    web.house.clock.advance(minutes=31)
    check_problem(browser.get(SESSION), 401, "authentication-failed")


def test_a_page_that_reads_itself_anew_keeps_no_session_alive(web):
    """Messages that come in while nobody sits there do not keep the door open; a use does."""
    browser = web.logged_in()
    refresh = {"headers": {"X-UM-Refresh": "list"}}
    for _ in range(2):
        web.house.clock.advance(minutes=14)
        assert browser.get(SESSION, **refresh).status_code == 200
    web.house.clock.advance(minutes=2)
    check_problem(browser.get(SESSION, **refresh), 401, "authentication-failed")


def test_whatever_changes_anything_needs_the_form_token(web):
    """Not the cookie alone, nor the token of another session."""
    browser, other = web.logged_in(), web.logged_in()
    for wrong in ({}, {"x-csrf-token": "x"}, {"x-csrf-token": other.headers["x-csrf-token"]}):
        right, browser.headers = browser.headers, wrong
        check_problem(browser.delete(SESSION), 403, "forbidden")
        browser.headers = right
    assert browser.delete(SESSION).status_code == 204
    check_problem(browser.get(SESSION), 401, "authentication-failed")


def test_sessions_are_listed_and_ended_one_by_one(web):
    """Each with its place; one's own is marked; what is ended opens nothing."""
    here, there, far = web.logged_in(), web.logged_in(peer="192.0.2.8"), web.logged_in()
    listed = here.get("/api/v1/sessions").json()
    assert len(listed) == 3
    assert [each["current"] for each in listed].count(True) == 1
    (theirs,) = [each["id"] for each in listed if each["peer"] == "192.0.2.8"]
    assert here.delete(f"/api/v1/sessions/{theirs}").status_code == 204
    check_problem(there.get(SESSION), 401, "authentication-failed")
    check_problem(here.delete(f"/api/v1/sessions/{theirs}"), 404, "not-found")
    assert here.delete("/api/v1/sessions").status_code == 204
    check_problem(far.get(SESSION), 401, "authentication-failed")
    assert here.get(SESSION).status_code == 200


def test_wrong_passwords_slow_down_and_lock(web):
    """As at every other door; 401 for a wrong one, 429 while it is locked."""
    browser = web.browser()
    wrong = {"name": "alice", "password": "wrong horse"}
    for _ in range(5):
        check_problem(browser.post(SESSION, json=wrong), 401, "authentication-failed")
    right = {"name": "alice", "password": PASSWORD}
    answer = browser.post(SESSION, json=right)
    check_problem(answer, 429, "locked-out")
    assert "retry-after" in answer.headers
    assert web.browser(peer="192.0.2.9").post(SESSION, json=right).status_code == 200
    unknown = {"name": "nobody", "password": "wrong horse"}
    assert web.browser().post(SESSION, json=unknown).json()["detail"] == "Authentication failed"


def test_a_suspended_account_looks_and_a_closed_one_is_told_why(web):
    """Read-only with the reason; the session of a closed account opens nothing any more."""
    browser = web.logged_in()
    run(web.house.accounts.suspend("alice", reason="unpaid"))
    told = browser.get(SESSION).json()
    assert told["read_only"]
    assert "unpaid" in told["notice"]
    run(web.house.accounts.close("alice", reason="gone away"))
    check_problem(browser.get(SESSION), 401, "authentication-failed")
    answer = browser.post(SESSION, json={"name": "alice", "password": PASSWORD})
    assert "gone away" in check_problem(answer, 403, "account-closed")["detail"]
    answer = browser.post(SESSION, json={"name": "alice", "password": "wrong horse"})
    assert "gone away" not in check_problem(answer, 401, "authentication-failed")["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_another_sites_page_cannot_log_a_browser_in(web, headers):
    """Login forgery: the victim would work in the attacker's account."""
    answer = web.browser().post(
        SESSION, json={"name": "alice", "password": PASSWORD}, headers=headers
    )
    check_problem(answer, 403, "cross-site")
    own = {"sec-fetch-site": "same-origin", "origin": "https://behind-a-proxy.example"}
    right = {"name": "alice", "password": PASSWORD}
    assert web.browser().post(SESSION, json=right, headers=own).status_code == 200
    form = {"name": "alice", "password": PASSWORD}
    assert web.browser().post(SESSION, data=form).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"name": 1, "password": "x"}',
        b'{"name": "alice"}',
        b'{"name": "alice", "password": "x", "more": 1}',
        b'{"name": "\\ud800", "password": "x"}',
        b'{"name": "a\\u0000", "password": "\\u0000"}',
        b'{"name": "' + b"a" * 400 + b'", "password": "x"}',
        b"[" * 30_000,
        b"9" * 10_000,
        b"\xff\xfe\x00",
    ],
)
def test_hostile_bodies_are_the_senders_fault(web, body):
    """A problem document of the 400s that does not repeat what was sent."""
    answer = web.browser().post(SESSION, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "aaaa" not in answer.text


def test_a_body_of_a_stranger_is_cut_off(web):
    """Nobody can fill the memory before saying who they are."""
    answer = web.browser().post(
        SESSION, content=b" " * 70_000, headers={"content-type": "application/json"}
    )
    check_problem(answer, 413, "too-large")


@pytest.mark.parametrize("path", [SESSION, "/api/v1/openapi.json", "/nowhere", "/"])
def test_every_answer_is_guarded(web, path):
    """Nothing may be loaded, framed, sniffed or kept."""
    headers = web.browser().get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["cache-control"] == "no-store"


def test_what_is_not_there_is_a_problem_document(web):
    check_problem(web.browser().get("/api/v1/nothing"), 404, "not-found")
    check_problem(web.browser().put(SESSION), 405, "method-not-allowed")

"""What leaves the house for an account, over the operator's API; and the state of purges."""

import hmac
import json
from datetime import timedelta

import pytest

from tests.support.forwarding import DEFERRED, REFUSED
from tests.support.house import PASSWORD, incoming
from tests.support.web_house import WebHouse, check_problem, run
from um.core.credentials import Scope
from um.core.forwarding import AfterCopy, CopyMode, CopyRule
from um.core.message import MessageKind

ALICE = "/api/v1/accounts/alice"
URL = "https://crm.example.net/voicemail"


@pytest.fixture
def web():
    house = WebHouse()
    house.account = run(house.house.add("alice"))
    house.op = house.operator(Scope.READ, Scope.ACCOUNTS)
    return house


def test_addresses_and_rules_are_shown_removed_and_ended(web):
    """The operator adds none: nobody but the owner can say where private mail goes."""
    house, account = web.house, web.account
    run(house.confirmed(account, "anna@example.org"))
    run(house.rules.set(account.id, MessageKind.FAX, CopyRule(CopyMode.ATTACH, AfterCopy.TRASH)))
    told = web.op.get(f"{ALICE}/forwarding").json()
    assert [(each["address"], each["state"]) for each in told["addresses"]] == [
        ("anna@example.org", "confirmed")
    ]
    assert told["rules"]["fax"] == {"mode": "attach", "after": "trash"}
    assert told["webhook"] is None
    assert "token" not in web.op.get(f"{ALICE}/forwarding").text
    assert web.op.put(f"{ALICE}/forwarding/rules/fax", json={"mode": "off"}).status_code == 204
    assert web.op.delete(f"{ALICE}/forwarding/addresses/anna@example.org").status_code == 204
    told = web.op.get(f"{ALICE}/forwarding").json()
    assert (told["addresses"], told["rules"]["fax"]["mode"]) == ([], "off")
    gone = web.op.delete(f"{ALICE}/forwarding/addresses/anna@example.org")
    check_problem(gone, 404, "not-found")
    check_problem(web.op.post(f"{ALICE}/forwarding/addresses", json={}), 404, "not-found")
    log = {each["action"] for each in web.op.get(f"{ALICE}/audit").json()["records"]}
    assert {"forward-rule", "forward-address-remove"} <= log


def test_a_webhook_is_set_tried_watched_and_removed(web):
    """The secret is told once; a test event is signed by it; what does not arrive is counted."""
    check_problem(web.op.get(f"{ALICE}/webhook"), 404, "not-found")
    check_problem(web.op.post(f"{ALICE}/webhook/test"), 404, "not-found")
    made = web.op.put(f"{ALICE}/webhook", json={"url": URL}).json()
    told = web.op.post(f"{ALICE}/webhook/test").json()
    assert (told["taken"], told["answer"]) == (True, "")
    ((url, body, headers),) = web.house.webhooks.posted
    assert (url, json.loads(body)["event"]) == (URL, "webhook.test")
    assert headers["x-um-event-id"] == told["event_id"]
    stamp, _, mac = headers["x-um-signature"].partition(",")
    signed = hmac.digest(made["secret"].encode(), f"{stamp[2:]}.".encode() + body, "sha256").hex()
    assert mac == f"v1={signed}"
    state = web.op.get(f"{ALICE}/webhook")
    assert state.json() == {"url": URL, "waiting": 0, "last_error": ""}
    assert made["secret"] not in state.text
    web.house.webhooks.answers.append(DEFERRED)
    run(web.house.delivery.deliver(incoming(web.account)))
    run(web.house.sender.tick())
    state = web.op.get(f"{ALICE}/webhook").json()
    assert (state["waiting"], state["last_error"]) == (1, DEFERRED.public)
    (row,) = web.op.get(f"{ALICE}/outbox").json()
    assert (row["purpose"], row["state"], row["attempts"]) == ("webhook", "waiting", 1)
    assert web.op.delete(f"{ALICE}/webhook").status_code == 204
    check_problem(web.op.delete(f"{ALICE}/webhook"), 404, "not-found")
    assert web.op.get(f"{ALICE}/outbox").json()[0]["state"] == "cancelled"


def test_a_webhook_that_fails_its_test_says_why(web):
    """In the words of the queue; nothing is queued."""
    web.op.put(f"{ALICE}/webhook", json={"url": URL})
    for error in (DEFERRED, REFUSED):
        web.house.webhooks.answers.append(error)
        told = web.op.post(f"{ALICE}/webhook/test").json()
        assert (told["taken"], told["answer"]) == (False, error.public)
    assert web.op.get(f"{ALICE}/outbox").json() == []


@pytest.mark.parametrize(
    "url", ["http://crm.example.net/", "https://a:b@crm.example.net/", "ftp://x/", "x", ""]
)
def test_a_webhook_goes_over_https_only(web, url):
    check_problem(web.op.put(f"{ALICE}/webhook", json={"url": url}), 422, "invalid")


def test_a_password_link_shows_nothing_that_opens_anything(web):
    """The queue tells purpose and address, never what is in the mail."""
    run(web.house.confirmed(web.account, "anna@example.org"))
    web.house.clock.advance(days=2)  # a new address opens no password for a day
    web.browser().post("/api/v1/password-reset", json={"name": "alice"})
    rows = web.op.get(f"{ALICE}/outbox")
    assert {each["purpose"] for each in rows.json()} >= {"password-reset"}
    assert not {"detail", "token"} & set(rows.json()[0])


def test_looking_needs_another_scope_than_changing(web):
    reader = web.operator(Scope.READ)
    assert reader.get(f"{ALICE}/forwarding").status_code == 200
    for method, path in (
        ("PUT", "/webhook"),
        ("DELETE", "/webhook"),
        ("POST", "/webhook/test"),
        ("PUT", "/forwarding/rules/fax"),
        ("DELETE", "/forwarding/addresses/anna@example.org"),
    ):
        check_problem(reader.ask(method, f"{ALICE}{path}", json={}), 403, "forbidden")


def test_a_purge_that_the_clock_holds_is_seen_and_confirmed(web):
    """By a time that the operator's own clock says: a wrong one ends no hold."""
    for name in ("carol", "bob"):
        run(web.house.add(name, None))
        web.op.post(f"/api/v1/accounts/{name}/close", json={"reason": "gone away"})
    run(web.house.accounts.set_legal_hold("carol", on=True, reason="case 7"))
    purge = web.house.purge()
    run(purge.run())  # the first reading of the clock
    assert not web.op.get("/api/v1/purge").json()["held"]
    web.house.clock.advance(days=100)
    state = web.op.get("/api/v1/purge").json()
    assert (state["held"], state["due"], state["on_legal_hold"]) == (True, 1, 1)
    first = web.op.get("/api/v1/purge/due?limit=1").json()
    assert [(each["name"], each["legal_hold"]) for each in first["accounts"]] == [("bob", False)]
    rest = web.op.get(f"/api/v1/purge/due?after={first['next']}").json()
    assert [each["name"] for each in rest["accounts"]] == ["carol"]
    assert rest["next"] is None
    assert run(purge.run()).records == []
    wrong = (web.house.clock.now() - timedelta(hours=1)).isoformat()
    check_problem(web.op.post("/api/v1/purge/confirm", json={"now": wrong}), 422, "invalid")
    assert web.op.get("/api/v1/purge").json()["held"]
    right = (web.house.clock.now() + timedelta(seconds=40)).isoformat()
    assert not web.op.post("/api/v1/purge/confirm", json={"now": right}).json()["held"]
    assert [each.messages for each in run(purge.run()).records] == [0]
    assert web.op.get("/api/v1/purge").json()["due"] == 0
    check_problem(web.operator(Scope.READ).post("/api/v1/purge/confirm"), 403, "forbidden")
    web.browser().log_in("alice", PASSWORD)

"""The operator's API: accounts, numbers, invoices, statistics, audit log, purge records."""

import base64
from datetime import UTC, datetime

import pytest

from tests.support.house import PASSWORD, mail
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.web_house import WebHouse, check_problem, run
from um.core.account import PurgeRecord
from um.core.credentials import Scope
from um.core.ids import AccountId
from um.core.message import MessageKind

ACCOUNTS = "/api/v1/accounts"
PDF = b"%PDF-1.7\nan invoice"


@pytest.fixture
def web():
    house = WebHouse()
    house.op = house.operator(Scope.READ, Scope.ACCOUNTS, Scope.DEPOSIT)
    return house


def add(web, name="alice", **more):
    answer = web.op.post(ACCOUNTS, json={"name": name, "password": PASSWORD} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_account_is_added_shown_and_changed(web):
    """With numbers in any spelling and secrets that are never shown."""
    made = add(
        web,
        full_name="Anna Alpha",
        numbers=[{"number": "(555) 123-0001", "use": "voice"}],
        pin="280519",
        quota_octets=2_000_000,
    )
    assert [each["number"] for each in made["numbers"]] == ["+15551230001"]
    assert (made["has_password"], made["has_pin"], made["quota_octets"]) == (True, True, 2_000_000)
    assert "hash" not in str(made)
    assert web.op.get(f"{ACCOUNTS}/alice@um.example.net").json() == made
    change = {"voicemail": False, "ring_seconds": 7, "quota_octets": 3_000_000, "language": "fr"}
    told = web.op.patch(f"{ACCOUNTS}/alice", json=change).json()
    assert {key: told[key] for key in change} == change
    check_problem(web.op.post(ACCOUNTS, json={"name": "ALICE"}), 409, "already-exists")
    check_problem(web.op.post(ACCOUNTS, json={"name": "12345"}), 422, "invalid")
    check_problem(web.op.patch(f"{ACCOUNTS}/bob", json=change), 404, "not-found")
    check_problem(web.op.patch(f"{ACCOUNTS}/alice", json={"quota_octets": 1}), 422, "invalid")
    web.logged_in("alice")


def test_accounts_are_listed_a_page_at_a_time(web):
    for name in ("carol", "alice", "bob"):
        add(web, name)
    first = web.op.get(f"{ACCOUNTS}?limit=2").json()
    assert [each["name"] for each in first["accounts"]] == ["alice", "bob"]
    rest = web.op.get(f"{ACCOUNTS}?limit=2&after={first['next']}").json()
    assert ([each["name"] for each in rest["accounts"]], rest["next"]) == (["carol"], None)
    for wrong in ("limit=0", "limit=501", "limit=x", "after=%00"):
        check_problem(web.op.get(f"{ACCOUNTS}?{wrong}"), 422, "invalid")


def test_the_life_of_an_account(web):
    """Suspended with the reason, resumed, closed with its purge date, reopened; nothing else."""
    add(web)
    url = f"{ACCOUNTS}/alice"
    told = web.op.post(f"{url}/suspend", json={"reason": "unpaid"}).json()
    assert (told["state"], told["state_reason"]) == ("suspended", "unpaid")
    check_problem(web.op.post(f"{url}/suspend", json={}), 409, "life-cycle")
    assert web.op.post(f"{url}/resume", json={"reason": "paid"}).json()["state"] == "active"
    closed = web.op.post(f"{url}/close", json={"reason": "gone away"}).json()
    assert (closed["state"], closed["purge_at"]) == ("closed", "2026-05-04T11:00:00Z")
    check_problem(web.op.post(f"{url}/resume"), 409, "life-cycle")
    assert web.op.post(f"{url}/reopen").json()["state"] == "active"
    log = web.op.get(f"{url}/audit?limit=3").json()["records"]
    assert {each["action"] for each in log} <= {"add", "suspend", "resume", "close", "reopen"}
    everything = web.op.get(f"{url}/audit").json()["records"]
    told = {(each["actor"], each["action"], each["detail"]) for each in everything}
    who = "token billing-accounts-deposit-read"
    assert {(who, "close", "gone away"), (who, "resume", "paid")} <= told


def test_a_legal_hold_is_set_with_its_reason_and_ended(web):
    """The operator sees it, the owner does not."""
    add(web)
    url = f"{ACCOUNTS}/alice/legal-hold"
    check_problem(web.op.put(url, json={"on": True}), 422, "invalid")
    told = web.op.put(url, json={"on": True, "reason": "case 7"}).json()
    assert (told["legal_hold_reason"], told["legal_hold_at"] is None) == ("case 7", False)
    assert "case 7" not in web.logged_in("alice").get("/api/v1/me").text
    assert web.op.put(url, json={"on": False}).json()["legal_hold_at"] is None


def test_secrets_are_set_and_never_told(web):
    add(web)
    url = f"{ACCOUNTS}/alice"
    owner = web.logged_in("alice")
    assert web.op.put(f"{url}/password", json={"password": "another horse"}).status_code == 204
    check_problem(owner.get("/api/v1/me"), 401, "authentication-failed")
    web.browser().log_in("alice", "another horse")
    check_problem(web.op.put(f"{url}/pin", json={"pin": "123456"}), 422, "invalid")
    assert web.op.put(f"{url}/pin", json={"pin": "471936"}).status_code == 204
    assert web.op.get(url).json()["has_pin"]
    assert web.op.delete(f"{url}/pin").status_code == 204
    assert not web.op.get(url).json()["has_pin"]
    log = web.op.get(f"{url}/audit").text
    assert "471936" not in log
    assert "another horse" not in log


def test_numbers_are_given_taken_held_and_freed(web):
    add(web)
    add(web, "bob")
    url = f"{ACCOUNTS}/alice/numbers"
    given = web.op.post(url, json={"number": "555 123 0001", "use": "fax"})
    assert (given.status_code, given.json()["use"]) == (201, "fax")
    theirs = web.op.post(f"{ACCOUNTS}/bob/numbers", json={"number": "+15551230001"})
    check_problem(theirs, 409, "already-exists")
    assert [each["number"] for each in web.op.get(url).json()] == ["+15551230001"]
    check_problem(web.op.delete("/api/v1/numbers/+15551230001"), 409, "life-cycle")
    held = web.op.delete(f"{url}/+15551230001").json()
    assert held["state"] == "held"
    check_problem(web.op.delete(f"{url}/+15551230001"), 404, "not-found")
    check_problem(web.op.post(url, json={"number": "nobody"}), 422, "invalid")
    assert web.op.delete("/api/v1/numbers/+15551230001").status_code == 204
    again = web.op.post(f"{ACCOUNTS}/bob/numbers", json={"number": "+15551230001"})
    assert again.status_code == 201


def drop(web, content, *, key=None, kind="message/rfc822", account="alice"):
    headers = {"content-type": kind} | ({"idempotency-key": key} if key else {})
    return web.op.post(f"{ACCOUNTS}/{account}/invoices", content=content, headers=headers)


def test_an_invoice_arrives_as_billing_wrote_it(web):
    """A mail with its PDF; foreign marks are stripped, ours say what it is."""
    add(web)
    data = invoice_mail(
        "alice@um.example.net", invoice_pdf(), when=datetime(2026, 3, 4, tzinfo=UTC)
    )
    assert drop(web, b"X-UM-Kind: voice\r\n" + data).status_code == 201
    owner = web.logged_in("alice")
    (message,) = owner.get("/api/v1/me/messages?kind=invoice").json()["messages"]
    assert message["subject"] == "Your invoice 2026-11-0042: 29.46"
    raw = owner.get(f"/api/v1/me/messages/{message['id']}/raw").content
    assert raw.count(b"X-UM-Kind:") == 1
    assert b"X-UM-Kind: invoice" in raw


def test_an_invoice_as_a_pdf_becomes_a_mail(web):
    """With number, amount and due date in its words; hostile words stay words."""
    add(web)
    given = {
        "number": "2026/42 <b>",
        "pdf": base64.b64encode(PDF).decode(),
        "amount": "29.46 CAD",
        "due": "2026-04-01",
        "issued_at": "2026-03-01T08:00:00-05:00",
    }
    answer = web.op.post(f"{ACCOUNTS}/alice/invoices", json=given)
    assert answer.status_code == 201, answer.text
    owner = web.logged_in("alice")
    told = owner.get(f"/api/v1/me/messages/{answer.json()['message']}").json()
    assert (told["kind"], told["subject"]) == ("invoice", "Invoice 2026/42 <b>: 29.46 CAD")
    (part,) = told["parts"]
    assert (part["filename"], part["media_type"]) == ("invoice-2026-42-b.pdf", "application/pdf")
    assert owner.get(f"/api/v1/me/messages/{told['id']}/parts/{part['number']}").content == PDF


def test_a_key_makes_a_deposit_happen_once(web):
    """The replay answers the same, whatever the customer did meanwhile; another key is another."""
    add(web)
    first = drop(web, mail(), key="2026-42")
    owner = web.logged_in("alice")
    owner.delete(f"/api/v1/me/messages/{first.json()['message']}")
    again = drop(web, mail(), key="2026-42")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert drop(web, mail(), key="2026-43").status_code == 201
    assert web.op.get("/api/v1/statistics").json()["messages"]["invoice"] == 2
    add(web, "bob")
    assert drop(web, mail(), key="2026-42", account="bob").status_code == 201
    stranger = web.operator(Scope.DEPOSIT, name="other")
    headers = {"content-type": "message/rfc822", "idempotency-key": "2026-42"}
    other = stranger.post(f"{ACCOUNTS}/alice/invoices", content=mail(), headers=headers)
    assert other.status_code == 201


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "message/rfc822", 422),
        (b"no header", "message/rfc822", 422),
        (b" folded: first\r\n\r\n", "message/rfc822", 422),
        (b"A: b\r\n\r\n\0", "message/rfc822", 422),
        (b"A: b\r\n\r\n" + b"x" * 100_000, "message/rfc822", 422),
        (b"Received: x\r\n" * 40 + b"\r\n", "message/rfc822", 422),
        (b"A: b\r\n\r\n" + b"x\r\n" * 12_000_000, "message/rfc822", 413),
        (b"{}", "application/json", 422),
        (b'{"number": "1", "pdf": "%%%"}', "application/json", 422),
        (b'{"number": "1", "pdf": "TVo="}', "application/json", 422),
        (b'{"pdf": "JVBERi0x"}', "application/json", 422),
        (b'{"number": "1", "pdf": "JVBERi0x", "message": "QTogYg=="}', "application/json", 422),
        (b'{"number": "1\\r\\nBcc: x", "pdf": "JVBERi0x"}', "application/json", 422),
        (b"%PDF-1.7", "application/pdf", 422),
        (b"a=b", "application/x-www-form-urlencoded", 422),
    ],
)
def test_what_is_no_invoice_is_refused(web, content, kind, status):
    add(web)
    answer = drop(web, content, kind=kind)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert web.op.get("/api/v1/statistics").json()["messages"]["invoice"] == 0


def test_who_may_have_invoices(web):
    """A suspended account does, a closed one does not, a full one has no room."""
    add(web)
    web.op.post(f"{ACCOUNTS}/alice/suspend", json={"reason": "unpaid"})
    assert drop(web, mail()).status_code == 201
    web.op.post(f"{ACCOUNTS}/alice/close", json={})
    check_problem(drop(web, mail(subject="two")), 403, "account-closed")
    add(web, "bob", quota_octets=1024 * 1024)
    check_problem(drop(web, mail(2_000_000), account="bob"), 507, "quota-exceeded")
    check_problem(drop(web, mail(), account="nobody"), 404, "not-found")


def test_many_at_once_succeed_and_fail_one_by_one(web):
    """Each with its own status; given again with the same keys nothing arrives twice."""
    add(web)
    pdf = base64.b64encode(PDF).decode()
    bulk = {
        "invoices": [
            {"account": "alice", "idempotency_key": "1", "number": "1", "pdf": pdf},
            {"account": "nobody", "idempotency_key": "2", "number": "2", "pdf": pdf},
            {"account": "alice", "idempotency_key": "3", "number": "3"},
            {
                "account": "alice",
                "idempotency_key": "4",
                "message": base64.b64encode(mail()).decode(),
            },
        ]
    }
    for expected in ([201, 404, 422, 201], [200, 404, 422, 200]):
        results = web.op.post("/api/v1/invoices", json=bulk).json()["results"]
        assert [each["status"] for each in results] == expected
        assert [each["code"] for each in results] == [None, "not-found", "invalid", None]
    assert web.op.get("/api/v1/statistics").json()["messages"]["invoice"] == 2
    check_problem(web.op.post("/api/v1/invoices", json={"invoices": []}), 422, "invalid")
    many = {"invoices": bulk["invoices"][:1] * 101}
    check_problem(web.op.post("/api/v1/invoices", json=many), 422, "invalid")


def test_sums_and_proofs(web):
    """Accounts by state and messages by kind; a purge record by the id that the account had."""
    add(web)
    add(web, "bob")
    web.op.post(f"{ACCOUNTS}/bob/suspend", json={})
    drop(web, mail())
    told = web.op.get("/api/v1/statistics").json()
    assert told["accounts"] == {"active": 1, "suspended": 1, "closed": 0, "purging": 0}
    assert told["messages"][MessageKind.INVOICE] == 1
    assert told["used_octets"] > 1000
    now = web.house.clock.now()
    record = PurgeRecord(AccountId("a" * 32), now, now, 3, 4096, 3)
    run(web.house.store.run("purge", lambda tx: tx.records.save_purge(record)))
    (listed,) = web.op.get("/api/v1/purges").json()["purges"]
    assert web.op.get(f"/api/v1/purges/{'a' * 32}").json() == listed
    assert (listed["messages"], listed["octets"]) == (3, 4096)
    check_problem(web.op.get(f"/api/v1/purges/{'b' * 32}"), 404, "not-found")


def test_logs_are_read_a_page_at_a_time(web):
    """Backwards, each line once, whatever is added meanwhile."""
    add(web)
    url = f"{ACCOUNTS}/alice"
    for number in range(7):
        web.op.post(f"{url}/suspend", json={"reason": f"s{number}"})
        web.op.post(f"{url}/resume", json={"reason": f"r{number}"})
    seen, after = [], ""
    while after is not None:
        page = web.op.get(f"{url}/audit?limit=4{after and f'&after={after}'}").json()
        seen += [each["detail"] for each in page["records"] if each["detail"]]
        after = page["next"]
        web.op.put(f"{url}/legal-hold", json={"on": False})
    assert seen == [f"{letter}{number}" for number in reversed(range(7)) for letter in "rs"]
    check_problem(web.op.get(f"{url}/audit?after=x"), 422, "invalid")
    now = web.house.clock.now()
    for number in range(3):
        record = PurgeRecord(AccountId(f"{number}" * 32), now, now, number, 0, 0)
        run(web.house.store.run("purge", lambda tx, record=record: tx.records.save_purge(record)))
    first = web.op.get("/api/v1/purges?limit=2").json()
    rest = web.op.get(f"/api/v1/purges?limit=2&after={first['next']}").json()
    told = [each["messages"] for each in (*first["purges"], *rest["purges"])]
    assert (told, rest["next"]) == ([2, 1, 0], None)


@pytest.mark.parametrize(
    "given", ["Basic abc", "Bearer", "Bearer umt_wrong", f"Bearer {'x' * 5000}", "Bearer \xff"]
)
def test_a_wrong_token_opens_nothing(web, given):
    """401 with how to come in; an expired token is no better."""
    stranger = web.browser()
    headers = {"authorization": given.encode("latin-1")}
    answer = stranger.get(ACCOUNTS, headers=headers)
    check_problem(answer, 401, "authentication-failed")
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


def test_a_token_expires(web):
    token = run(web.services.tokens.add("short", frozenset({Scope.READ}), valid_days=1))
    headers = {"authorization": f"Bearer {token}"}
    assert web.browser().get(ACCOUNTS, headers=headers).status_code == 200
    web.house.clock.advance(days=1)
    check_problem(web.browser().get(ACCOUNTS, headers=headers), 401, "authentication-failed")


@pytest.mark.parametrize("name", ["..%2F..", "a%00b", "a b", "%C3%A9", "x" * 400, "%0d%0a"])
def test_what_is_no_name_is_refused(web, name):
    for answer in (web.op.get(f"{ACCOUNTS}/{name}"), web.op.post(f"{ACCOUNTS}/{name}/resume")):
        assert answer.status_code in (404, 422)

"""Rules of retention over the API: an owner's own, the operator's for an account, and those for all."""

import pytest

from tests.support.house import mail
from tests.support.web_house import WebHouse, check_problem, run
from um.core.credentials import Scope
from um.core.ids import IngestKey
from um.core.message import MessageKind
from um.core.retention import parse_rule
from um.service.delivery import Incoming

FOR_ALL = parse_rule("mail older than 365 days and read -> Trash")
OWN = "/api/v1/me/retention"
ALICE = "/api/v1/accounts/alice/retention"


@pytest.fixture
def web():
    house = WebHouse(rules=[FOR_ALL])
    house.account = run(house.house.add("alice"))
    house.op = house.operator(Scope.READ, Scope.ACCOUNTS)
    return house


def put_in(web, kind, key="1"):
    data = mail(2000)
    run(web.house.delivery.deliver(Incoming(web.account.id, kind, data, IngestKey(key))))


def test_an_owner_makes_a_rule_that_rests_until_its_dry_run(web):
    """Chosen, shown by a dry run, in force a day later; then it is carried out, into Trash."""
    put_in(web, MessageKind.VOICE)
    web.house.clock.advance(days=90)
    owner = web.logged_in()
    told = owner.put(f"{OWN}/voice", json={"older_than_days": 60}).json()["kinds"]["voice"]
    assert told["chosen"] == "rule"
    assert told["standing"]["rule"] == "voice older than 60 days -> Trash"
    assert (told["standing"]["shown_at"], told["standing"]["in_force"]) == (None, False)
    (found,) = owner.post(f"{OWN}/dry-run").json()
    assert (found["messages"], found["octets"]) == (1, 2000)
    assert found["standing"]["begins_at"] == "2026-06-03T12:00:00Z"
    assert run(web.services.retention.run()) == []
    web.house.clock.advance(days=1)
    owner = web.logged_in()
    assert owner.get(OWN).json()["kinds"]["voice"]["standing"]["in_force"]
    assert [each.messages for each in run(web.services.retention.run())] == [1]
    assert owner.get("/api/v1/me/messages?folder=Trash").json()["total"] == 1


def test_an_owners_word_goes_before_the_rule_for_all(web):
    """Kept, against the operator's rule; and the operator's again."""
    owner = web.logged_in()
    told = owner.get(OWN).json()["kinds"]["mail"]
    assert (told["chosen"], told["standing"]["own"]) == ("default", False)
    told = owner.put(f"{OWN}/mail", json={"keep": True}).json()["kinds"]["mail"]
    assert (told["chosen"], told["standing"]) == ("keep", None)
    told = owner.delete(f"{OWN}/mail").json()["kinds"]["mail"]
    assert told["standing"]["rule"] == str(FOR_ALL)


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("voice", {}),
        ("voice", {"keep": True, "older_than_days": 3}),
        ("voice", {"older_than_days": 0}),
        ("voice", {"older_than_days": 99_999}),
        ("voice", {"older_than_days": 30, "action": "delete"}),
        ("notice", {"keep": True}),
        ("nothing", {"keep": True}),
    ],
)
def test_what_is_no_choice_of_an_owner_is_refused(web, path, given):
    """Deleting for good is the operator's alone; notices have no rule."""
    owner = web.logged_in()
    check_problem(owner.put(f"{OWN}/{path}", json=given), 422, "invalid")
    assert owner.get(OWN).json()["kinds"]["voice"]["chosen"] == "default"


def test_a_suspended_owner_reads_the_rules_and_changes_none(web):
    owner = web.logged_in()
    run(web.house.accounts.suspend("alice", reason="unpaid"))
    assert owner.get(OWN).status_code == 200
    check_problem(owner.put(f"{OWN}/fax", json={"keep": True}), 403, "read-only")
    check_problem(owner.delete(f"{OWN}/fax"), 403, "read-only")
    check_problem(owner.post(f"{OWN}/dry-run"), 403, "read-only")


def test_the_operator_chooses_for_an_account_with_the_reason(web):
    """And sees what would go, before and after; the audit log tells who and why."""
    put_in(web, MessageKind.FAX)
    web.house.clock.advance(days=40)
    given = {"older_than_days": 30, "action": "delete", "reason": "contract 7"}
    told = web.op.put(f"{ALICE}/fax", json=given).json()["kinds"]["fax"]
    assert told["standing"]["rule"] == "fax older than 30 days -> delete"
    assert [each["messages"] for each in web.op.post(f"{ALICE}/dry-run").json()] == [1]
    assert web.op.get(ALICE).json()["kinds"]["fax"]["standing"]["shown_at"]
    log = web.op.get("/api/v1/accounts/alice/audit").json()["records"]
    wanted = ("retention-rule", "fax: fax older than 30 days -> delete (contract 7)")
    assert wanted in {(each["action"], each["detail"]) for each in log}
    assert web.op.delete(f"{ALICE}/fax").json()["kinds"]["fax"]["chosen"] == "default"
    check_problem(web.op.get("/api/v1/accounts/nobody/retention"), 404, "not-found")


def test_under_a_legal_hold_no_rule_takes_anything(web):
    """Neither in the dry run nor in earnest."""
    put_in(web, MessageKind.FAX)
    web.house.clock.advance(days=40)
    web.op.put(f"{ALICE}/fax", json={"older_than_days": 30})
    hold = {"on": True, "reason": "case 7"}
    web.op.put("/api/v1/accounts/alice/legal-hold", json=hold)
    assert web.op.get(ALICE).json()["legal_hold"]
    assert "legal_hold" not in web.logged_in().get(OWN).json()
    assert web.op.post(f"{ALICE}/dry-run").json() == []
    assert web.op.post("/api/v1/retention/dry-run").json() == []


def test_the_rules_for_all_are_shown_and_tried(web):
    """They stand in the configuration; a dry run sums them up, and counts as their showing."""
    (rule,) = web.op.get("/api/v1/retention").json()
    assert (rule["rule"], rule["own"], rule["shown_at"]) == (str(FOR_ALL), False, None)
    put_in(web, MessageKind.MAIL, "1")
    put_in(web, MessageKind.MAIL, "2")
    put_in(web, MessageKind.FAX, "3")
    web.op.put(f"{ALICE}/fax", json={"older_than_days": 30})
    web.house.clock.advance(days=400)
    owner = web.logged_in()
    for each in owner.get("/api/v1/me/messages?kind=mail").json()["messages"]:
        owner.patch(f"/api/v1/me/messages/{each['id']}", json={"seen": True})
    sums = {
        each["standing"]["kind"]: each for each in web.op.post("/api/v1/retention/dry-run").json()
    }
    assert {kind: (each["accounts"], each["messages"]) for kind, each in sums.items()} == {
        "mail": (1, 2),
        "fax": (1, 1),
    }
    assert web.op.get("/api/v1/retention").json()[0]["shown_at"]


def test_looking_needs_another_scope_than_choosing(web):
    """Even the dry run: it lets a rule begin."""
    reader = web.operator(Scope.READ)
    assert reader.get(ALICE).status_code == 200
    for asked in (f"{ALICE}/dry-run", "/api/v1/retention/dry-run"):
        check_problem(reader.post(asked), 403, "forbidden")
    check_problem(reader.put(f"{ALICE}/fax", json={"keep": True}), 403, "forbidden")

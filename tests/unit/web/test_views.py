"""Folders for new messages by kind over the API: an owner's choice, and the operator's for one."""

import pytest

from tests.support.house import incoming
from tests.support.portal_house import PortalHouse
from tests.support.web_house import WebHouse, check_problem, run
from um.core.credentials import Scope
from um.core.message import MessageKind

OWN = "/api/v1/me/views"
ALICE = "/api/v1/accounts/alice/views"
ALL_INBOX = {"voice": "INBOX", "fax": "INBOX", "invoice": "INBOX"}


@pytest.fixture
def web():
    house = WebHouse()
    house.account = run(house.house.add("alice"))
    house.op = house.operator(Scope.READ, Scope.ACCOUNTS)
    return house


def test_an_owner_chooses_and_takes_it_back(web):
    """A name, the usual name, INBOX again; a fax that comes lies where it was said."""
    owner = web.logged_in()
    assert owner.get(OWN).json() == {"folders": ALL_INBOX}
    told = owner.put(f"{OWN}/fax", json={"folder": "Paper"}).json()["folders"]
    assert told == ALL_INBOX | {"fax": "Paper"}
    told = owner.put(f"{OWN}/invoice", json={}).json()["folders"]
    assert told["invoice"] == "Invoices"
    run(web.house.delivery.deliver(incoming(web.account, kind=MessageKind.FAX)))
    assert owner.get("/api/v1/me/messages?folder=Paper").json()["total"] == 1
    assert owner.delete(f"{OWN}/fax").json()["folders"]["fax"] == "INBOX"


def test_an_operator_chooses_for_an_account(web):
    """With a line in the audit log that names the operator's token."""
    told = web.op.put(f"{ALICE}/voice", json={"folder": "Calls"}).json()["folders"]
    assert told["voice"] == "Calls" == web.op.get(ALICE).json()["folders"]["voice"]
    assert web.op.delete(f"{ALICE}/voice").json() == {"folders": ALL_INBOX}
    actions = [
        each["action"] for each in web.op.get("/api/v1/accounts/alice/audit").json()["records"]
    ]
    assert actions.count("view") == 2


@pytest.mark.parametrize("folder", ["Trash", "a//b", "%", ""])
def test_what_is_no_folder_for_new_messages(web, folder):
    """Refused, and nothing changes."""
    owner = web.logged_in()
    check_problem(owner.put(f"{OWN}/voice", json={"folder": folder}), 422, "invalid")
    assert owner.get(OWN).json() == {"folders": ALL_INBOX}


def test_ordinary_mail_has_no_folder_of_its_own(web):
    """There is no such address."""
    check_problem(web.logged_in().put(f"{OWN}/mail", json={}), 422, "invalid")


def test_the_portal_has_a_form_for_it(web):
    """A folder's name, or nothing for the inbox; what cannot be is said on the page."""
    portal = PortalHouse()
    account = run(portal.house.add("alice", language="en"))
    browser = portal.signed_in()
    browser.send("/account/folders", **{"folder-voice": "Calls", "folder-fax": ""})
    assert 'value="Calls"' in browser.get("/account").text
    run(portal.house.delivery.deliver(incoming(account, kind=MessageKind.VOICE)))
    assert "Calls" in browser.get("/?folder=Calls").text
    assert browser.send("/account/folders", **{"folder-voice": "Trash"}).status_code == 422
    browser.send("/account/folders", **{"folder-voice": ""})
    assert 'value="Calls"' not in browser.get("/account").text

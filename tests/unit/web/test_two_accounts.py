"""Two customers side by side: no route shows or changes anything of the other's."""

import re

import pytest

from tests.support.house import PASSWORD, incoming
from tests.support.web_house import WebHouse, run
from tests.unit.web.test_route_table import routes
from um.core.account import CallRecord, GreetingKind
from um.core.forwarding import CopyMode, CopyRule
from um.core.message import MessageKind

SECRET = "Bobs-own-business"
ROUTES = [
    (method, route.path)
    for route in routes()
    for method in sorted(route.methods)
    if route.path.startswith(("/api/v1/me", "/api/v1/session"))
    and not route.path.endswith("/events")
]
BODIES = {
    ("PATCH", "/api/v1/me"): {"full_name": "Mallory"},
    ("PUT", "/api/v1/me/password"): {"old_password": PASSWORD, "new_password": "another horse"},
    ("PUT", "/api/v1/me/name"): {"name": "mallory"},
    ("PUT", "/api/v1/me/pin"): {"password": PASSWORD, "pin": "471936"},
    ("PATCH", "/api/v1/me/messages/{message}"): {"seen": True},
    ("POST", "/api/v1/me/app-passwords"): {"label": "phone", "password": PASSWORD},
    ("POST", "/api/v1/me/forwarding/addresses"): {
        "address": "mallory@example.org",
        "password": PASSWORD,
    },
    ("PUT", "/api/v1/me/forwarding/rules/{kind}"): {"mode": "attach"},
    ("PUT", "/api/v1/me/retention/{kind}"): {"older_than_days": 30},
    ("PUT", "/api/v1/me/views/{kind}"): {"folder": "Mine"},
    ("POST", "/api/v1/session"): {"name": "alice", "password": PASSWORD},
}


class Neighbours:
    """Alice, who asks, and Bob, all of whose things have names that she may know."""

    def __init__(self) -> None:
        self.web = WebHouse()
        house = self.web.house
        run(house.add("alice"))
        self.bob = run(house.add("bob", "+15551230002", full_name=SECRET))
        self.theirs = self.web.logged_in("bob")
        self.alice = self.web.logged_in("alice")
        run(self.furnish())
        inbox = self.theirs.get("/api/v1/me/messages").json()["messages"]
        trash = self.theirs.get("/api/v1/me/messages?folder=Trash").json()["messages"]
        self.names = {
            "message": [each["id"] for each in (*inbox, *trash)],
            "session_id": [each["id"] for each in self.theirs.get("/api/v1/sessions").json()],
            "password_id": [
                each["id"] for each in self.theirs.get("/api/v1/me/app-passwords").json()
            ],
            "address": ["bob@example.org"],
        }
        assert len(self.names["message"]) == 3
        assert all(self.names.values())

    async def furnish(self) -> None:
        """One of everything that an account can have."""
        house, services, bob = self.web.house, self.web.services, self.bob
        for key, kind in (
            ("v", MessageKind.VOICE),
            ("f", MessageKind.FAX),
            ("t", MessageKind.MAIL),
        ):
            delivered = await house.delivery.deliver(
                incoming(bob, key, kind=kind, size_octets=2000)
            )
        await services.mailboxes.discard(bob.id, delivered.mailbox_id, uids=[delivered.uid])
        await house.greetings.put(bob.id, GreetingKind.BUSY, SECRET.encode())
        await services.app_passwords.add("bob", SECRET)
        await house.book.add(bob.id, "bob@example.org")
        await house.rules.set(bob.id, MessageKind.FAX, CopyRule(CopyMode.NOTIFY))
        await services.retention.choose("bob", MessageKind.FAX, "fax older than 77 days -> Trash")
        await house.rules.set_webhook(bob.id, f"https://crm.example.net/{SECRET}")
        await services.exporter.start(bob.id)
        await services.exporter.settled()
        call = CallRecord(bob.id, house.clock.now(), "missed-voice", None, SECRET, 0.0)
        await house.store.run("call", lambda tx: tx.records.add_call(call))

    def picture(self) -> object:
        """Everything of Bob's, as the store has it."""
        store, bob = self.web.house.store, self.bob

        def picture_txn(tx) -> object:
            boxes = tx.mailboxes.of_account(bob.id)
            return (
                tx.accounts.get(bob.id),
                tx.accounts.preferences(bob.id),
                [(box, tx.messages.entries(box.id)) for box in boxes],
                tx.credentials.sessions_of(bob.id),
                tx.credentials.app_passwords_of(bob.id),
                tx.addresses.of_account(bob.id),
                tx.outbox.of_account(bob.id, limit=10),
                tx.records.calls_of(bob.id),
                tx.records.audit_of(bob.id),
            )

        greetings = run(self.web.house.greetings.get(bob.id, GreetingKind.BUSY))
        export = run(self.web.services.exporter.state(bob.id))
        assert export.file is not None
        return run(store.read("picture", picture_txn)), greetings, export

    def paths(self, path: str) -> list[str]:
        """The path with each of Bob's names in its place."""
        kind = "busy" if "greetings" in path else "fax"
        path = path.format_map(Kept({"kind": kind, "number": "1"}))
        place = re.search(r"{(\w+)}", path)
        if place is None:
            return [path]
        return [path.replace(place[0], name) for name in self.names[place[1]]]


class Kept(dict[str, str]):
    """Leaves a place that it has nothing for as it is."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


@pytest.fixture(scope="module")
def neighbours():
    return Neighbours()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_neighbours_things_are_not_there(neighbours, method, path):
    """By another's name for it a thing is 404; what needs no name is one's own; nothing changes."""
    before = neighbours.picture()
    alice = neighbours.web.logged_in("alice")
    for asked in neighbours.paths(path):
        if path == "/api/v1/me/greetings/{kind}" and method == "PUT":
            answer = alice.put(asked, content=b"RIFF and so on")
        else:
            answer = alice.ask(method, asked, json=BODIES.get((method, path)))
        assert SECRET not in answer.text
        assert "bob" not in answer.text.lower()
        if "{" in path and "{kind}" not in path:
            assert answer.status_code == 404, answer.text
        else:
            assert answer.status_code < 500
    assert neighbours.picture() == before
    if path == "/api/v1/me/name":
        run(neighbours.web.services.profiles.rename("mallory", "alice"))
    if path == "/api/v1/me/password":
        run(neighbours.web.house.accounts.set_password("alice", PASSWORD))

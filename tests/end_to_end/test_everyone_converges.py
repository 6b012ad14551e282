"""One mailbox, changed by two IMAP sessions, the telephone, the command line and the portal's API.

Everyone is told of what the others did, in terms that a client can follow: numbers never lie, and
EXPUNGE comes only where it may. At the end all see the same. Voice messages lie in a folder of
their own here, so that the telephone and the lamp look into two.
"""

import re
import ssl
from collections.abc import Iterator

import httpx
import pytest

from tests.support.imap_transcript import message
from tests.support.inbox import PASSWORD, connect, send_lmtp
from tests.support.server import Server
from tests.support.speech import save_wav, say
from tests.support.telephone import HangUp, Press, Silence, Telephone
from tests.support.waiting import wait_for
from tests.unit.imap.test_convergence import HOLDS, Belief

pytestmark = pytest.mark.slow
NUMBER, PIN = "+15551230001", "280519"
FOLDER = "Voicemail"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um")) as running:
        running.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        running.um("account", "pin", "anna", "--pin-stdin", stdin=f"{PIN}\n")
        running.um("account", "views", "anna", "--voice", "own")
        yield running


class Watcher:
    """A session with the folder selected, and what its client may believe of it."""

    def __init__(self, server: Server, name: str) -> None:
        self.belief = Belief(name)
        self._client = connect(server, "anna")
        self._name, self._commands = name.encode(), 0
        self.say(f"SELECT {FOLDER}")

    def say(self, command: str) -> list[bytes]:
        """One command; what it was answered is believed."""
        self._commands += 1
        tag = b"%b%d" % (self._name, self._commands)
        self._client.send(tag + b" " + command.encode() + b"\r\n")
        lines = [self._client.readline()]
        while not lines[-1].startswith(tag):
            lines.append(self._client.readline())
        assert b" OK " in lines[-1], lines[-1]
        self.belief.take(b"".join(lines), holds_expunge=command.startswith(HOLDS))
        return lines

    def flags(self) -> dict[int | None, frozenset[bytes]]:
        """Flags by UID, of what the session believes to be there, as it is told them now."""
        if self.belief.uids:
            self.say("FETCH 1:* (UID FLAGS)")
        return dict(zip(self.belief.uids, map(frozenset, self.belief.flags), strict=True))

    def until(self, condition: "re.Pattern[bytes] | int", what: str) -> None:
        """NOOP until so many messages are there, or flags have come that match."""

        def told() -> bool:
            lines = self.say("NOOP")
            if isinstance(condition, int):
                return len(self.belief.uids) == condition
            return any(condition.search(line) for line in lines)

        wait_for(told, what)

    def close(self) -> None:
        self._client.logout()


class Portal:
    """The owner at the API, with a session of the portal."""

    def __init__(self, server: Server) -> None:
        where = server.address("https")
        context = ssl.create_default_context(cafile=str(server.certificate))
        base = f"https://{where.host}:{where.port}/api/v1"
        self._http = httpx.Client(base_url=base, verify=context, timeout=30)
        login = self._http.post("/session", json={"name": "anna", "password": PASSWORD})
        self._http.headers["x-csrf-token"] = login.json()["form_token"]

    def messages(self, folder: str = FOLDER) -> list[dict]:
        """The list, the oldest first."""
        answer = self._http.get("/me/messages", params={"folder": folder})
        return list(reversed(answer.json()["messages"]))

    def ask(self, method: str, path: str, **more: object) -> None:
        answer = self._http.request(method, f"/me/messages/{path}", **more)
        assert answer.is_success, answer.text

    def close(self) -> None:
        self._http.close()


def retrieve(server: Server, *keys: str) -> None:
    """The owner calls from the own line and presses."""
    sip = server.address("sip")
    asserted = (("P-Asserted-Identity", f"<sip:{NUMBER}@core.example.net>"),)
    pressed = [step for each in keys for step in (Press(each), Silence(0.6))]
    report = Telephone().call(
        (sip.host, sip.port),
        f"sip:*98@{sip.host}:{sip.port}",
        (Silence(0.5), Press(f"{PIN}#"), Silence(0.6), *pressed, HangUp()),
        caller=NUMBER,
        headers=asserted,
    )
    assert report.status == 200


def test_everyone_sees_what_the_others_do(server: Server, tmp_path) -> None:
    """Deposits, hearing, deleting, restoring, flags, copies: told to both sessions as they happen."""
    wav = str(save_wav(say("Please call."), tmp_path / "voice.wav"))
    a, b = Watcher(server, "A"), Watcher(server, "B")
    portal = Portal(server)

    for caller in ("First", "Second", "Third"):
        server.um("deliver", "voice", "anna", wav, "--caller-name", caller)
    a.until(3, "the command line's deliveries")
    b.until(3, "the command line's deliveries")
    assert send_lmtp(server, ["anna@um.example.net"], message("Not by phone")) == {}

    # The telephone hears the first and throws it away: two sessions, and the portal, are told.
    retrieve(server, "1", "1", "7")
    a.until(2, "what the telephone deleted")
    b.until(2, "what the telephone deleted")
    (thrown,) = portal.messages("Trash")
    assert "First" in thrown["sender"]

    # The portal reads the second, and takes the first out of Trash, back to its kind.
    second, third = portal.messages()
    portal.ask("PATCH", second["id"], json={"seen": True})
    a.until(re.compile(rb"FETCH .*\\Seen"), "what the portal read")
    portal.ask("POST", f"{thrown['id']}/restore")
    b.until(3, "what the portal restored")

    # One session flags and copies, the other deletes; the portal throws away the third.
    a.say("STORE 2 +FLAGS (\\Flagged $Forwarded)")
    b.until(re.compile(rb"FETCH .*\$Forwarded"), "the other session's flags")
    a.say(f"COPY 1 {FOLDER}")
    portal.ask("DELETE", third["id"])
    b.until(3, "a copy more, a message less")
    b.say("STORE 1 +FLAGS.SILENT (\\Deleted)")
    b.say("EXPUNGE")
    a.until(2, "the other session's EXPUNGE")

    server.um("deliver", "voice", "anna", wav, "--caller-name", "Fourth")
    for watcher in (a, b):
        watcher.until(3, "the last delivery")
    seen = a.flags()
    assert seen == b.flags()
    assert None not in seen
    shown = portal.messages()
    assert sorted(each["seen"] for each in shown) == sorted(
        b"\\Seen" in each for each in seen.values()
    )
    assert {each["sender"].partition(",")[0] for each in shown} == {"First", "Second", "Fourth"}
    assert [each["sender"] for each in portal.messages("INBOX")] == ["Bob"]
    status = server.um_json("account", "show", "anna")
    folders = (FOLDER, "INBOX", "Trash")
    assert status["used_octets"] == sum(
        each["size_octets"] for name in folders for each in portal.messages(name)
    )
    for each in (a, b, portal):
        each.close()

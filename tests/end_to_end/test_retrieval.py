"""Owners' calls on `*98`: the whole server, a scripted telephone, and a mail program beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, connect
from tests.support.server import Server
from tests.support.speech import correlates, say
from tests.support.telephone import (
    CallReport,
    HangUp,
    Press,
    Say,
    Silence,
    Step,
    Telephone,
    WaitForBeep,
    WaitForHangUp,
)

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"
PIN = "280519"
NAME_SECONDS = 2.0
GREETING = "You have reached Anna Bell. I am at the harbour today."
SPOKEN_SECONDS = 5.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path) as running:
        running.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        yield running


def dial(server: Server, user: str, *steps: Step, caller: str) -> CallReport:
    sip = server.address("sip")
    uri = f"sip:{user}@{sip.host}:{sip.port}"
    report = Telephone().call(
        (sip.host, sip.port), uri, steps, caller=caller, headers=asserted(caller)
    )
    assert report.status == 200
    return report


def asserted(caller: str) -> tuple[tuple[str, str], ...]:
    """The core's word for who calls (RFC 3325)."""
    return (("P-Asserted-Identity", f"<sip:{caller}@core.example.net>"),)


def retrieve(server: Server, *steps: Step, caller: str = NUMBER) -> CallReport:
    return dial(server, "*98", *steps, caller=caller)


def leave_message(server: Server) -> bytes:
    spoken = say(seconds=SPOKEN_SECONDS)
    steps = (Silence(0.5), Press("#"), WaitForBeep(10), Say(spoken), HangUp())
    dial(server, NUMBER, *steps, caller="+15559870001")
    return spoken


def folder(server: Server, name: str) -> list[bytes]:
    """The flags of every message in a folder."""
    client = connect(server, "anna")
    try:
        client.select(name, readonly=True)
        _, data = client.uid("fetch", "1:*", "(FLAGS)")
        return [item for item in data if isinstance(item, bytes)]
    finally:
        client.logout()


def set_up_steps() -> list[Step]:
    """First call: PIN twice, a name, a greeting, each recording accepted."""
    choose = [Silence(0.5), Press(f"{PIN}#"), Silence(0.5), Press(f"{PIN}#"), Silence(0.3)]
    name = [WaitForBeep(15), Say(say("Anna Bell", seconds=NAME_SECONDS)), Press("#")]
    greeting = [WaitForBeep(15), Say(say(GREETING)), Press("#")]
    accept = [Silence(0.5), Press("1")]
    return [*choose, *name, *accept, *greeting, *accept, Silence(1)]


def test_set_up_leave_listen_delete(server: Server) -> None:
    """The first call from the own line; a caller hears the greeting; the owner hears the caller."""
    retrieve(server, Silence(0.5), *set_up_steps(), HangUp())
    heard = dial(server, NUMBER, WaitForBeep(30), HangUp(), caller="+15559870001").heard
    assert correlates(heard, say(GREETING), max_shift_seconds=3) > 0.6
    spoken = leave_message(server)

    # The key skips what is said; the envelope is skipped by 1, then the message is played.
    log_in = [Silence(0.5), Press(f"{PIN}#"), Silence(0.5)]
    listen = [Press("1"), Silence(0.3), Press("1"), Silence(SPOKEN_SECONDS + 1)]
    report = retrieve(server, *log_in, *listen, HangUp())
    assert correlates(report.heard, spoken, max_shift_seconds=12) > 0.6
    assert [b"\\Seen" in flags for flags in folder(server, "INBOX")] == [True]

    retrieve(server, *log_in, Press("1"), Silence(0.3), Press("1"), Press("7#"), WaitForHangUp(20))
    assert folder(server, "INBOX") == []
    assert len(folder(server, "Trash")) == 1


def test_another_telephone_and_the_lock(server: Server) -> None:
    """Mailbox and PIN open from anywhere; after ten wrong PINs not even the right one does."""
    retrieve(server, Silence(0.5), *set_up_steps()[:5], HangUp())
    leave_message(server)
    mailbox = [Silence(0.5), Press("5551230001#"), Silence(0.3), Press(f"{PIN}#"), Silence(0.5)]
    listen = [Press("1"), Silence(0.3), Press("1"), Silence(1)]
    retrieve(server, *mailbox, *listen, HangUp(), caller="+15559990000")
    assert [b"\\Seen" in flags for flags in folder(server, "INBOX")] == [True]

    wrong = [Press("999999#"), Silence(0.5)]
    for _ in range(3):
        retrieve(server, Silence(0.5), *wrong * 3, WaitForHangUp(10))
    retrieve(server, Silence(0.5), *wrong, HangUp())
    assert "retrieval.wrong-pin" in server.log_text()
    assert len(folder(server, "INBOX")) == 2  # the message, and a notice of the lock
    before = server.log_text().count("retrieval.opened")
    locked = retrieve(server, Silence(0.5), Press(f"{PIN}#"), WaitForHangUp(20))
    assert locked.hung_up_by_server
    assert server.log_text().count("retrieval.opened") == before

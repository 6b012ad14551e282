"""Owners' calls on `*98`: the whole server, a scripted telephone, and a mail program beside it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.test_forwarding import TARGET, confirm, invoice, make_server
from tests.support.inbox import PASSWORD, connect
from tests.support.invoice import invoice_pdf
from tests.support.mail_sink import MailSink
from tests.support.server import Server
from tests.support.speech import correlates, save_wav, say
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


def test_faxes_and_invoices_leave_by_a_key(tmp_path: Path) -> None:
    """Advanced options, 6: to the confirmed addresses, attached, then they count as read.

    Before an address is confirmed the same keys send nothing, and the call goes on.
    """
    with MailSink() as sink, make_server(tmp_path / "um", sink.url) as server:
        server.add_account("anna", password=PASSWORD, numbers=[NUMBER])
        server.um("account", "pin", "anna", "--pin-stdin", stdin=f"{PIN}\n")
        (tmp_path / "fax.pdf").write_bytes(invoice_pdf("F-77"))
        server.um("deliver", "fax", "anna", str(tmp_path / "fax.pdf"), "--from", "+15559870001")
        server.um("deliver", "voice", "anna", str(save_wav(say(), tmp_path / "v.wav")))
        (tmp_path / "bill.eml").write_bytes(invoice(7))
        server.um("deliver", "invoice", "anna", str(tmp_path / "bill.eml"))
        keys = [Silence(0.5), Press(f"{PIN}#"), Silence(1), Press("3"), Silence(0.5), Press("6")]
        retrieve(server, *keys, Silence(2), HangUp())
        assert sink.arrived == []
        assert "retrieval.sent-outside" not in server.log_text()

        confirm(server, sink, rule=False)
        retrieve(server, *keys, Silence(2), HangUp())
        arrived = sink.wait(2)
        assert {mail.recipients[0] for mail in arrived} == {TARGET}
        pdfs = sorted((mail.part("application/pdf") for mail in arrived), key=len)
        assert pdfs[0] == b"%PDF-1.4"
        assert b"/Producer (um)" in pdfs[1]
        assert len({mail.sender for mail in arrived}) == 2
        deadline = time.monotonic() + 30
        while [b"\\Seen" in flags for flags in folder(server, "INBOX")] != [True, False, True]:
            assert time.monotonic() < deadline, server.tail()
        retrieve(server, *keys, Silence(2), HangUp())
        assert '"messages": 0' in server.log_text().rpartition("retrieval.sent-outside")[2]
        assert len(sink.arrived) == 2

"""The command line beside a running server, and without one: each command of the contract."""

import getpass
import imaplib
import json
import re
import sqlite3
import time
import wave
from array import array
from collections.abc import Iterator
from math import sin
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, check_books, connect, read_inbox
from tests.support.server import Server
from tests.support.tiffs import text_page, write_tiff

pytestmark = pytest.mark.slow
SOON_SECONDS = 1.0
"""What is changed by a command is seen by open sessions within this time after it returned."""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("um")) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A mail, an invoice, a recording."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "mail.eml").write_text("From: a@example.org\nSubject: a letter\n\nDear Alice\n")
    (folder / "invoice.eml").write_text("From: b@example.net\nSubject: invoice 7\n\n42.00\n")
    samples = array("h", (int(12_000 * sin(n / 9)) for n in range(3 * 22_050)))
    with wave.open(str(folder / "voice.wav"), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(22_050)
        recording.writeframes(samples.tobytes())
    return folder


def idling(server: Server, user: str) -> imaplib.IMAP4_SSL:
    """A session that idles in INBOX."""
    session = connect(server, user)
    session.select("INBOX")
    session.send(b"i1 IDLE\r\n")
    assert session.readline().startswith(b"+")
    return session


def line_with(session: imaplib.IMAP4_SSL, word: bytes) -> bytes:
    """The next line that holds `word`; the end of the connection fails."""
    while word not in (line := session.readline()):
        assert line, "the connection ended"
    return line


def seconds_until(session: imaplib.IMAP4_SSL, word: bytes) -> float:
    started = time.monotonic()
    line_with(session, word)
    return time.monotonic() - started


def test_an_account_from_its_first_day_to_its_last(server):
    """add, show, list, suspend, resume, close, reopen, close, purge: each with what it promises."""
    add = ("account", "add", "anna", "--number", "+15551230101:voice", "--number", "5551230102:fax")
    more = ("--full-name", "Anna Ö.", "--timezone", "Europe/Vienna", "--language", "de")
    stdin = f"{PASSWORD}\n582047\n"
    server.um(*add, *more, "--password-stdin", "--pin-stdin", stdin=stdin)
    shown = server.um_json("account", "show", "anna")
    assert shown["state"] == "active"
    assert shown["numbers"] == [
        {"number": "+15551230101", "use": "voice", "state": "active"},
        {"number": "+15551230102", "use": "fax", "state": "active"},
    ]
    assert (shown["used_octets"], shown["limit_octets"], shown["counts"]) == (0, 104857600, {})
    assert (shown["full_name"], shown["timezone"]) == ("Anna Ö.", "Europe/Vienna")
    assert shown["password_set"]
    assert shown["pin_set"]
    assert "Anna Ö." in server.um("account", "show", "anna").stdout
    assert "anna" in [each["name"] for each in server.um_json("account", "list")]
    assert re.search(r"^anna +active ", server.um("account", "list").stdout, re.MULTILINE)

    server.um("account", "suspend", "anna", "--reason", "unpaid")
    shown = server.um_json("account", "show", "anna")
    assert (shown["state"], shown["reason"]) == ("suspended", "unpaid")
    server.um("account", "resume", "anna")
    closed = server.um("account", "close", "anna").stdout
    purge_at = server.um_json("account", "show", "anna")["purge_at"]
    assert purge_at[:10] in closed
    with pytest.raises(imaplib.IMAP4.error, match=re.escape(purge_at[:7])):
        connect(server, "anna")
    server.um("account", "reopen", "anna", "--reason", "came back")
    assert server.um_json("account", "show", "anna")["purge_at"] is None
    server.um("account", "close", "anna")
    before = server.um_json("purge", "--dry-run", "--at", purge_at[:4] + "-01-01T00:00:00Z")
    assert before == []
    assert_audit(server)
    far = "2099-01-01T00:00:00Z"
    server.um("account", "hold", "anna", "on", "--reason", "case 7")
    kept = server.um("purge", "--dry-run", "--at", far)
    assert "Nothing is due" in kept.stdout
    assert kept.stderr.startswith("um: kept under a legal hold: anna ")
    assert server.um_json("account", "show", "anna")["legal_hold_reason"] == "case 7"
    server.um("account", "hold", "anna", "off", "--reason", "settled")
    (would,) = server.um_json("purge", "--dry-run", "--at", "2099-01-01T00:00:00Z")
    assert would["finished_at"] is None
    assert server.um_json("account", "show", "anna")["state"] == "closed"
    (purged,) = server.um_json("purge", "--at", "2099-01-01T00:00:00Z")
    assert purged["finished_at"] is not None
    assert purged in server.um_json("purge", "--records")
    gone = server.um("account", "show", "anna", check=False)
    assert (gone.returncode, gone.stderr) == (1, "um: There is no account 'anna'\n")


def assert_audit(server: Server) -> None:
    """Who did what and why, in order; the actor is whoever ran the command."""
    told = server.um_json("account", "audit", "anna")
    assert {each["actor"] for each in told} == {f"cli:{getpass.getuser()}"}
    assert [(each["action"], each["detail"]) for each in told] == [
        ("add", ""),
        ("suspend", "unpaid"),
        ("resume", ""),
        ("close", ""),
        ("reopen", "came back"),
        ("close", ""),
    ]
    assert "came back" in server.um("account", "audit", "anna").stdout


def test_what_goes_by_its_age_is_shown_before_it_goes(server, files):
    """A rule is chosen, shown, and rests; nothing goes without one, nor on the day it was shown."""
    server.um("account", "add", "rita")
    server.um("deliver", "mail", "rita", str(files / "mail.eml"))
    assert server.um("account", "retention", "rita").stdout == "Nothing goes by its age.\n"
    assert server.um("retention", "--all").stdout == "Nothing went.\n"
    rule = "mail older than 1 days -> delete"
    chosen = server.um("account", "retention", "rita", rule, "fax keep", "--reason", "tidy")
    assert "after a dry run" in chosen.stdout
    with sqlite3.connect(server.data_dir / "um.db") as database:
        database.execute("UPDATE entry SET saved_at = 0 WHERE kind = 'mail'")
    (would,) = server.um_json("retention", "--all", "--dry-run")
    assert (would["account"], would["rule"], would["messages"]) == ("rita", rule, 1)
    assert server.um_json("retention", "rita") == []
    with sqlite3.connect(server.data_dir / "um.db") as database:
        database.execute(
            "UPDATE preferences SET value = '2026-01-01T00:00:00+00:00 ' || ? "
            "WHERE key = 'retention.mail.shown'",
            [rule],
        )
    (went,) = server.um_json("retention", "rita")
    assert (went["messages"], went["octets"]) == (1, would["octets"])
    assert server.um_json("account", "show", "rita")["counts"] == {}
    assert rule in server.um("account", "audit", "rita").stdout


def test_numbers(server):
    """In any spelling; one that left an account is held; one that is taken is refused by name."""
    server.um("account", "add", "nora")
    server.um("number", "add", "nora", "555-123-0201", "1 555 123 0202:fax")
    assert server.um_json("number", "list", "nora") == [
        {"number": "+15551230201", "use": "both", "state": "active"},
        {"number": "+15551230202", "use": "fax", "state": "active"},
    ]
    server.um("number", "remove", "nora", "+15551230202")
    assert server.um("number", "list", "nora").stdout.splitlines()[1:] == [
        "+15551230201  both  active"
    ]
    server.um("account", "add", "niko")
    for number, why in (("+15551230201", "belongs to"), ("+15551230202", "is held until")):
        done = server.um("number", "add", "niko", number, check=False)
        assert done.returncode == 1
        assert why in done.stderr
        assert len(done.stderr.splitlines()) == 1
    server.um("number", "free", "+15551230202")
    server.um("number", "add", "niko", "+15551230202:voice")


def test_what_is_delivered_by_hand_reaches_an_idle_session(server, files):
    """voice, invoice, mail: the same write path as calls and mail, seen at once by who idles."""
    server.add_account("alice", password=PASSWORD, numbers=["+15551230301"])
    session = idling(server, "alice")
    caller = ("--from", "5557654321", "--caller-name", "Bob")
    server.um("deliver", "voice", "alice", str(files / "voice.wav"), *caller)
    assert seconds_until(session, b"1 EXISTS") < SOON_SECONDS
    server.um("deliver", "invoice", "alice", str(files / "invoice.eml"))
    assert seconds_until(session, b"2 EXISTS") < SOON_SECONDS
    server.um("deliver", "mail", "alice", str(files / "mail.eml"))
    assert seconds_until(session, b"3 EXISTS") < SOON_SECONDS

    found = read_inbox(server, "alice")
    voice, invoice, mail = (each.message for each in found)
    assert voice["Message-Context"] == "voice-message"
    assert voice["X-CallingTelephoneNumber"] == "+15557654321"
    assert "Bob" in voice["From"]
    assert int(voice["Content-Duration"]) == 3
    assert invoice["X-UM-Kind"] == "invoice"
    assert invoice["Subject"] == "invoice 7"
    assert mail["X-UM-Kind"] is None
    assert mail["Return-Path"] is not None
    assert server.um_json("account", "show", "alice")["counts"] == {
        "invoice": 1,
        "mail": 1,
        "voice": 1,
    }
    check_books(server, "alice", found)


def test_an_account_without_a_number_gets_recordings_and_faxes(server, files, tmp_path):
    """They are addressed to its name."""
    server.add_account("quiet", password=PASSWORD)
    fax = write_tiff(tmp_path / "fax.tif", [text_page("no number")])
    server.um("deliver", "voice", "quiet", str(files / "voice.wav"))
    server.um("deliver", "fax", "quiet", str(fax))
    found = [each.message for each in read_inbox(server, "quiet")]
    assert [message["Message-Context"] for message in found] == ["voice-message", "fax-message"]
    assert all("quiet@um.example.net" in message["To"] for message in found)


def test_the_telephone_menu_is_chosen_by_command(server):
    """PIN and preferences; no PIN on any command line."""
    server.add_account("dialler", password=PASSWORD)
    shown = server.um("account", "phone", "dialler", "--skip-pin", "--no-review", "--json")
    assert json.loads(shown.stdout) == {
        "voicemail.review": False,
        "voicemail.urgent": True,
        "phone.skip-pin": True,
        "voicemail.star-login": False,
    }
    refused = server.um("account", "pin", "dialler", "--pin-stdin", stdin="123456\n", check=False)
    assert refused.returncode == 1
    assert "run" in refused.stderr
    server.um("account", "pin", "dialler", "--pin-stdin", stdin="280519\n")
    assert server.um_json("account", "show", "dialler")["pin_set"]
    server.um("account", "pin", "dialler", "--clear")
    assert not server.um_json("account", "show", "dialler")["pin_set"]
    assert server.um("account", "pin", "dialler", check=False).returncode == 2


def test_a_mail_delivered_twice_is_there_once(server, files):
    """A script that runs again after a doubt does no harm, and is told."""
    server.add_account("twice", password=PASSWORD)
    first = server.um("deliver", "mail", "twice", str(files / "mail.eml"))
    again = server.um("deliver", "mail", "twice", str(files / "mail.eml"))
    assert first.stdout == "Delivered to twice: UID 1\n"
    assert again.stdout == "twice has this message already: UID 1\n"
    assert len(read_inbox(server, "twice")) == 1


@pytest.mark.parametrize(
    ("kind", "content", "why"),
    [
        ("voice", b"no sound at all", "no known audio"),
        ("fax", b"no page at all", "no TIFF"),
        ("mail", b"\x89PNG\r\n\x1a\n", "no mail"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(server, tmp_path, kind, content, why):
    """One line with the reason, exit 1, and nothing in the mailbox."""
    server.um("account", "add", f"bad{kind}", "--number", f"+1555123040{len(kind)}")
    (tmp_path / "file").write_bytes(content)
    done = server.um("deliver", kind, f"bad{kind}", str(tmp_path / "file"), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("um: ")
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert server.um_json("account", "show", f"bad{kind}")["counts"] == {}


def test_a_full_mailbox_refuses(server, files):
    """The quota holds for what an operator delivers as for everyone else."""
    config = server.config_file.read_text()
    try:
        server.config_file.write_text(config + "\n[policy]\nquota_octets = 1048576\n")
        server.um("account", "add", "full")
    finally:
        server.config_file.write_text(config)
    large = files / "large.eml"
    large.write_bytes(b"Subject: large\n\n" + b"line of text\n" * 90_000)
    done = server.um("deliver", "mail", "full", str(large), check=False)
    assert (done.returncode, done.stderr) == (1, "um: Mailbox is full\n")


@pytest.mark.parametrize(
    "change",
    [
        ("account", "suspend", "{}", "--reason", "unpaid"),
        ("account", "close", "{}"),
        ("account", "password", "{}", "--password-stdin"),
    ],
)
def test_a_session_ends_within_a_second_of_the_change(server, change):
    """Suspension, closure and a new password end what is open, with a BYE."""
    user = f"ends-{change[1]}"
    server.add_account(user, password=PASSWORD)
    session = idling(server, user)
    stdin = "an entirely new one\n" if "--password-stdin" in change else ""
    server.um(*(word.format(user) for word in change), stdin=stdin)
    assert seconds_until(session, b"* BYE") < SOON_SECONDS
    assert session.readline() == b""


def test_a_suspended_account_reads_only(server):
    """A debtor can see the bill: login works and says why, changes are refused."""
    server.add_account("debtor", password=PASSWORD)
    server.um("account", "suspend", "debtor", "--reason", "unpaid since May")
    session = connect(server, "debtor")
    assert session.append("INBOX", None, None, b"Subject: x\r\n\r\n")[0] == "NO"
    with pytest.raises(imaplib.IMAP4.readonly):
        session.select("INBOX")  # imaplib's word for OK [READ-ONLY]


def test_voicemail_is_switched(server):
    server.um("account", "add", "switched")
    server.um("account", "voicemail", "switched", "off")
    assert server.um_json("account", "show", "switched")["voicemail"] is False
    server.um("account", "voicemail", "switched", "on")
    assert server.um_json("account", "show", "switched")["voicemail"] is True
    assert server.um("account", "voicemail", "quiet", "maybe", check=False).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        (("account", "add", "12345"), "", "needs a letter"),
        (("account", "add", "zed", "--number", "12"), "", "not a telephone number"),
        (("account", "add", "zed", "--timezone", "Mars"), "", "Mars"),
        (("account", "add", "zed", "--pin-stdin"), "123456\n", "run"),
        (("account", "add", "zed", "--password-stdin"), "short\n", "at least"),
        (("account", "add", "zed", "--password-stdin"), "", "standard input"),
        (("account", "resume", "nobody"), "", "no account"),
        (("account", "reopen", "active"), "", "cannot reopen"),
        (("number", "list", "nobody"), "", "no account"),
        (("deliver", "voice", "active", "/nonexistent"), "", "/nonexistent: No such file"),
        (("purge", "--at", "yesterday"), "", "is no time"),
    ],
)
def test_errors_are_one_clear_line(server, arguments, stdin, why):
    """On stderr, beginning with `um:`, with exit 1; nothing was changed."""
    server.um("account", "add", "active", check=False)
    done = server.um(*arguments, stdin=stdin, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("um: ")
    assert len(done.stderr.splitlines()) == 1
    assert why.lower() in done.stderr.lower()
    assert server.um("account", "show", "zed", check=False).returncode == 1


def test_the_store_is_checked_beside_the_server_and_mended_without_it(server):
    """Fsck looks while serve runs; --repair and migrate want the folder to themselves."""
    assert server.um("fsck").stdout == "Everything agrees.\n"
    done = server.um("fsck", "--repair", check=False)
    assert done.returncode == 1
    assert "stop them first" in done.stderr
    assert server.um("migrate").stdout == "The schema is up to date.\n"


def test_everything_works_without_a_server(tmp_path, files):
    """On an empty folder, in any order, before `serve` ever ran; then serve finds it all."""
    server = Server(tmp_path)
    assert server.um("migrate").stdout == "The schema was brought up to date.\n"
    server.add_account("alice", password=PASSWORD, numbers=["+15551230001"])
    server.um("deliver", "voice", "alice", str(files / "voice.wav"))
    server.um("deliver", "invoice", "alice", str(files / "invoice.eml"))
    assert server.um("fsck", "--repair").returncode == 0
    assert json.loads(server.um("check-config", "--json").stdout)["valid"] is True
    assert server.um("purge").stdout == "Nothing was due.\n"
    with server:
        assert len(read_inbox(server, "alice")) == 2


def test_a_purge_waits_for_a_clock_it_can_trust(tmp_path):
    """Without a second reading of the clock nothing goes; the operator's word on the time counts."""
    server = Server(tmp_path)
    server.um("account", "add", "old")
    server.um("account", "close", "old")
    with sqlite3.connect(server.data_dir / "um.db") as database:
        database.execute("UPDATE accounts SET purge_at = 0")  # due since 1970
    held = server.um("purge", check=False)
    assert held.returncode == 1
    assert "held back: old: the clock was last trusted never" in held.stderr
    assert re.search(r"say so: um purge --at \d{4}-\d\d-\d\dT", held.stderr)
    assert server.um_json("account", "show", "old")["state"] == "closed"
    server.um("purge", "--at", "2099-01-01T00:00:00Z")
    assert server.um("account", "show", "old", check=False).returncode == 1

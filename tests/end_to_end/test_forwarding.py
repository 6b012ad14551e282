"""Copies that leave a real server for a real mail server whose line breaks, and what comes back."""

import hmac
import json
import re
import select
import shutil
import smtplib
import ssl
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.support.hook import Hook
from tests.support.inbox import PASSWORD, connect, read_inbox, send_lmtp, wait_for_mail
from tests.support.mail_sink import LATE, SILENT, Arrived, Fault, MailSink
from tests.support.server import LOOPBACK, Server
from um.core.steps import OUTBOX_STEPS

pytestmark = pytest.mark.slow
TARGET = "anna@example.org"
ANNA = "anna@um.example.net"
FAULTS = [fault for fault in Fault if fault not in {Fault.NONE, *SILENT, *LATE}]


def invoice(number: int) -> bytes:
    return (
        f"From: Billing <billing@example.net>\r\nTo: {ANNA}\r\nSubject: No {number}\r\n"
        f"Message-ID: <{number}@example.net>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nPlease pay.\r\n"
        "--b\r\nContent-Type: application/pdf\r\n"
        "Content-Disposition: attachment; filename=invoice.pdf\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQ=\r\n--b--\r\n"
    ).encode()


def make_server(folder: Path, relay: str, *, database: str | None = None) -> Server:
    web = {
        "listen_tls": [f"{LOOPBACK}:0"],
        "public_url": "https://portal.example.net",
        "webhook_networks": ["127.0.0.0/8"],
    }
    overrides = {"smtp": {"relay": relay}, "web": web}
    return Server(folder, database=database, overrides=overrides)


def path_of(link: str) -> str:
    """The link's path, for the port that the test's server really has."""
    return link.removeprefix("https://portal.example.net")


def browser(server: Server) -> httpx.Client:
    """Somebody without a session."""
    where = server.address("https")
    trusted = ssl.create_default_context(cafile=str(server.certificate))
    return httpx.Client(base_url=f"https://{where.host}:{where.port}", verify=trusted)


def confirm(
    server: Server, sink: MailSink, *, mode: str = "attach", after: str = "keep", rule: bool = True
) -> None:
    """Add the address, follow the mailed link, and set the rule of invoices."""
    server.um("forward", "address", "add", "anna", TARGET)
    (mail,) = sink.wait(1)
    with browser(server) as web:
        page = web.get(path_of(mail.links[0]))
        assert (page.status_code, TARGET in page.text) == (200, True)
        assert server.um_json("forward", "show", "anna")["addresses"][0]["state"] == "unconfirmed"
        assert web.post(path_of(mail.links[0])).status_code == 200
        assert web.post(path_of(mail.links[0])).status_code == 404
    if rule:
        server.um("forward", "rule", "anna", "invoice", mode, "--after", after)
    read_notice(server)
    sink.arrived.clear()


def read_notice(server: Server) -> None:
    """The notice of the new address is read, and deleted for good."""
    session = connect(server, "anna")
    session.select("INBOX")
    (uids,) = session.uid("search", "SUBJECT", f'"{TARGET} was added"')[1]
    assert len(uids.split()) == 1
    session.uid("store", uids.decode(), "+FLAGS", "\\Deleted")
    session.expunge()
    session.logout()


def subject_number(mail: Arrived) -> int:
    found = re.search(r"No (\d+)", str(mail.message["Subject"]))
    assert found is not None
    return int(found[1])


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with Anna, a confirmed address, and a rule that ends in Trash."""
    with MailSink() as sink:
        server = make_server(tmp_path_factory.mktemp("furnished"), sink.url)
        with server:
            server.add_account("anna", password=PASSWORD)
            confirm(server, sink, after="trash")
        return server.data_dir


def queue(server: Server) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(server.um("forward", "queue", "--json").stdout)
    return found


def test_a_relay_that_fails_in_every_way(furnished: Path, tmp_path: Path) -> None:
    """Nothing is lost; twice comes only what was taken without a word, and as the same mail."""
    with MailSink() as sink:
        server = make_server(tmp_path, sink.url)
        shutil.copytree(furnished, server.data_dir)
        with server:
            sink.script.extend(FAULTS)
            numbers = range(len(FAULTS) + 2)
            for number in numbers:
                assert send_lmtp(server, [ANNA], invoice(number)) == {}
            sink.wait_attempts(len(numbers))
            refused = [fault for fault in FAULTS if fault.value.startswith("5")]
            expected = len(numbers) - len(refused) + 1
            told = wait_for_mail(
                server, "anna", wanted=lambda f: "could not" in f.message["Subject"]
            )
            assert 1 <= len(told) <= len(refused)
            wait_until_deferred(server)
            server.um("forward", "retry")
            arrived = sink.wait(expected)
            assert len(arrived) == expected
            ids: dict[int, set[str]] = {}
            for mail in arrived:
                ids.setdefault(subject_number(mail), set()).add(mail.message_id)
            assert all(len(each) == 1 for each in ids.values())
            times = Counter(map(subject_number, arrived))
            assert sorted(times.values()) == [1] * (expected - 2) + [2]
            assert len(times) == len(numbers) - len(refused)
            kept = {f.message["Subject"] for f in read_inbox(server, "anna")}
            assert {f"No {n}" for n in numbers if n not in times} <= kept
            assert queue(server) == []
        server.um("fsck")


@pytest.mark.parametrize("step", OUTBOX_STEPS)
def test_kill_at_each_step_of_the_outbox(step: str, furnished: Path, tmp_path: Path) -> None:
    """After the restart the copy has arrived, once, or as the same mail twice; then it is in Trash."""
    with MailSink() as sink:
        server = make_server(tmp_path, sink.url)
        shutil.copytree(furnished, server.data_dir)
        server.start({"UM_KILL_AT": step})
        assert send_lmtp(server, [ANNA], invoice(1)) == {}
        server.wait_killed()
        server.restart(environment={})
        arrived = sink.wait(2 if step == "outbox.accepted" else 1)
        wait_until_in_trash(server)
        assert queue(server) == []
        assert len({mail.message_id for mail in arrived}) == 1
        assert len(sink.arrived) == (2 if step == "outbox.accepted" else 1)
        server.stop()
        server.um("fsck")


def wait_until_in_trash(server: Server) -> None:
    """Until INBOX is empty."""
    deadline = time.monotonic() + 30
    while read_inbox(server, "anna"):
        assert time.monotonic() < deadline, server.tail()
        select.select([], [], [], 0.2)


def test_a_day_outside(furnished: Path, tmp_path: Path) -> None:
    """A relay that is down, a link opened by a stranger until its message goes, a copy that bounces."""
    with MailSink() as sink:
        url, port = sink.url, sink.port
    server = make_server(tmp_path, url)
    shutil.copytree(furnished, server.data_dir)
    with server:
        server.um("forward", "rule", "anna", "invoice", "link", "--after", "seen")
        assert send_lmtp(server, [ANNA], invoice(7)) == {}
        wait_until_deferred(server)
        with MailSink(port=port) as sink:
            server.um("forward", "retry", "anna")
            (mail,) = sink.wait(1)
        assert [each.get_content_type() for each in mail.message.walk()] == [
            "multipart/alternative",
            "text/plain",
            "text/html",
        ]
        with browser(server) as web:
            found = web.get(path_of(mail.links[0]))
            assert found.content == b"%PDF-1.4"
            assert found.headers["content-disposition"] == 'attachment; filename="invoice.pdf"'
            assert found.headers["x-content-type-options"] == "nosniff"
            assert web.get(path_of(mail.links[0])[:-1] + "x").status_code == 404

            refused = send_bounce(server, mail.sender, sender="eve@example.com")
            assert refused == 550
            assert send_bounce(server, "bounce+" + "0" * 32 + "@um.example.net") == 550
            assert send_bounce(server, mail.sender) == 250
            told = wait_for_mail(
                server, "anna", wanted=lambda f: TARGET in (f.message["Subject"] or "")
            )
            assert "550 5.1.1 nobody" in told[0].message.get_content()

            session = connect(server, "anna")
            session.select("INBOX")
            session.store("1:*", "+FLAGS", "\\Deleted")
            session.expunge()
            session.logout()
            assert web.get(path_of(mail.links[0])).status_code == 404


def test_a_webhook(furnished: Path, tmp_path: Path) -> None:
    """An event whose first answer was 500 comes again, the same and signed; then nothing waits."""
    with MailSink() as sink, Hook() as hook:
        server = make_server(tmp_path, sink.url)
        shutil.copytree(furnished, server.data_dir)
        with server:
            assert server.um("forward", "failures").stdout.strip() == "Everything arrived."
            shown = server.um("forward", "webhook", "anna", hook.url).stdout
            secret = re.search(r"^secret +(\S+)$", shown, re.MULTILINE)
            assert secret is not None
            hook.answers.append(500)
            assert send_lmtp(server, [ANNA], invoice(5)) == {}
            hook.wait(1)
            sink.wait(1)
            wait_until_deferred(server)
            server.um("forward", "retry")
            (first, body), (second, again) = hook.wait(2)
            hook.answers.append(410)
            assert send_lmtp(server, [ANNA], invoice(6)) == {}
            hook.wait(3)
            sink.wait(2)
            wait_for_metric(server, "um_webhooks_refused_total 1.0")
        assert body == again
        assert first["x-um-event-id"] == second["x-um-event-id"] == json.loads(body)["id"]
        assert json.loads(body)["subject"] == "No 5"
        stamp, _, signature = second["x-um-signature"].partition(",v1=")
        signed = stamp.removeprefix("t=").encode() + b"." + body
        assert signature == hmac.new(secret[1].encode(), signed, "sha256").hexdigest()
        assert queue(server) == []
        (failed,) = json.loads(server.um("forward", "failures", "--json").stdout)
        wanted = ("anna", "webhook", hook.url, "refused", "The webhook answered 410 Gone")
        names = ("account", "purpose", "target", "state", "last_error")
        assert tuple(failed[each] for each in names) == wanted


def test_the_command_line(furnished: Path, tmp_path: Path) -> None:
    """What an operator sees and sets, without a server; mistakes are told in a line."""
    server = make_server(tmp_path, "smtp://127.0.0.1:9")
    shutil.copytree(furnished, server.data_dir)
    shown = server.um("forward", "show", "anna").stdout
    assert re.search(r"^invoice +attach, then trash$", shown, re.MULTILINE)
    assert re.search(r"^webhook +off$", shown, re.MULTILINE)
    assert re.search(rf"^{re.escape(TARGET)} +confirmed", shown, re.MULTILINE)
    hook = server.um("forward", "webhook", "anna", "https://crm.example.net/x").stdout
    secret = re.search(r"^secret +(\S{43})$", hook, re.MULTILINE)
    assert secret is not None
    assert secret[1] in server.um("forward", "webhook", "anna", "show").stdout
    assert server.um_json("forward", "show", "anna") == {
        "addresses": [
            {
                "address": TARGET,
                "state": "confirmed",
                "confirmed_at": server.um_json("forward", "show", "anna")["addresses"][0][
                    "confirmed_at"
                ],
                "bounces": 0,
            }
        ],
        "rules": {
            "voice": {"mode": "off", "after": "keep"},
            "fax": {"mode": "off", "after": "keep"},
            "invoice": {"mode": "attach", "after": "trash"},
        },
        "webhook": "https://crm.example.net/x",
    }
    server.um("forward", "webhook", "anna", "off")
    server.um("forward", "address", "add", "anna", "b@example.org")
    (row,) = queue(server)
    assert (row["account"], row["purpose"], row["target"]) == (
        "anna",
        "confirmation",
        "b@example.org",
    )
    server.um("forward", "address", "remove", "anna", "b@example.org")
    assert server.um("forward", "queue").stdout.strip() == "Nothing waits."
    assert server.um("forward", "retry").stdout.startswith("0 ")
    for wrong in (
        ("rule", "anna", "mail", "link"),
        ("rule", "anna", "voice", "maybe"),
        ("rule", "nobody", "voice", "link"),
        ("address", "add", "anna", "x"),
        ("address", "add", "anna", TARGET),
        ("address", "add", "anna", ANNA),
        ("webhook", "anna", "http://crm.example.net/"),
        ("webhook", "anna", "https://169.254.169.254/"),
    ):
        done = server.um("forward", *wrong, check=False)
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1


def wait_for_metric(server: Server, line: str) -> None:
    """Until the metrics have that line."""
    where, deadline = server.address("http"), time.monotonic() + 30
    while line not in httpx.get(f"http://{where.host}:{where.port}/metrics").text:
        assert time.monotonic() < deadline, server.tail()
        select.select([], [], [], 0.1)


def wait_until_deferred(server: Server) -> None:
    """The queue says that each of its rows was tried."""
    deadline = time.monotonic() + 60
    while not all(row["attempts"] for row in queue(server)):
        assert time.monotonic() < deadline, server.tail()


def send_bounce(server: Server, recipient: str, *, sender: str = "") -> int:
    """A delivery status notification by LMTP; returns the reply's code."""
    report = (
        "From: MAILER-DAEMON@mx.example.org\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.org\r\n\r\n"
        f"Final-Recipient: rfc822; {TARGET}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 nobody\r\n\r\n--b--\r\n"
    )
    where = server.address("lmtp")
    with smtplib.LMTP(where.host, where.port, timeout=60) as client:
        try:
            client.sendmail(sender, [recipient], report)
        except smtplib.SMTPRecipientsRefused as refusal:
            return int(refusal.recipients[recipient][0])
    return 250

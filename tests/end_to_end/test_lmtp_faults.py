"""kill -9 at each named step of a delivery by LMTP, and what is there after the restart."""

import smtplib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, check_books, read_inbox, send_lmtp
from tests.support.server import Server
from um.core.steps import DELIVERY_STEPS

pytestmark = pytest.mark.slow
STEPS = [step for step in DELIVERY_STEPS if not step.startswith("spool.")]
COMMITTED = STEPS.index("transaction.committed")


def mail(subject: str) -> bytes:
    head = f"From: billing@example.net\r\nTo: anna@um.example.net\r\nSubject: {subject}\r\n"
    return (head + "Message-ID: <" + subject + "@example.net>\r\n\r\nAmount due\r\n").encode()


@pytest.mark.parametrize("step", STEPS)
def test_kill_at_each_step_of_a_mail(step: str, tmp_path: Path) -> None:
    """No 250 was heard: at most one copy, the sender's retry makes it exactly one."""
    server = Server(tmp_path, environment={"UM_KILL_AT": f"{step}:2"})
    server.start()
    server.add_account("anna", password=PASSWORD)
    assert send_lmtp(server, ["anna@um.example.net"], mail("before")) == {}
    with pytest.raises((smtplib.SMTPException, OSError)):
        send_lmtp(server, ["anna@um.example.net"], mail("during"))
    server.wait_killed()

    server.restart(environment={})
    subjects = [found.message["Subject"] for found in read_inbox(server, "anna")]
    expected = ["before", "during"] if STEPS.index(step) >= COMMITTED else ["before"]
    assert subjects == expected

    assert send_lmtp(server, ["anna@um.example.net"], mail("during")) == {}
    assert send_lmtp(server, ["anna@um.example.net"], mail("after")) == {}
    found = read_inbox(server, "anna")
    assert [each.message["Subject"] for each in found] == ["before", "during", "after"]
    check_books(server, "anna", found)
    server.stop()
    server.um("fsck")


def test_parallel_deliveries_never_pass_the_quota(tmp_path: Path) -> None:
    """32 mails of 1 MB at once into the last 4 MB: what fits is stored, the rest hears 552."""
    limit, octets = 104_857_600, 1_000_000
    with Server(tmp_path) as server:
        server.add_account("anna", password=PASSWORD)
        filler = mail("filler") + (b"x" * 998 + b"\r\n") * 20_000
        for number in range(5):
            assert (
                send_lmtp(
                    server, ["anna@um.example.net"], filler.replace(b"filler", b"f%d" % number)
                )
                == {}
            )
        room = limit - server.um_json("account", "show", "anna")["used_octets"]
        last = mail("last") + b"x" * 998 + b"\r\n"
        last += (b"y" * 998 + b"\r\n") * ((room - 4_194_304) // 1000)
        assert send_lmtp(server, ["anna@um.example.net"], last) == {}

        def send(number: int) -> bool:
            data = mail(f"race{number}") + (b"z" * 998 + b"\r\n") * (octets // 1000)
            try:
                return not send_lmtp(server, ["anna@um.example.net"], data)
            except smtplib.SMTPRecipientsRefused:
                return False
            except smtplib.SMTPDataError as refused:
                if refused.smtp_code != 552:
                    raise
                return False

        with ThreadPoolExecutor(16) as pool:
            stored = sum(pool.map(send, range(32)))
        shown = server.um_json("account", "show", "anna")
        assert stored == 4
        assert shown["used_octets"] <= limit
        found = read_inbox(server, "anna")
        notices = [each for each in found if each.message["X-UM-Kind"] == "notice"]
        assert len(found) - len(notices) == 6 + stored
        check_books(server, "anna", found)

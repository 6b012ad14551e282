"""Copies that leave a real server for a relay that is slow, and from a server on PostgreSQL."""

import select
import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.test_forwarding import (
    ANNA,
    confirm,
    invoice,
    make_server,
    queue,
    subject_number,
    wait_until_deferred,
)
from tests.support.inbox import PASSWORD, read_inbox, send_lmtp, wait_for_mail
from tests.support.mail_sink import Fault, MailSink
from tests.support.postgres import postgres
from tests.support.server import Server
from um.service.forward.sender import AT_ONCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with Anna and a confirmed address."""
    with MailSink() as sink:
        server = make_server(tmp_path_factory.mktemp("furnished"), sink.url)
        with server:
            server.add_account("anna", password=PASSWORD)
            confirm(server, sink)
        return server.data_dir


def test_a_slow_relay_gets_everything_once(furnished: Path, tmp_path: Path) -> None:
    """Each answer late: mail in is taken meanwhile, and all copies arrive, none of them twice."""
    with MailSink() as sink:
        sink.always = Fault.SLOW
        server = make_server(tmp_path, sink.url)
        shutil.copytree(furnished, server.data_dir)
        with server:
            numbers = range(2 * AT_ONCE + 1)
            for number in numbers:
                assert send_lmtp(server, [ANNA], invoice(number)) == {}
            assert {f.message["Subject"] for f in read_inbox(server, "anna")} >= {
                f"No {number}" for number in numbers
            }
            arrived = sink.wait(len(numbers))
            wait_until_empty(server)
        assert Counter(map(subject_number, arrived)) == dict.fromkeys(numbers, 1)
        assert len(sink.arrived) == len(numbers)


def test_a_stop_waits_for_the_answer(furnished: Path, tmp_path: Path) -> None:
    """SIGTERM while a relay thinks: its answer is heard, and nothing is sent again."""
    with MailSink() as sink:
        sink.script.append(Fault.HELD)
        server = make_server(tmp_path, sink.url)
        shutil.copytree(furnished, server.data_dir)
        server.start()
        assert send_lmtp(server, [ANNA], invoice(1)) == {}
        sink.wait(1)
        with ThreadPoolExecutor(1) as beside:
            stopped = beside.submit(server.stop)
            while "stopping" not in server.log_text():
                assert not stopped.done()
                select.select([], [], [], 0.05)
            sink.let_go()
            stopped.result()
        server.restart()
        assert queue(server) == []
        server.stop()
        assert len(sink.arrived) == sink.attempts == 1


def test_a_kill_while_the_relay_thinks_sends_the_same_mail_again(
    furnished: Path, tmp_path: Path
) -> None:
    """The one mail that may come twice: its answer was never heard."""
    with MailSink() as sink:
        sink.script.append(Fault.HELD)
        server = make_server(tmp_path, sink.url)
        shutil.copytree(furnished, server.data_dir)
        server.start()
        assert send_lmtp(server, [ANNA], invoice(1)) == {}
        sink.wait(1)
        server.restart()
        arrived = sink.wait(2)
        wait_until_empty(server)
        server.stop()
        assert len({mail.message_id for mail in arrived}) == 1
        assert len({mail.data for mail in arrived}) == 1


def test_over_postgresql(tmp_path: Path) -> None:
    """Every kind of fault, with the queue on PostgreSQL: nothing lost, twice only what was cut."""
    faults = [
        Fault.SLOW,
        Fault.DEFERRED_RCPT,
        Fault.REFUSED_RCPT,
        Fault.CUT_BEFORE_DOT,
        Fault.CUT_AFTER_DOT,
    ]
    with MailSink() as sink, postgres() as database:
        server = make_server(tmp_path, sink.url, database=database.create())
        with server:
            server.add_account("anna", password=PASSWORD)
            confirm(server, sink)
            sink.attempts = 0
            sink.script.extend(faults)
            numbers = range(len(faults) + 1)
            for number in numbers:
                assert send_lmtp(server, [ANNA], invoice(number)) == {}
            sink.wait_attempts(len(numbers))
            wait_for_mail(server, "anna", wanted=lambda f: "could not" in f.message["Subject"])
            wait_until_deferred(server)
            server.um("forward", "retry")
            arrived = sink.wait(len(numbers))
            wait_until_empty(server)
            times = Counter(map(subject_number, arrived))
            assert sorted(times.values()) == [1] * (len(numbers) - 2) + [2]
            ids = {(subject_number(mail), mail.message_id) for mail in arrived}
            assert len(ids) == len(times)
            kept = {f.message["Subject"] for f in read_inbox(server, "anna")}
            assert {f"No {number}" for number in numbers} <= kept


def wait_until_empty(server: Server) -> None:
    """Until nothing waits in the queue."""
    deadline = time.monotonic() + 60
    while queue(server):
        assert time.monotonic() < deadline, server.tail()

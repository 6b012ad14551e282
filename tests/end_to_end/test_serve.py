"""`um serve`: from an empty folder to a clean end, with everything that an operator sees of it."""

import json
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import tomllib
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, check_books, connect, read_inbox, send_lmtp
from tests.support.postgres import postgres
from tests.support.server import PROJECT, Server, ServerError
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow
MAIL = b"From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n"


def example_on_free_ports() -> dict:
    """`um.example.toml` as it stands, with port 0 at every place that listens."""
    tables = tomllib.loads((PROJECT / "um.example.toml").read_text())
    for keys in tables.values():
        for key, value in keys.items():
            if key.startswith("listen"):
                keys[key] = [address.rpartition(":")[0] + ":0" for address in value]
    return tables


def get(server: Server, path: str) -> tuple[int, str]:
    where = server.address("http")
    connection = HTTPConnection(where.host, where.port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def run_to_its_end(server: Server) -> subprocess.CompletedProcess:
    """`um serve` where it is expected to give up by itself."""
    command = [sys.executable, "-m", "um", "serve", "--config", str(server.config_file)]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_example_serves_on_an_empty_folder(tmp_path):
    """No other command is needed; every role listens; SIGTERM ends it with 0."""
    with Server(tmp_path, overrides=example_on_free_ports()) as server:
        for service in ("imap", "imaps", "lmtp", "smtp", "http", "sip"):
            assert server.address(service).port > 0
        assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
        context = ssl.create_default_context(cafile=str(server.certificate))
        where = server.address("imaps")
        with (
            socket.create_connection((where.host, where.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="um.example.net") as client,
        ):
            assert client.recv(100).startswith(b"* OK")
    events = [json.loads(line)["event"] for line in server.log_text().splitlines()]
    assert events[-2:] == ["stopping", "stopped"]
    assert "key does nothing yet" not in events


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_end_it_well(tmp_path, number):
    """A terminal's Ctrl-C is as clean as a service manager's stop; open sessions are told."""
    with Server(tmp_path) as server:
        where = server.address("imap")
        with socket.create_connection((where.host, where.port), timeout=30) as client:
            lines = client.makefile("rb")
            assert lines.readline().startswith(b"* OK")
            server._running().send_signal(number)
            assert lines.readline().startswith(b"* BYE")
            assert lines.readline() == b""
        assert server._running().wait(30) == 0


def test_what_was_stored_is_there_after_a_restart(tmp_path):
    """Accounts, messages and the certificate that mail programs trust outlive the process."""
    with Server(tmp_path) as server:
        server.add_account("alice", password=PASSWORD)
        assert send_lmtp(server, ["alice@um.example.net"], MAIL) == {}
        certificate = server.certificate.read_bytes()
        server.stop()
        server.start()
        found = read_inbox(server, "alice")
        assert [message.message["Subject"] for message in found] == ["hello"]
        assert server.certificate.read_bytes() == certificate
        check_books(server, "alice", found)


def test_health_names_what_is_wrong(tmp_path):
    """200 while all is well; 503 with the failing check while the spool is away; 200 again."""
    with Server(tmp_path) as server:
        status, body = get(server, "/healthz")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        spool = server.data_dir / "spool"
        spool.rename(server.data_dir / "away")
        status, body = get(server, "/healthz")
        assert status == 503
        checks = json.loads(body)["checks"]
        assert [name for name, said in checks.items() if said != "ok"] == ["spool"]
        (server.data_dir / "away").rename(spool)
        assert get(server, "/healthz")[0] == 200


def test_metrics_count_what_happens(tmp_path):
    with Server(tmp_path) as server:
        server.add_account("alice", password=PASSWORD)
        send_lmtp(server, ["alice@um.example.net"], MAIL)
        connect(server, "alice").logout()
        status, text = get(server, "/metrics")
        assert status == 200
        assert "um_delivered_invoice_total 1.0" in text
        assert "um_logins_total 1.0" in text
        assert "um_delivery_seconds_count 1.0" in text
        assert "process_open_fds" in text
        assert get(server, "/")[0] == 308


def test_strangers_see_neither_health_nor_metrics(tmp_path):
    """The plain port answers trusted addresses only; others are led to the HTTPS port."""
    with Server(tmp_path, overrides={"web": {"trusted_clients": ["192.0.2.0/24"]}}) as server:
        assert get(server, "/healthz")[0] == 308
        assert get(server, "/metrics")[0] == 308


def test_a_node_serves_its_roles_only(tmp_path):
    """A node may be for mail alone: nothing else listens, and no fax process is started."""
    with Server(tmp_path, overrides={"server": {"roles": ["smtp"]}}) as server:
        assert set(server._addresses) == {"lmtp", "smtp"}
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
        assert children.read_text().split() == []


@pytest.mark.parametrize(
    ("section", "key", "name"),
    [("imap", "listen", "imap"), ("smtp", "listen_lmtp", "smtp"), ("web", "listen", "web")],
)
def test_a_taken_port_is_one_clear_error(tmp_path, section, key, name):
    """Half a server is no server: it says which service cannot listen and exits with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_to_its_end(Server(tmp_path, overrides={section: {key: [address]}}))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("um: ")]
    assert line.startswith(f"um: {name}: cannot listen")
    assert "address already in use" in line.lower()


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    """SQLite has one writer: other ports do not make a second server welcome; commands stay so."""
    with Server(tmp_path) as first:
        done = run_to_its_end(Server(tmp_path))
        first.um("account", "list")
    assert done.returncode == 1
    assert f"um: Another um serve is running on {first.data_dir}: stop it first" in done.stderr


def test_a_wrong_setting_stops_it_before_it_begins(tmp_path):
    server = Server(tmp_path, overrides={"imap": {"listen": ["localhost:0"]}})
    with pytest.raises(ServerError, match=r"um: imap\.listen\.0: the host must be an IP address"):
        server.start()
    assert server.returncode == 1


def test_an_old_schema_is_left_to_the_operator(tmp_path):
    """`serve` fills an empty database and migrates no other by itself."""
    with Server(tmp_path) as server:
        pass
    with sqlite3.connect(server.data_dir / "um.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '0000'")
    done = run_to_its_end(server)
    assert done.returncode == 1
    assert "um: The database is at revision 0000" in done.stderr


def test_no_secret_reaches_a_log(tmp_path):
    """Passwords and PINs, right or wrong, stay out of the log at its most talkative."""
    secrets = {"right": "open-sesame-4711", "wrong": "sesame-wrong-4712", "pin": "582047"}
    server = Server(tmp_path, environment={"UM_LOG_LEVEL": "debug"})
    server.start()
    try:
        done = server.um(
            *("account", "add", "alice", "--number", "+15551230001"),
            *("--password-stdin", "--pin-stdin"),
            stdin=f"{secrets['right']}\n{secrets['pin']}\n",
            environment={"UM_DEBUG": "1"},
        )
        connect(server, "alice", secrets["right"]).logout()
        with pytest.raises(Exception, match="AUTHENTICATIONFAILED"):
            connect(server, "alice", secrets["wrong"])
        send_lmtp(server, ["alice@um.example.net"], MAIL)
        server.stop()
    finally:
        server.kill9()
    seen = server.log_text() + done.stdout + done.stderr
    assert "imap login" in seen
    for secret in secrets.values():
        assert secret not in seen


def test_postgresql_carries_everything(tmp_path):
    """The same server on PostgreSQL: tables made at the start, mail in, mail read, clean end."""
    with postgres() as database, Server(tmp_path, database=database.create()) as server:
        server.add_account("alice", password=PASSWORD)
        session = connect(server, "alice")
        session.select("INBOX")
        (tmp_path / "mail.eml").write_bytes(MAIL)
        server.um("deliver", "mail", "alice", str(tmp_path / "mail.eml"))
        found = read_inbox(server, "alice")
        assert len(found) == 1
        check_books(server, "alice", found)
        session.logout()


def test_a_worker_for_imap_alone_serves_the_same_mailboxes(tmp_path):
    """Two processes over one PostgreSQL and one data folder: mail, bodies and flags are both's."""
    with postgres() as database:
        url = database.create()
        with Server(tmp_path, database=url) as whole:
            alone = {"data_dir": str(whole.data_dir), "roles": ["imap"]}
            folder, overrides = tmp_path / "worker", {"server": alone}
            with Server(folder, database=url, overrides=overrides) as worker:
                worker.data_dir = whole.data_dir
                whole.add_account("alice", password=PASSWORD)
                here, there = connect(whole, "alice"), connect(worker, "alice")
                for session in (here, there):
                    session.select("INBOX")
                (tmp_path / "mail.eml").write_bytes(MAIL)
                whole.um("deliver", "mail", "alice", str(tmp_path / "mail.eml"))
                wait_for(lambda: there.noop() and there.response("EXISTS")[1][-1] == b"1", "mail")
                there.append("INBOX", None, None, MAIL)
                wait_for(lambda: here.noop() and here.response("EXISTS")[1][-1] == b"2", "APPEND")
                there.store("2", "+FLAGS", r"(\Flagged)")
                wait_for(lambda: here.search(None, "FLAGGED")[1] == [b"2"], "a flag")
                assert [each.raw for each in read_inbox(whole, "alice")] == [
                    each.raw for each in read_inbox(worker, "alice")
                ]
                here.logout()
                there.logout()

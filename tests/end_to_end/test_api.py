"""Portal and API of a running server, over HTTPS."""

import ssl
import time
import wave
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

from tests.support.inbox import PASSWORD, read_inbox, send_lmtp
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.mail_sink import MailSink
from tests.support.server import Server

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"


def client(server: Server) -> httpx.Client:
    """Speaks to the HTTPS port, trusting the server's own certificate only."""
    where = server.address("https")
    context = ssl.create_default_context(cafile=str(server.certificate))
    return httpx.Client(base_url=f"https://{where.host}:{where.port}", verify=context, timeout=30)


def wait_for_export(browser: httpx.Client, *, seconds: float = 120) -> None:
    """Ask as a program does, until the file is there."""
    deadline = time.monotonic() + seconds
    while (state := browser.get("/api/v1/me/export").json()["state"]) == "running":
        assert time.monotonic() < deadline, "the export does not end"
        time.sleep(0.1)
    assert state == "ready"


def test_a_customer_comes_in_over_https(tmp_path: Path) -> None:
    """TLS 1.2 is the least; the plain port leads here; a login opens a session until it ends."""
    with Server(tmp_path / "um") as server:
        server.add_account("anna", password=PASSWORD, numbers=[NUMBER])
        where, plain = server.address("https"), server.address("http")
        old = ssl.create_default_context(cafile=str(server.certificate))
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            httpx.Client(verify=old) as outdated,
            pytest.raises(httpx.ConnectError, match=r"(?i)ssl|tls"),
        ):
            outdated.get(f"https://{where.host}:{where.port}/")
        led = httpx.get(f"http://{plain.host}:{plain.port}/api/v1/session")
        assert led.status_code == 308
        assert led.headers["location"] == "https://127.0.0.1:8443/api/v1/session"
        with client(server) as browser:
            assert browser.get("/api/v1/session").status_code == 401
            login = browser.post(
                "/api/v1/session", json={"name": "5551230001", "password": PASSWORD}
            )
            assert login.status_code == 200
            assert browser.get("/api/v1/session").json()["name"] == "anna"
            token = {"x-csrf-token": login.json()["form_token"]}
            assert browser.delete("/api/v1/session", headers=token).status_code == 204
            assert browser.get("/api/v1/session").status_code == 401


class Events:
    """The event stream of a session, read as it comes."""

    def __init__(self, browser: httpx.Client) -> None:
        self._stream = browser.stream("GET", "/api/v1/me/events")
        self._lines = self._stream.__enter__().iter_lines()

    def wait(self, name: str) -> str:
        """The data of the next event of that name."""
        for line in self._lines:
            if line == f"event: {name}":
                return next(self._lines)
        raise AssertionError(f"the stream ended before {name}")

    def close(self) -> None:
        self._stream.__exit__(None, None, None)


def log_in(browser: httpx.Client) -> None:
    answer = browser.post("/api/v1/session", json={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 200
    browser.headers["x-csrf-token"] = answer.json()["form_token"]


def speech(seconds: int = 2) -> bytes:
    """A WAV of another rate than ours, in stereo."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes((b"\x00\x20" * 200 + b"\x00\xe0" * 200) * (441 * seconds // 2))
    return out.getvalue()


def test_operator_and_owner_work_on_one_account(tmp_path: Path) -> None:
    """An account by token; an invoice is heard of at once; a greeting by FFmpeg; the core is told."""
    with Server(tmp_path / "um") as server, client(server) as operator, client(server) as owner:
        scopes = [part for scope in ("read", "accounts", "deposit") for part in ("--scope", scope)]
        token = server.um("token", "add", "billing", *scopes).stdout.strip()
        operator.headers["authorization"] = f"Bearer {token}"
        new = {"name": "anna", "password": PASSWORD, "numbers": [{"number": NUMBER}]}
        assert operator.post("/api/v1/accounts", json=new).status_code == 201

        log_in(owner)
        events = Events(owner)
        events.wait("hello")
        invoice = {
            "content": invoice_mail("anna", invoice_pdf(), when=datetime(2026, 11, 1, tzinfo=UTC)),
            "headers": {"content-type": "message/rfc822", "idempotency-key": "2026-11-0042"},
        }
        dropped = [operator.post("/api/v1/accounts/anna/invoices", **invoice) for _ in range(2)]
        assert [each.status_code for each in dropped] == [201, 200]
        assert dropped[0].json() == dropped[1].json()
        assert "mailbox" in events.wait("mailbox")
        (mail,) = read_inbox(server, "anna")
        (listed,) = owner.get("/api/v1/me/messages?kind=invoice").json()["messages"]
        assert listed["subject"] == mail.message["Subject"]

        greeting = "/api/v1/me/greetings/unavailable"
        assert owner.put(greeting, content=speech()).status_code == 204
        with wave.open(BytesIO(owner.get(greeting).content)) as heard:
            assert (heard.getframerate(), heard.getnchannels()) == (8000, 1)
            assert heard.getnframes() == pytest.approx(2 * 8000, rel=0.05)
        long = owner.put(greeting, content=speech(61))
        assert (long.status_code, long.json()["code"]) == (422, "refused-document")

        assert owner.patch("/api/v1/me", json={"ring_seconds": 7}).status_code == 200
        plain = server.address("http")
        lookup = f"http://{plain.host}:{plain.port}/core/v1/numbers/{NUMBER}?field=ring"
        assert httpx.get(lookup).text == "7"

        server.um("token", "remove", "billing")
        assert operator.get("/api/v1/accounts").status_code == 401
        server.um("account", "close", "anna")
        assert events.wait("bye") == "data: {}"
        events.close()
        assert owner.get("/api/v1/me").status_code == 401


def test_a_forgotten_password_by_mail(tmp_path: Path) -> None:
    """The link goes to the confirmed address by the relay, and opens the new password."""
    with MailSink() as sink:
        settings = {"smtp": {"relay": sink.url}, "policy": {"reset_after_hours": 0}}
        with Server(tmp_path / "um", overrides=settings) as server, client(server) as browser:
            server.add_account("anna", password=PASSWORD)
            server.um("forward", "address", "add", "anna", "anna@example.org")
            (asked,) = sink.wait(1)
            confirm = asked.links[0].removeprefix("https://127.0.0.1:8443")
            assert browser.post(confirm).status_code == 200
            ask = browser.post("/api/v1/password-reset", json={"name": "anna"})
            assert ask.status_code == 202
            mailed = sink.wait(2)[1]
            assert mailed.recipients == ["anna@example.org"]
            link = {"token": mailed.links[0].rpartition("/")[2], "password": "another horse"}
            assert browser.post("/api/v1/password-reset/use", json=link).status_code == 204
            name = {"name": "anna", "password": "another horse"}
            assert browser.post("/api/v1/session", json=name).status_code == 200


def test_an_export_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    """Kill -9 after the 202: the next server makes it unasked, and the session that asked fetches it."""
    with Server(tmp_path / "um", overrides={"web": {"listen_tls": ["127.0.0.1:0"]}}) as server:
        server.add_account("anna", password=PASSWORD)
        for number in range(60):
            letter = f"From: b@example.org\r\nSubject: Letter {number}\r\n\r\n{'x' * 900}\r\n"
            send_lmtp(server, ["anna@um.example.net"], letter.encode())
        with client(server) as browser:
            login = browser.post("/api/v1/session", json={"name": "anna", "password": PASSWORD})
            token = {"x-csrf-token": login.json()["form_token"]}
            assert browser.post("/api/v1/me/export", headers=token).status_code == 202
            server.kill9()
            cookies = browser.cookies
        server.start()
        with client(server) as browser:
            browser.cookies = cookies
            wait_for_export(browser)
            archive = ZipFile(BytesIO(browser.get("/api/v1/me/export/file").content))
        assert archive.testzip() is None
        assert archive.read("INBOX.mbox").count(b"\nSubject: Letter ") == 60
        assert [each.suffix for each in (server.data_dir / "exports").iterdir()] == [".zip"]

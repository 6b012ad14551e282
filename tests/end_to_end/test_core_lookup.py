"""The core's questions to a running server, over HTTP as a PBX asks them."""

import json
import subprocess
import wave
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.inbox import PASSWORD, connect
from tests.support.server import Server, ServerError

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"
TOKEN = "0123456789abcdef-core"


def ask(
    server: Server,
    path: str,
    *,
    method: str = "GET",
    body: object = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    where = server.address("http")
    connection = HTTPConnection(where.host, where.port, timeout=30)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_what_the_operator_and_the_owner_do_is_what_the_core_is_told(tmp_path: Path) -> None:
    """Ring time, voicemail, state and counts, each at once; a call record comes into the history."""
    settings = {"telephony": {"ring_seconds": 25, "listen": ["udp:127.0.0.1:0"]}}
    with Server(tmp_path / "um", overrides=settings) as server:
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        path = f"/core/v1/numbers/{NUMBER}"
        assert ask(server, f"{path}?field=ring_seconds") == (200, "25")
        assert server.um_json("account", "show", "anna")["ring_seconds"] is None
        server.um("account", "ring", "anna", "7")
        assert server.um_json("account", "show", "anna")["ring_seconds"] == 7
        assert ask(server, f"{path}?field=ring_seconds") == (200, "7")
        server.um("account", "ring", "anna", "default")
        assert ask(server, f"{path}?field=ring_seconds") == (200, "25")
        for wrong in ("-1", "soon", "100000"):
            with pytest.raises(ServerError):
                server.um("account", "ring", "anna", wrong)
        server.um("account", "voicemail", "anna", "off")
        status, line = ask(server, "/core/v1/numbers/5551230001?format=text")
        assert (status, line.split(",")[:3]) == (200, ["ring=25", "voicemail=off", "state=active"])

        file = tmp_path / "voice.wav"
        with wave.open(str(file), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8000)
            sound.writeframes((b"\x00\x20" * 40 + b"\x00\xe0" * 40) * 200)
        server.um("deliver", "voice", "anna", str(file))
        assert json.loads(ask(server, path)[1])["voice"]["new"] == 1
        mail = connect(server, "anna")
        mail.select("INBOX")
        mail.store("1", "+FLAGS", r"(\Seen)")
        told = json.loads(ask(server, path)[1])["voice"]
        assert (told["new"], told["old"]) == (0, 1)
        mail.logout()

        call = {
            "id": "asterisk-1",
            "number": NUMBER,
            "caller": "5559870001",
            "started_at": "2026-01-02T03:04:05+00:00",
            "duration_seconds": 12,
            "disposition": "NO ANSWER",
        }
        assert ask(server, "/core/v1/calls", method="POST", body=call)[0] == 201
        assert ask(server, "/core/v1/calls", method="POST", body=call)[0] == 200
        assert ask(server, "/core/v1/calls", method="POST", body={})[0] == 422
        assert ask(server, "/core/v1/numbers/5559999999")[0] == 404

        server.um("account", "close", "anna")
        assert ask(server, f"{path}?field=state") == (200, "closed")


def test_a_core_elsewhere_shows_its_token(tmp_path: Path) -> None:
    """From an address that is not trusted; a token file that cannot serve stops the start."""
    token_file = tmp_path / "core.token"
    token_file.write_text(f"{TOKEN}\n")
    web = {"trusted_clients": ["192.0.2.0/24"], "core_token_file": str(token_file)}
    with Server(tmp_path / "um", overrides={"web": web}) as server:
        server.add_account("anna", password=PASSWORD, numbers=[NUMBER])
        path = f"/core/v1/numbers/{NUMBER}?field=number"
        assert ask(server, path)[0] == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(server, path, headers=bearer) == (200, NUMBER)
        assert ask(server, "/metrics", headers=bearer)[0] == 308
        assert TOKEN not in server.log_text()
    token_file.write_text("short")
    with pytest.raises(ServerError, match=r"web\.core_token_file"):
        server.restart()


def test_curl_as_a_dialplan_uses_it(tmp_path: Path) -> None:
    """Asterisk's CURL() is libcurl: no headers but its own, the bare value comes back."""
    with Server(tmp_path) as server:
        server.add_account("anna", password=PASSWORD, numbers=[NUMBER])
        where = server.address("http")
        url = f"http://{where.host}:{where.port}/core/v1/numbers/{NUMBER}?field=ring"
        done = subprocess.run(["curl", "-sf", url], capture_output=True, text=True, check=True)
        assert done.stdout == "20"

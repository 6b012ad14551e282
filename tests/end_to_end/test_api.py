"""Portal and API of a running server, over HTTPS."""

import ssl
from pathlib import Path

import httpx
import pytest

from tests.support.inbox import PASSWORD
from tests.support.server import Server

pytestmark = pytest.mark.slow
NUMBER = "+15551230001"


def client(server: Server) -> httpx.Client:
    """Speaks to the HTTPS port, trusting the server's own certificate only."""
    where = server.address("https")
    context = ssl.create_default_context(cafile=str(server.certificate))
    return httpx.Client(base_url=f"https://{where.host}:{where.port}", verify=context, timeout=30)


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

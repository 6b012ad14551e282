"""How long the portal's pages take on the server: `python -m bench.portal [--write]`.

A server in a folder of its own, one account with 1000 messages; a kept HTTPS connection asks for each
page as a browser does, without what the page loads afterwards. The aim is a list under 100 ms.
"""

import ssl
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bench.report import percentile, report
from tests.support.inbox import PASSWORD, send_lmtp
from tests.support.invoice import invoice_mail, invoice_pdf
from tests.support.server import Server

MESSAGES = 1000
ASKED = 60
TEXT = "We meet at the quay on Saturday at nine, in front of the old customs house. " * 12
PAGES = (
    ("list of 1000 messages", "/"),
    ("list by kind", "/?kind=invoice"),
    ("search in 1000 messages, nothing found", "/?q=harbour"),
    ("search in 1000 messages, by a word of the text", "/?q=quay"),
    ("bill statements", "/statements"),
    ("telephone", "/telephone"),
)


def fill(server: Server) -> None:
    server.add_account("anna", password=PASSWORD, numbers=["+15551230001"])
    bill = invoice_mail("anna@um.example.net", invoice_pdf(), when=datetime.now(UTC))
    for index in range(MESSAGES):
        letter = f"From: Bob {index} <bob@example.org>\r\nSubject: Letter {index}\r\n\r\n{TEXT}\r\n"
        data = bill.replace(b"0042.", b"%04d." % index) if index % 10 == 0 else letter.encode()
        sender = "billing@example.net" if index % 10 == 0 else "bob@example.org"
        send_lmtp(server, ["anna@um.example.net"], data, sender=sender)


def signed_in(server: Server) -> httpx.Client:
    where = server.address("https")
    trust = ssl.create_default_context(cafile=str(server.certificate))
    client = httpx.Client(base_url=f"https://{where.host}:{where.port}", verify=trust, timeout=60)
    answer = client.post("/login", data={"name": "anna", "password": PASSWORD})
    assert answer.status_code == 303
    return client


def measure(client: httpx.Client, path: str) -> list[float]:
    """Milliseconds of each request."""
    took = []
    for _ in range(ASKED):
        start = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - start) * 1000)
        assert answer.status_code == 200
    return took


def main() -> None:
    settings = {"web": {"listen_tls": ["127.0.0.1:0"]}}
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder), overrides=settings) as server,
    ):
        fill(server)
        with closing(signed_in(server)) as client:
            rows = []
            for name, path in PAGES:
                took = measure(client, path)
                figures = (took[0], percentile(took, 0.5), percentile(took, 0.95), max(took))
                rows.append([name, *(f"{each:.0f} ms" for each in figures)])
    report(
        "Portal pages",
        command="python -m bench.portal --write",
        head=["page", "first", "median", "p95", "longest"],
        rows=rows,
        notes=f"{ASKED} requests of each page, one after another, on one kept TLS connection; time "
        "until the whole page is there, on a machine that others were using too. The aim is a list under 100 ms.",
    )


if __name__ == "__main__":
    main()

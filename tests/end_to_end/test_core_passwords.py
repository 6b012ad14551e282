"""A core that wants um to register and to prove itself: Asterisk 22 over UDP, TCP and TLS."""

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.asterisk import Asterisk
from tests.support.asterisk_callers import CALLERS, call, check, message_by
from tests.support.authority import Authority
from tests.support.desk_phone import DeskPhone
from tests.support.inbox import PASSWORD, connect
from tests.support.ports import free_port
from tests.support.server import Server

pytestmark = pytest.mark.slow

NUMBER = "+15551230001"
SIP_PORT, TLS_PORT = free_port(), free_port()
REGISTRARS = {
    "um-udp": f"sip:127.0.0.1:{SIP_PORT}",
    "um-tcp": f"sip:127.0.0.1:{SIP_PORT};transport=tcp",
    "um-tls": f"sip:127.0.0.1:{TLS_PORT};transport=tls",
}
WRONG = {"um-wrong": f"sip:localhost:{TLS_PORT};transport=tls"}
"""The certificate is for the address."""
SECRET = secrets.token_hex(8)
REGISTERED_SECONDS = 90
"""What Asterisk takes before it is ready it may never answer: 32 s (RFC 3261 §17.1.2.2), then um tries again."""
TRANSPORTS = """
[tcp]
type = transport
protocol = tcp
bind = 127.0.0.1:{sip}
[tls]
type = transport
protocol = tls
bind = 127.0.0.1:{tls}
method = tlsv1_2
cert_file = {certificate}
priv_key_file = {key}
[um-password]
type = auth
auth_type = userpass
username = um
password = {secret}
realm = test-core
"""
REGISTERED = """
[{name}]
type = aor
max_contacts = 1
minimum_expiration = 120
[{name}-password]
type = auth
auth_type = userpass
username = {name}
password = {secret}
realm = test-core
[{name}]
type = endpoint
aors = {name}
auth = {name}-password
context = um-nothing
disallow = all
allow = ulaw
direct_media = no
send_pai = yes
trust_id_outbound = yes
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Asterisk, DeskPhone]]:
    """um, the core that challenges it, and a phone with a lamp."""
    folder = tmp_path_factory.mktemp("asterisk")  # all that Asterisk sees
    authority = Authority(folder)
    certificate, key = authority.issue("127.0.0.1")
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    sections = TRANSPORTS.format(
        sip=SIP_PORT, tls=TLS_PORT, certificate=certificate, key=key, secret=SECRET
    )
    sections += "".join(REGISTERED.format(name=name, secret=SECRET) for name in REGISTRARS)
    telephony = {
        "listen": [f"{transport}:127.0.0.1:0" for transport in ("udp", "tcp", "tls")],
        "mwi_targets": [f"sips:127.0.0.1:{TLS_PORT}"],
        "tls_ca_file": str(authority.file),
    }
    tables = [
        ("credentials", {"realm": "test-core", "username": "um", "password_file": str(secret)}),
        *(
            (
                "registration",
                {
                    "registrar": uri,
                    "username": name,
                    "password_file": str(secret),
                    "contact_user": NUMBER,
                    "expires_seconds": 60,
                },
            )
            for name, uri in {**REGISTRARS, **WRONG}.items()
        ),
    ]
    with ExitStack() as stack:
        phone = stack.enter_context(DeskPhone(number=NUMBER))
        server = Server(
            tmp_path_factory.mktemp("um"), overrides={"telephony": telephony}, telephony=tables
        )
        stack.callback(server.kill9)
        server.start()
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        lamp = f"[um-lamp-{NUMBER[1:]}](um-lamp)\n"
        asterisk = stack.enter_context(
            Asterisk(
                folder,
                um=server.address("sip"),
                http=server.address("http"),
                phones={NUMBER: phone.port},
                dialplan=CALLERS,
                pjsip=sections,
                port=SIP_PORT,
                changes={lamp: f"{lamp}auth = um-password\n"},
            )
        )
        yield server, asterisk, phone


def test_um_registers_where_it_is_wanted(house: tuple[Server, Asterisk, DeskPhone]) -> None:
    """Digest, and a 423 that wants two minutes; calls to each binding arrive; the end removes all."""
    server, asterisk, _ = house
    for name in REGISTRARS:
        asterisk.wait_said(
            f"to AOR '{name}' with expiration of 120 seconds", seconds=REGISTERED_SECONDS
        )
    for name in REGISTRARS:
        mail = message_by(server, lambda to=name: call(asterisk, f"PJSIP/{to}", "leave", to))
        check(mail, number=NUMBER, cause="direct")


def test_a_certificate_for_another_name_is_not_believed(
    house: tuple[Server, Asterisk, DeskPhone],
) -> None:
    """The same port by a name that the certificate is not for: no octet of SIP, no shared connection."""
    server, asterisk, _ = house
    told = server.log_file.read_text()
    assert "telephony.tls-failed" in told
    failed = [json.loads(line) for line in told.splitlines() if "registration.failed" in line]
    assert any("um-wrong@localhost" in each["registrar"] for each in failed)
    assert "um-wrong" not in asterisk.said()


def test_a_lamp_over_tls_that_wants_a_password(
    house: tuple[Server, Asterisk, DeskPhone],
) -> None:
    """Asterisk challenges the NOTIFY; um answers, and the phone's lamp follows the mailbox."""
    server, asterisk, phone = house
    client = connect(server, "anna")
    client.select("INBOX")
    client.uid("store", "1:*", "+FLAGS", "\\Seen")
    message_by(server, lambda: call(asterisk, "PJSIP/um-udp", "leave", "lamp"))
    told = phone.wait_for("NOTIFY", words="Messages-Waiting: yes")
    assert "Voice-Message: 1/" in told.body
    client.noop()
    client.uid("store", "1:*", "+FLAGS", "\\Seen")
    phone.wait_for("NOTIFY", words="Messages-Waiting: no")
    client.logout()


def test_the_end_removes_the_bindings(house: tuple[Server, Asterisk, DeskPhone]) -> None:
    """SIGTERM: no call is sent any more to who has gone."""
    server, asterisk, _ = house
    server.stop()
    for name in REGISTRARS:
        asterisk.wait_said(f"from AOR '{name}' due to request", seconds=10)
    assert SECRET not in server.log_file.read_text()

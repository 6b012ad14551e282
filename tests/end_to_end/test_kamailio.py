"""um behind Kamailio 6: the recipe in docs/telephony/kamailio, with Asterisk as the caller."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.asterisk import Asterisk
from tests.support.asterisk_callers import CALLER, CALLERS, call, check, message_by, words
from tests.support.desk_phone import BUSY, DeskPhone
from tests.support.inbox import PASSWORD
from tests.support.kamailio import Kamailio
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.speech import save_wav

pytestmark = pytest.mark.slow

NUMBER, OTHER_NUMBER, BUSY_NUMBER = "+15551230001", "+15551230002", "+15551230003"
LAMP_NUMBER = "+15551230004"
CORE_PORT = free_port()
"""um is told where the core is before the core runs."""
RING_SECONDS = 2
"""Not what a core rings that has not heard um."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    telephony = {"listen": ["udp:127.0.0.1:0"], "ring_seconds": RING_SECONDS}
    overrides = {"telephony": {**telephony, "mwi_targets": [f"sip:127.0.0.1:{CORE_PORT}"]}}
    with Server(tmp_path_factory.mktemp("um"), overrides=overrides) as running:
        every = (NUMBER, OTHER_NUMBER, BUSY_NUMBER, LAMP_NUMBER)
        numbers = [f"{number}:voice" for number in every]
        running.add_account("anna", password=PASSWORD, numbers=numbers)
        yield running


@pytest.fixture(scope="module")
def kamailio(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    folder = tmp_path_factory.mktemp("kamailio")
    um, http = server.address("sip"), server.address("http")
    with Kamailio(folder, um=um, http=http, port=CORE_PORT) as running:
        yield running


@pytest.fixture(scope="module")
def stranger(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, Kamailio, Asterisk]]:
    """The same, but um trusts no address: Kamailio has a password."""
    folder = tmp_path_factory.mktemp("um")
    secret = folder / "pbx1.secret"
    secret.write_text("secret\n")
    overrides = {
        "telephony": {"listen": ["udp:127.0.0.1:0"], "trusted_cores": ["192.0.2.0/24"]},
    }
    core = {"name": "pbx1", "username": "pbx1", "password_file": str(secret)}
    with ExitStack() as stack:
        server = stack.enter_context(Server(folder, overrides=overrides, cores=[core]))
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        kamailio = stack.enter_context(
            Kamailio(
                tmp_path_factory.mktemp("kamailio"),
                um=server.address("sip"),
                http=server.address("http"),
                changes={"# #!define UM_CREDENTIALS": "#!define UM_CREDENTIALS"},
            )
        )
        asterisk = stack.enter_context(
            Asterisk(
                tmp_path_factory.mktemp("asterisk"),
                um=kamailio.sip,
                dialplan=CALLERS,
                goes_first=True,
            )
        )
        yield server, kamailio, asterisk


@pytest.fixture(scope="module")
def asterisk(kamailio: Kamailio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """What it takes for um is Kamailio."""
    folder = tmp_path_factory.mktemp("asterisk")
    with Asterisk(folder, um=kamailio.sip, dialplan=CALLERS, goes_first=True) as running:
        yield running


def register(phone: DeskPhone, kamailio: Kamailio) -> None:
    """The phone says where it is."""
    where = (kamailio.sip.host, kamailio.sip.port)
    phone.request("REGISTER", f"sip:{phone.number}@{where[0]}:{where[1]}", where, ["Expires: 600"])
    assert phone.wait_for("REGISTER").status == 200


def within_dialogs(kamailio: Kamailio, method: str, port: int) -> int:
    """How many such requests of one side it has relayed by their Route."""
    return kamailio.said().count(f"within dialog: {method} from 127.0.0.1:{port} ")


def test_the_caller_ends_the_call_through_the_proxy(
    server: Server, kamailio: Kamailio, asterisk: Asterisk
) -> None:
    """No phone is registered: the number dialled is the mailbox. ACK and BYE follow Record-Route."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{OTHER_NUMBER}@um-direct/n", "leave", "caller")
    )
    check(mail, number=OTHER_NUMBER, cause="direct")
    port = asterisk.sip.port
    assert within_dialogs(kamailio, "ACK", port) == within_dialogs(kamailio, "BYE", port) == 1


def test_um_ends_the_call_through_the_proxy(
    server: Server, kamailio: Kamailio, asterisk: Asterisk
) -> None:
    """A busy phone; `#` ends the message and our BYE takes the way back over the proxy."""
    with DeskPhone(BUSY, number=BUSY_NUMBER) as phone:
        register(phone, kamailio)
        mail = message_by(
            server, lambda: call(asterisk, f"Local/{BUSY_NUMBER}@um-direct/n", "press", "um")
        )
    check(mail, number=BUSY_NUMBER, cause="busy")
    assert within_dialogs(kamailio, "BYE", server.address("sip").port) == 1
    assert "UM DID NOT HANG UP" not in asterisk.said()


def test_a_phone_that_nobody_answers_diverts_to_um(
    server: Server, kamailio: Kamailio, asterisk: Asterisk
) -> None:
    """Kamailio rings the phone for as long as um says, and says in the Request-URI whose mailbox and why."""
    with DeskPhone(number=NUMBER) as phone:
        register(phone, kamailio)
        mail = message_by(
            server, lambda: call(asterisk, f"Local/{NUMBER}@um-direct/n", "leave", "rings")
        )
        phone.wait_for("CANCEL")
    check(mail, number=NUMBER, cause="no-answer")
    assert f"{NUMBER} rings {RING_SECONDS}000 ms" in kamailio.said()


def test_a_phone_that_shall_not_ring_diverts_at_once(
    server: Server, kamailio: Kamailio, asterisk: Asterisk
) -> None:
    """Ring time 0: the registered phone hears nothing of the call."""
    server.um("account", "ring", "anna", "0")
    try:
        with DeskPhone(number=NUMBER) as phone:
            register(phone, kamailio)
            mail = message_by(
                server, lambda: call(asterisk, f"Local/{NUMBER}@um-direct/n", "leave", "at-once")
            )
    finally:
        server.um("account", "ring", "anna", "default")
    check(mail, number=NUMBER, cause="unconditional")


def test_a_phone_subscribes_to_its_lamp(
    server: Server, kamailio: Kamailio, asterisk: Asterisk
) -> None:
    """SUBSCRIBE through the proxy: the state at once, and a NOTIFY by the same way when it changes."""
    sip = kamailio.sip
    with DeskPhone(number=NUMBER) as phone:
        phone.request(
            "SUBSCRIBE",
            f"sip:{NUMBER}@{sip.host}:{sip.port}",
            (sip.host, sip.port),
            [
                "Event: message-summary",
                "Accept: application/simple-message-summary",
                "Expires: 600",
            ],
        )
        assert phone.wait_for("SUBSCRIBE").status == 200
        before = new_voice_messages(phone.wait_for("NOTIFY", words="Voice-Message: ").body)
        message_by(
            server, lambda: call(asterisk, f"Local/{NUMBER}@um-direct/n", "leave", "subscriber")
        )
        after = phone.wait_for("NOTIFY", words=f"Voice-Message: {before + 1}/")
    assert "Messages-Waiting: yes" in after.body
    assert after.get("subscription-state").startswith("active")
    assert within_dialogs(kamailio, "NOTIFY", server.address("sip").port) >= 2


def test_a_phone_that_asked_for_nothing_sees_its_lamp(
    server: Server, kamailio: Kamailio, tmp_path: Path
) -> None:
    """`mwi_targets`: um tells the proxy of a number, the proxy finds the phone that is registered."""
    sound = save_wav(words(), tmp_path / "words.wav")
    with DeskPhone(number=LAMP_NUMBER) as phone:
        register(phone, kamailio)
        server.um("deliver", "voice", "anna", str(sound), "--from", CALLER)
        told = phone.wait_for("NOTIFY", words="Messages-Waiting: yes")
    assert f"Message-Account: sip:{LAMP_NUMBER}@" in told.body
    assert told.get("subscription-state") == "active"


def test_a_proxy_proves_itself_by_digest(stranger: tuple[Server, Kamailio, Asterisk]) -> None:
    """401 to the INVITE, Kamailio answers; ACK and our BYE take the proved call's way."""
    server, kamailio, asterisk = stranger
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{NUMBER}@um-direct/n", "press", "proved")
    )
    check(mail, number=NUMBER, cause="direct")
    assert within_dialogs(kamailio, "BYE", server.address("sip").port) == 1
    assert "UM DID NOT HANG UP" not in asterisk.said()


def new_voice_messages(body: str) -> int:
    """The first count of RFC 3842."""
    return int(body.partition("Voice-Message: ")[2].partition("/")[0])

"""um behind Asterisk 22: the recipe in docs/telephony/asterisk, with real calls through it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import ceil

import pytest

from tests.support.asterisk import Asterisk
from tests.support.asterisk_callers import CALLERS, call, check, message_by, words
from tests.support.desk_phone import BUSY, DeskPhone
from tests.support.inbox import PASSWORD, connect
from tests.support.listening import heard_within
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.speech import decode_mp3, save_wav, say
from tests.support.telephone import HangUp, Telephone, WaitForBeep
from voicemail.prompts import Prompts

pytestmark = pytest.mark.slow

NUMBER, BUSY_NUMBER = "+15551230001", "+15551230003"
PIN = "280519"
CORE_PORT = free_port()
"""um is told where the core is before the core runs."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    target = f"sip:127.0.0.1:{CORE_PORT}"
    telephony = {"listen": ["udp:127.0.0.1:0"], "mwi_targets": [target], "ring_seconds": 2}
    overrides = {"telephony": telephony}
    with Server(tmp_path_factory.mktemp("um"), overrides=overrides) as running:
        numbers = [f"{NUMBER}:voice", f"{BUSY_NUMBER}:voice"]
        running.add_account("anna", password=PASSWORD, numbers=numbers)
        yield running


@pytest.fixture(scope="module")
def phone() -> DeskPhone:
    """The one that rings."""
    return DeskPhone(number=NUMBER)


@pytest.fixture(scope="module")
def start(
    server: Server, phone: DeskPhone, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Asterisk]]:
    """Starts an Asterisk with a phone that rings and one that is busy."""
    with ExitStack() as stack:
        ringing = stack.enter_context(phone)
        busy = stack.enter_context(DeskPhone(BUSY, number=BUSY_NUMBER))

        def begin(**more: object) -> Asterisk:
            return stack.enter_context(
                Asterisk(
                    tmp_path_factory.mktemp("asterisk"),
                    um=server.address("sip"),
                    http=server.address("http"),
                    phones={NUMBER: ringing.port, BUSY_NUMBER: busy.port},
                    dialplan=CALLERS,
                    goes_first=True,
                    **more,
                )
            )

        yield begin


@pytest.fixture(scope="module")
def asterisk(start: Callable[..., Asterisk]) -> Asterisk:
    return start(port=CORE_PORT)


def test_nobody_answers_and_the_caller_leaves_a_message(server: Server, asterisk: Asterisk) -> None:
    """The phone rings, Asterisk diverts the call, the caller speaks and hangs up."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{NUMBER}@um-customers/n", "leave", "no-answer")
    )
    check(mail, number=NUMBER, cause="no-answer")
    assert "Nobody picked up in 2000 ms" in asterisk.said()  # as um told it


def test_hash_ends_the_message_and_um_hangs_up(server: Server, asterisk: Asterisk) -> None:
    """The phone is busy; the digits of Asterisk's SendDTMF are heard, and the BYE is ours."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{BUSY_NUMBER}@um-customers/n", "press", "hash")
    )
    check(mail, cause="busy", number=BUSY_NUMBER)
    assert "UM DID NOT HANG UP" not in asterisk.said()


def test_the_reason_picks_the_greeting(server: Server, asterisk: Asterisk) -> None:
    """Who calls a busy phone hears that it is busy; who calls one that rings, that nobody is there."""
    sip = server.address("sip")
    measured = Telephone().call(
        (sip.host, sip.port), f"sip:{NUMBER}@{sip.host}:{sip.port}", [WaitForBeep(40), HangUp()]
    )
    prompts = Prompts()
    phrases = {BUSY_NUMBER: "vm-isonphone", NUMBER: "vm-isunavail"}
    for number, phrase in phrases.items():
        heard = asterisk.folder / f"heard{number}"
        wait = str(ceil(measured.seconds + 0.5))
        call(
            asterisk,
            f"Local/{number}@um-customers/n",
            "listen",
            phrase,
            HEARD=str(heard),
            LISTEN=wait,
        )
        said = decode_mp3(heard.with_name(f"{heard.name}.wav").read_bytes())
        found = {each: heard_within(prompts.samples(each), said) for each in phrases.values()}
        assert found[phrase] > 0.8, found
        assert max(value for each, value in found.items() if each != phrase) < 0.5, found


def test_a_customer_whose_phone_shall_not_ring(server: Server, asterisk: Asterisk) -> None:
    """Ring time 0: voicemail at once, whatever the phone would say (Dial would ring for ever)."""
    server.um("account", "ring", "anna", "0")
    try:
        mail = message_by(
            server, lambda: call(asterisk, f"Local/{NUMBER}@um-customers/n", "leave", "at-once")
        )
    finally:
        server.um("account", "ring", "anna", "default")
    check(mail, number=NUMBER, cause="unconditional")


def test_the_mailbox_and_reason_in_the_request_uri(
    server: Server, start: Callable[..., Asterisk]
) -> None:
    """RFC 4458: `target` and `cause`, with A-law alone on the wire."""
    asterisk = start(codecs="alaw", changes={"Gosub(um-divert,": "Gosub(um-divert-by-target,"})
    for number, cause in ((NUMBER, "no-answer"), (BUSY_NUMBER, "busy")):
        mail = message_by(
            server, lambda to=number: call(asterisk, f"Local/{to}@um-customers/n", "leave", to)
        )
        check(mail, cause=cause, number=number)


def test_a_number_without_a_phone(server: Server, asterisk: Asterisk) -> None:
    """The Request-URI names the mailbox; the call was not diverted."""
    mail = message_by(
        server, lambda: call(asterisk, f"Local/{NUMBER}@um-direct/n", "leave", "direct")
    )
    check(mail, number=NUMBER, cause="direct")


def test_the_lamp_of_the_phone_follows_the_mailbox(
    server: Server, asterisk: Asterisk, phone: DeskPhone
) -> None:
    """A message left: Asterisk hears of it from um and tells the phone; read over IMAP: again."""
    client = connect(server, "anna")
    client.select("INBOX")
    client.uid("store", "1:*", "+FLAGS", "\\Seen")
    message_by(server, lambda: call(asterisk, f"PJSIP/{NUMBER}@um", "leave", "lamp"))
    told = phone.wait_for("NOTIFY", words="Messages-Waiting: yes")
    assert "Voice-Message: 1/" in told.body
    client.noop()
    client.uid("store", "1:*", "+FLAGS", "\\Seen")
    told = phone.wait_for("NOTIFY", words="Messages-Waiting: no")
    assert "Voice-Message: 0/" in told.body
    client.logout()


def test_an_owner_sets_up_the_box_and_listens(server: Server, asterisk: Asterisk) -> None:
    """`*98` from the own line by Asterisk's SendDTMF: PIN, name, greeting; then a message is heard."""
    retrieval = "Local/*98@um-retrieval/n"
    name = save_wav(say("Anna Bell of the harbour office"), asterisk.folder / "name.wav")
    first = {"PIN": PIN, "NAME": str(name.with_suffix("")), "PROMPT": "7"}
    call(asterisk, retrieval, "owner-first", "first", caller=NUMBER, **first)
    message_by(server, lambda: call(asterisk, f"PJSIP/{NUMBER}@um", "leave", "for-owner"))
    before = seen(server)
    heard = asterisk.folder / "owner"
    second = {"KEYS": f"{PIN}#www1ww1", "HEARD": str(heard), "LISTEN": "9"}
    call(asterisk, retrieval, "owner", "second", caller=NUMBER, **second)
    assert heard_within(words(), decode_mp3((asterisk.folder / "owner.wav").read_bytes())) > 0.6
    assert seen(server) == before + 1


def seen(server: Server) -> int:
    """How many messages of INBOX are marked as read."""
    client = connect(server, "anna")
    client.select("INBOX", readonly=True)
    _, data = client.uid("search", "SEEN")
    client.logout()
    return len(data[0].split())

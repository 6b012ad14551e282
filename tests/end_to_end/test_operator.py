"""`0` in a deposit through a real Asterisk: REFER, and the operator's phone rings."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.asterisk import Asterisk
from tests.support.asterisk_callers import CALLER, CALLERS, call, message_by, words
from tests.support.desk_phone import DeskPhone
from tests.support.inbox import PASSWORD
from tests.support.listening import heard_within
from tests.support.server import Server
from tests.support.speech import decode_mp3

pytestmark = pytest.mark.slow

NUMBER, OPERATOR = "+15551230001", "100"
ASKS = """
; Presses 0 in the greeting, and stays on the line until nobody wants it any more.
exten => operator,1,Wait(1)
 same => n,SendDTMF(0)
 same => n,Wait(${STAY})
 same => n,Hangup()
; The same, but nobody connects: the caller says it over and over, once surely after the beep.
exten => refused,1,Wait(1)
 same => n,SendDTMF(0)
 same => n,Wait(${STAY})
 same => n,Playback(${WORDS}&${WORDS}&${WORDS})
 same => n,Hangup()
"""
"""More of the context that CALLERS ends with."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Asterisk, DeskPhone]]:
    """Um with an operator, and the operator's phone, which rings."""
    telephony = {"listen": ["udp:127.0.0.1:0"], "operator": OPERATOR}
    with ExitStack() as stack:
        desk = stack.enter_context(DeskPhone(number=OPERATOR))
        server = stack.enter_context(
            Server(tmp_path_factory.mktemp("um"), overrides={"telephony": telephony})
        )
        server.add_account("anna", password=PASSWORD, numbers=[f"{NUMBER}:voice"])
        asterisk = stack.enter_context(
            Asterisk(
                tmp_path_factory.mktemp("asterisk"),
                um=server.address("sip"),
                http=server.address("http"),
                phones={OPERATOR: desk.port},
                dialplan=CALLERS + ASKS,
            )
        )
        yield server, asterisk, desk


def test_zero_leads_to_the_operator(house: tuple[Server, Asterisk, DeskPhone]) -> None:
    """The phone rings with the caller's number; um has left, and there is no message."""
    server, asterisk, desk = house
    call(asterisk, f"Local/{NUMBER}@um-direct/n", "operator", "asks", STAY="6")
    invite = desk.wait_for("INVITE")
    assert CALLER in invite.get("from")
    assert '"reason": "transferred"' in server.log_text()


def test_a_caller_whom_nobody_connects_leaves_a_message(
    house: tuple[Server, Asterisk, DeskPhone],
) -> None:
    """Asterisk has no extension to send a lone channel to: 0 is refused, the deposit goes on."""
    server, asterisk, _ = house
    mail = message_by(
        server, lambda: call(asterisk, f"PJSIP/{NUMBER}@um", "refused", "refused", STAY="4")
    )
    assert '"done": false' in server.log_text()
    assert mail.message["X-CallingTelephoneNumber"] == CALLER
    assert heard_within(words(), decode_mp3(mail.attachment("audio/mpeg"))) > 0.6

"""RFC 4475: every torture message gives the result that the RFC wants of a user agent server."""

from pathlib import Path

import pytest

from tests.support.sip_bench import Bench
from um.telephony.sip.events import CallOffered
from um.telephony.sip.fields import parse_via
from um.telephony.sip.message import Request, Response
from um.telephony.sip.parser import MalformedMessageError, parse_message
from um.telephony.sip.uri import parse_uri

MESSAGES = Path(__file__).parent / "rfc4475"
DROPPED = ""
OFFERED = "100"

EXPECTED = {
    # 3.1.1 valid
    "wsinv": "481",  # well-formed; its To has a tag, and the dialog is not ours
    "intmeth": "501",
    "esc01": OFFERED,
    "escnull": "405",
    "esc02": "501",
    "lwsdisp": "200",
    "longreq": OFFERED,
    "dblreq": "405",
    "semiuri": "200",
    "transports": "200",
    "mpart01": "405",
    "unreason": DROPPED,
    "noreason": DROPPED,
    # 3.1.2 invalid
    "badinv01": "400",
    "clerr": "400",
    "ncl": "400",
    "scalar02": "400",
    "scalarlg": DROPPED,
    "quotbal": "400",
    "ltgtruri": "400",
    "lwsruri": "400",
    "lwsstart": "400",
    "trws": "400",
    "escruri": "400",
    "baddate": OFFERED,
    "regbadct": "400",
    "badaspec": "400",
    "baddn": "400",
    "badvers": "505",
    "mismatch01": "400",
    "mismatch02": "501",
    "bigcode": DROPPED,
    # 3.2, 3.3, 3.4
    "badbranch": "200",
    "insuf": "400",
    "unkscm": "416",
    "novelsc": "416",
    "unksm2": "405",
    "bext01": "420",
    "invut": "415",
    "regaut01": "405",
    "multi01": "400",
    "mcl01": "400",
    "bcast": DROPPED,
    "zeromf": "200",
    "cparam01": "405",
    "cparam02": "405",
    "regescrt": "405",
    "sdp01": "406",
    "inv2543": OFFERED,
    # In the archive, not in the text: no Via, no version, no end.
    "test": DROPPED,
}


def read(name: str) -> bytes:
    return (MESSAGES / f"{name}.dat").read_bytes()


def parsed(name: str) -> Request | Response:
    return parse_message(read(name))


def test_every_message_of_the_archive_has_an_expected_result():
    """No message is left out, and none is invented."""
    assert {path.stem for path in MESSAGES.glob("*.dat")} == set(EXPECTED)
    assert len(EXPECTED) == 50


@pytest.mark.parametrize(("name", "status"), EXPECTED.items())
def test_torture_message(name, status):
    """The endpoint answers as RFC 4475 says, and offers a call only for a good INVITE."""
    bench = Bench()
    sent = bench.receive(read(name))
    assert [line.split()[0] for line in sent] == ([status] if status else [])
    offers = [event for event in bench.events() if isinstance(event, CallOffered)]
    assert len(offers) == (1 if status == OFFERED else 0)


def test_wsinv_is_read_whole():
    """§3.1.1.1: folding, white space, compact forms, leading zeros."""
    message = parsed("wsinv")
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_.tag == "98asjd8"
    assert message.to.tag == "1918181833n"
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    vias = [parse_via(value) for value in message.headers.values("via")]
    assert [via.transport for via in vias] == ["UDP", "TCP", "UDP"]
    assert vias[1].branch == "z9hG4bK9ikj8"
    assert message.headers.get("newfangledheader") == "newfangled value continued newfangled value"
    assert message.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert message.contact.parameter("q") == "0.33"
    assert len(message.body) == 150


def test_escapes_are_resolved_once_and_only_in_uris():
    """§3.1.1.3-5: %25%34%31 is %41 and not A; a method and a field name know no escapes."""
    message = parsed("esc01")
    assert parse_uri(message.uri).user == "sips:user@example.com"
    assert message.to.uri.user == "user"
    assert message.contact.uri.parameter("name") == "value%41"
    assert parsed("escnull").to.uri.user == "null-\0-null"
    other = parsed("esc02")
    assert other.method == "RE%47IST%45R"
    assert other.from_.display == "%Z%45"
    assert len(other.headers.values("contact")) == 2


def test_user_part_may_hold_semicolons():
    """§3.1.1.9."""
    assert parse_uri(parsed("semiuri").uri).user == "user;par=u@example.net"


def test_octets_behind_the_body_are_noise():
    """§3.1.1.8."""
    assert parsed("dblreq").body == b""


def test_body_is_framed_by_its_length_and_may_be_binary():
    """§3.1.1.11."""
    assert len(parsed("mpart01").body) == 553
    assert b"\0" in parsed("mpart01").body


def test_reason_phrases():
    """§3.1.1.12-13."""
    assert parsed("unreason").reason.startswith("= 2**3 * 5**2 но сто")
    assert parsed("noreason").reason == ""


def test_contact_parameters_belong_to_field_or_uri():
    """§3.3.12-14."""
    assert parsed("cparam01").contact.parameter("unknownparam") == ""
    assert parsed("cparam01").contact.uri.parameter("unknownparam") is None
    assert parsed("cparam02").contact.uri.parameter("unknownparam") == ""
    assert parsed("regescrt").contact.uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_only_what_was_not_understood_is_named_unsupported():
    """§3.3.5: a UAS speaks of Require, not of Proxy-Require."""
    bench = Bench()
    bench.receive(read("bext01"))
    assert "Unsupported: nothingSupportsThis, nothingSupportsThisEither\r\n" in bench.last


def test_errors_say_what_is_wrong():
    """A malformed request that can be answered carries its own echo."""
    with pytest.raises(MalformedMessageError) as caught:
        parsed("insuf")
    assert caught.value.status == 400
    assert caught.value.answerable is not None

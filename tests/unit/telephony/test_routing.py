"""Whose mailbox, who calls, and why: RFC 4458, 5806, 7044, 3325, 3323."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_bench import request
from um.telephony.application import DivertCause
from um.telephony.routing import MAILBOX_PLACES, call_info, candidates
from um.telephony.sip.parser import MalformedMessageError, parse_message


def invite(extra="", uri="sip:*97@192.0.2.1", **parts):
    return parse_message(request("INVITE", uri=uri, extra=extra, **parts))


def info(message, **facts):
    return call_info(message, dialled="x", peer="192.0.2.10", normalise=lambda text: text, **facts)


def test_places_are_asked_in_the_operators_order():
    message = invite(
        "Diversion: <sip:+15550003@pbx>;reason=no-answer, <sip:+15550004@pbx>\r\n"
        "History-Info: <sip:+15550005@pbx>;index=1, <sip:um@pbx>;index=1.1\r\n",
        uri="sip:um@192.0.2.1;target=%2B15550001%40pbx;cause=486",
    )
    assert candidates(message, MAILBOX_PLACES) == [
        "+15550001",
        "um",
        "+15550003",
        "+15550004",
        "+15550005",
    ]
    assert candidates(message, ["diversion", "request-uri"]) == ["+15550003", "+15550004", "um"]


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("bob%40example.com", "bob"),
        ("sip:+15555551002%40example.com", "+15555551002"),
        ("sip:+15555551002@example.com", "+15555551002"),  # RFC 4458's own examples
        ("tel:+1-555-555-1002", "+15555551002"),
        ("2001", "2001"),
        ("%2B1-555-0001", "+1-555-0001"),
        ("bob", "bob"),
    ],
)
def test_target_is_written_in_many_ways(target, name):
    """RFC 4458 §6; an address, a URI, a bare number."""
    message = invite(uri=f"sip:um@192.0.2.1;target={target}")
    assert candidates(message, ["target"]) == [name]


def test_a_target_in_history_is_found():
    """RFC 4458 §3."""
    message = invite("History-Info: <sip:vm@x;target=+15550009;cause=408>;index=1\r\n")
    assert candidates(message, ["history-info"])[0] == "+15550009"
    assert info(message).cause is DivertCause.NO_ANSWER


@pytest.mark.parametrize("field", ["Diversion", "History-Info"])
@pytest.mark.parametrize(
    "spoilt",
    [
        "Smith (Office) <sip:+15550008@pbx>",
        "<sip:+15550008@pbx",
        '"no end <sip:+15550008@pbx>',
        "<sip:@pbx>",
        ",,",
        "\udcff\udcfe",
    ],
)
def test_a_value_that_one_core_spoilt_costs_no_other(field, spoilt):
    """The call finds its mailbox by the rest, and nobody's by what cannot be read."""
    good = (
        "<sip:+15550009@pbx?Reason=SIP%3Bcause%3D486%3Btext%3D%22Busy%22>;reason=user-busy;index=1"
    )
    data = request(
        "INVITE", uri="sip:um@192.0.2.1", extra=f"{field}: SPOILT\r\n{field}: {good}\r\n"
    )
    message = parse_message(data.replace(b"SPOILT", spoilt.encode("utf-8", "surrogateescape")))
    assert candidates(message, MAILBOX_PLACES) == ["um", "+15550009"]
    assert info(message).cause is DivertCause.BUSY


def test_an_identity_is_asserted_whole_or_not_at_all():
    """A name that a core did not quote must not make another one the caller."""
    field = 'P-Asserted-Identity: "x" <sip:+15550007@pbx>, " <sip:+15550008@pbx>\r\n'
    found = info(invite(field))
    assert (found.caller_number, found.is_vouched_for) == ("+15559870001", False)


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+1-555-000-1",
        "sip:%2B15550001@[2001:db8::1]:5070;transport=tcp",
        "sip:+15550001;npdi;rn=+15559@192.0.2.1;user=phone",
        "sips:+1(555)0001:secret@um.example.net",
        "SIP:+1.555.0001@192.0.2.1",
    ],
)
def test_a_number_in_the_request_uri_is_written_in_many_ways(uri):
    """RFC 3261 §19.1, RFC 3966 §3, RFC 4694: escapes, separators, parameters of the user, IPv6."""
    assert candidates(invite(uri=uri), ["request-uri"]) == ["+15550001"]


@pytest.mark.parametrize(
    ("uri", "extra", "cause"),
    [
        ("sip:a@b", "", DivertCause.DIRECT),
        ("sip:a@b;cause=486", "", DivertCause.BUSY),
        ("sip:a@b;cause=408", "", DivertCause.NO_ANSWER),
        ("sip:a@b;cause=302", "", DivertCause.UNCONDITIONAL),
        ("sip:a@b;cause=999", "", DivertCause.OTHER),
        ("sip:a@b", "Diversion: <sip:c@d>;reason=user-busy\r\n", DivertCause.BUSY),
        ("sip:a@b", 'Diversion: <sip:c@d>;reason="no-answer"\r\n', DivertCause.NO_ANSWER),
        ("sip:a@b", "Diversion: <sip:c@d>;reason=unconditional\r\n", DivertCause.UNCONDITIONAL),
        ("sip:a@b", "Diversion: <sip:c@d>;reason=away\r\n", DivertCause.OTHER),
        ("sip:a@b", "Diversion: <sip:c@d>\r\n", DivertCause.OTHER),
        ("sip:a@b;cause=486", "Diversion: <sip:c@d>;reason=no-answer\r\n", DivertCause.BUSY),
        (
            "sip:a@b",
            "History-Info: <sip:c@d?Reason=SIP%3Bcause%3D486>;index=1\r\n",
            DivertCause.BUSY,
        ),
        ("sip:a@b", "Diversion: ,,;\r\n", DivertCause.DIRECT),
    ],
)
def test_why_the_call_was_diverted(uri, extra, cause):
    assert info(invite(extra, uri=uri)).cause is cause


def test_the_asserted_identity_goes_before_from():
    """RFC 3325 §9.1: sip and tel values; only of a core that is believed."""
    asserted = 'P-Asserted-Identity: "Bob" <sip:+15550007@pbx>, <tel:+1-555-0007>\r\n'
    message = invite(asserted)
    assert (info(message).caller_number, info(message).caller_name) == ("+15550007", "Bob")
    plain = info(message, asserted=False)
    assert (plain.caller_number, plain.caller_name) == ("+15559870001", "Alice")


@pytest.mark.parametrize(
    ("fields", "vouched"),
    [
        ("", False),
        ("P-Asserted-Identity: <sip:+15550007@pbx>\r\n", True),
        ("P-Asserted-Identity: <tel:+15550007>\r\n", True),
        ("P-Asserted-Identity: <sip:anonymous@anonymous.invalid>\r\n", False),
        ("P-Asserted-Identity: ,,\r\n", False),
        ("P-Preferred-Identity: <sip:+15550007@pbx>\r\n", False),
        ("Privacy: id\r\nP-Asserted-Identity: <sip:+15550007@pbx>\r\n", True),
        ("Privacy: id\r\n", False),
    ],
)
def test_only_an_asserted_number_is_vouched_for(fields, vouched):
    """From is what the caller says: it opens no mailbox. Without a number nothing is vouched for."""
    message = invite(fields)
    assert info(message).is_vouched_for is vouched
    assert not info(message, asserted=False).is_vouched_for


@pytest.mark.parametrize("privacy", ["id", "user;critical", "header", "ID"])
def test_a_withheld_caller_is_anonymous(privacy):
    """RFC 3323, RFC 3325 §9.3: no number, no name, whatever was asserted."""
    message = invite(f"Privacy: {privacy}\r\nP-Asserted-Identity: <sip:+15550007@pbx>\r\n")
    found = info(message)
    assert (found.caller_number, found.caller_name) == ("", "anonymous")
    assert (found.line, found.is_vouched_for) == ("+15550007", True)  # for the own mailbox only


def test_an_anonymous_from_is_withheld_unless_the_core_asserts_somebody():
    data = request("INVITE").replace(
        b'"Alice" <sip:+15559870001@192.0.2.10>', b'"Anonymous" <sip:anonymous@anonymous.invalid>'
    )
    assert info(parse_message(data)).caller_name == "anonymous"
    asserted = data.replace(b"Max-F", b"P-Asserted-Identity: <sip:+15550007@pbx>\r\nMax-F")
    known = info(parse_message(asserted))
    assert (known.caller_number, known.caller_name) == ("+15550007", "")


def test_numbers_are_normalised_by_the_operators_rule():
    message = invite()
    found = call_info(message, dialled="x", peer="p", normalise=lambda text: f"[{text}]")
    assert found.caller_number == "[+15559870001]"


@given(st.text(max_size=40))
def test_names_from_strangers_are_clean(name):
    """No control, no line end, no bidi override; at most 80 characters."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    data = request("INVITE").replace(b'"Alice"', f'"{quoted}"'.encode("utf-8", "replace"))
    try:
        message = parse_message(data)
    except MalformedMessageError:
        return
    shown = info(message).caller_name
    assert len(shown) <= 80
    assert shown.isprintable()

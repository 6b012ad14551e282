"""The SIP grammar: any octets give a message or the one error; what is written is read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_bench import SDP, Bench, request
from um.telephony.sip.fields import parse_name_addr, parse_via
from um.telephony.sip.grammar import (
    SipSyntaxError,
    host_port,
    parse_host_port,
    parse_parameters,
    quote,
    split_list,
    strip_comments,
    unquote,
)
from um.telephony.sip.message import Headers, Request
from um.telephony.sip.parser import (
    MAX_HEADER_FIELDS,
    MalformedMessageError,
    parse_message,
)
from um.telephony.sip.uri import parse_uri

INVITE = request("INVITE", body=SDP)


@given(st.binary(max_size=400))
def test_any_octets_give_a_message_or_the_one_error(data):
    """Nothing else is ever raised."""
    try:
        parse_message(data)
    except MalformedMessageError:
        return


@given(st.lists(st.tuples(st.integers(0, len(INVITE) - 1), st.binary(max_size=3)), max_size=6))
def test_any_damage_to_an_invite_is_survived(changes):
    """Flipped, cut and inserted octets: the endpoint answers or drops, and goes on."""
    data = bytearray(INVITE)
    for position, octets in changes:
        data[position : position + 1] = octets
    bench = Bench()
    bench.receive(bytes(data))
    bench.events()
    bench.later(40)
    assert bench.receive(request("OPTIONS", branch="z9hG4bKafter", call_id="after")) == [
        "200 OPTIONS"
    ]


@given(st.integers(0, len(INVITE)))
def test_any_prefix_of_an_invite_is_survived(length):
    """A datagram cut short is refused as a 400 or dropped, never taken for a call with half SDP."""
    bench = Bench()
    bench.receive(INVITE[:length])
    assert len(bench.events()) == (1 if length == len(INVITE) else 0)


@given(st.text(max_size=60))
def test_quoting_is_reversible(text):
    """Quote then unquote is the identity."""
    assert unquote(quote(text)) == text


@given(st.ip_addresses(), st.none() | st.integers(0, 65535))
def test_hosts_of_both_families_are_read_again(address, port):
    """IPv6 references stand in brackets, and only on the wire."""
    assert parse_host_port(host_port(str(address), port)) == (str(address), port)


def test_encoding_is_read_again():
    """Encode then parse is the identity but for Content-Length."""
    message = parse_message(INVITE)
    again = parse_message(message.encode())
    assert isinstance(again, Request)
    assert (again.method, again.uri, again.body) == ("INVITE", message.uri, message.body)
    assert again.headers == message.headers


def test_lists_split_outside_quotes_and_brackets():
    """Commas inside quoted strings and <> do not count (§7.3.1)."""
    text = '"A, B" <sip:a,b@x>;q=1, <sip:c@x> , sip:d@x'
    assert split_list(text) == ['"A, B" <sip:a,b@x>;q=1', "<sip:c@x>", "sip:d@x"]
    assert split_list("  ") == []
    for bad in ("a,,b", "a,", '"open, a'):
        with pytest.raises(SipSyntaxError):
            split_list(bad)


def test_comments_are_taken_off_also_nested():
    """Retry-After: 18000 (in (a) meeting);duration=3600."""
    assert strip_comments("18000 (in (a) meeting);duration=3600") == "18000 ;duration=3600"
    assert strip_comments('"(kept)" x') == '"(kept)" x'
    with pytest.raises(SipSyntaxError):
        strip_comments("a (b")


def test_parameters_of_fields():
    """Tokens, hosts, quoted strings, no value; white space around ; and =."""
    text = ' ; a = "x;y\\"z" ;b;received=[::1] ;C=d'
    assert parse_parameters(text) == (
        ("a", 'x;y"z'),
        ("b", None),
        ("received", "[::1]"),
        ("c", "d"),
    )
    for bad in (";;", ";a=", "a", ';a="open', ";a b"):
        with pytest.raises(SipSyntaxError):
            parse_parameters(bad)


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:alice@example.com", "alice", "example.com", None),
        ("sips:alice:secret@[2001:db8::1]:5061", "alice", "2001:db8::1", 5061),
        ("SIP:192.0.2.1;transport=tcp", "", "192.0.2.1", None),
        ("sip:+1-555-123@gw;user=phone", "+1-555-123", "gw", None),
        ("tel:+1-555-123-0001;phone-context=x", "+1-555-123-0001", "", None),
    ],
)
def test_uris(text, user, host, port):
    """sip, sips and tel (§19.1, RFC 3966)."""
    uri = parse_uri(text)
    assert (uri.user, uri.host, uri.port) == (user, host, port)


def test_numbers_lose_their_visual_separators_but_names_do_not():
    """RFC 3966 §3: separators mean nothing; a name such as `a-b` keeps its hyphen."""
    assert parse_uri("tel:+1-(555)-123.0001").number == "+15551230001"
    assert parse_uri("sip:a-b@x").number == "a-b"
    assert parse_uri("sip:%2B1555;ext=1@x").number == "+1555"


@pytest.mark.parametrize(
    "text", ["sip:", "sip:@x", "sip:a@", "sip:a@b:99999", "sip:a@-b", "<sip:a@b>", "a b:c", "alice"]
)
def test_bad_uris_are_refused(text):
    with pytest.raises(SipSyntaxError):
        parse_uri(text)


def test_addresses():
    """name-addr with and without a display name, addr-spec with field parameters."""
    value = parse_name_addr('"Bob \\"B\\" <x>"<sip:bob@x;lr>;tag=1')
    assert (value.display, value.uri.text, value.tag) == ('Bob "B" <x>', "sip:bob@x;lr", "1")
    assert parse_name_addr("sip:bob@x;tag=2").tag == "2"
    assert parse_name_addr("Žofie Nová <sip:z@x>").display == "Žofie Nová"


def test_via_is_stamped_with_the_true_source():
    """RFC 3261 §18.2.1 and RFC 3581 §4; a forged `received` does not survive."""
    via = parse_via("SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKx;rport;received=6.6.6.6")
    assert via.stamped("192.0.2.9", 4444) == (
        "SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKx;rport=4444;received=192.0.2.9"
    )
    plain = parse_via("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx")
    assert plain.stamped("192.0.2.9", 4444) == plain.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\r\nX: a\rb\r\n"),
        (b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\nX: y\r\n"),
        (b"Max-Forwards: 70\r\n", b"no colon\r\n"),
        (b"Max-Forwards: 70\r\n", b"X: y\r\n" * MAX_HEADER_FIELDS),
        (b"Call-ID: call-1@core\r\n", b"Call-ID: call 1\r\n"),
        (b"CSeq: 1 INVITE\r\n", b"CSeq: 2147483648 INVITE\r\n"),
        (b"CSeq: 1 INVITE\r\n", b"CSeq: -1 INVITE\r\n"),
        (b"Contact: <sip:core@192.0.2.10:5060>\r\n", b"Contact: <sip:core@>\r\n"),
    ],
)
def test_malformed_fields_are_answered_400(old, new):
    """The request is refused, the sender told, the count kept."""
    bench = Bench()
    sent = bench.receive(INVITE.replace(old, new))
    assert [line.split()[0] for line in sent] == ["400"]
    assert bench.metrics.counts["sip_malformed_messages"] == 1
    assert bench.events() == []


def test_huge_datagrams_are_dropped():
    """More than 65,535 octets cannot have come by UDP; a stream must not get by with it."""
    with pytest.raises(MalformedMessageError):
        parse_message(INVITE + bytes(65_536))


def test_malformed_ack_is_never_answered():
    """An ACK has no response (§8.2.6)."""
    bench = Bench()
    assert bench.receive(request("ACK").replace(b"CSeq: 1 ACK", b"CSeq: x")) == []


def test_unknown_header_fields_are_kept_in_order():
    """Headers are case-insensitive, order and repetition stay."""
    headers = Headers((("x", "1"), ("y", "2"), ("x", "3")))
    assert headers.all("x") == ["1", "3"]
    assert headers.get("z") is None

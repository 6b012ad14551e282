"""The user agent server, as transcripts (RFC 3261 §8, 9, 12-15)."""

import random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.sip_bench import SDP, Bench, replied, request, tag_of
from um.core.ports import NoMetrics
from um.telephony.sip.endpoint import Endpoint, EndpointSettings
from um.telephony.sip.events import (
    CallAcknowledged,
    CallCancelled,
    CallEnded,
    CallOffered,
    DigitSignalled,
    End,
    MediaOffered,
)

ANSWER = b"v=0\r\n"


def response(bench, status, reason, *, method="BYE"):
    """The core's answer to the request that was sent last."""
    lines = [
        line
        for line in bench.last.split("\r\n")
        if line.split(":")[0] in {"Via", "From", "To", "Call-ID", "CSeq"}
    ]
    return "\r\n".join([f"SIP/2.0 {status} {reason}", *lines, "Content-Length: 0\r\n\r\n"]).encode()


def test_a_call_is_offered_answered_and_ended_by_the_caller():
    """INVITE 100 200 ACK BYE 200; each event once."""
    bench = Bench()
    assert bench.receive(request("INVITE", body=SDP)) == ["100 INVITE"]
    assert ";tag=" not in bench.last.split("To:")[1].split("\r\n")[0]
    (offered,) = bench.events()
    assert isinstance(offered, CallOffered)
    assert offered.request.body == SDP.encode()
    bench.endpoint.answer(offered.call, ANSWER, bench.now)
    assert bench.sent() == ["200 INVITE"]
    assert "Contact: <sip:um@192.0.2.1:5070>\r\n" in bench.last
    assert "Content-Type: application/sdp\r\n" in bench.last
    assert bench.last.endswith("\r\n\r\nv=0\r\n")
    tag = tag_of(bench.last)
    assert bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag)) == []
    assert bench.events() == [CallAcknowledged(offered.call, b"", first=True)]
    assert bench.later(60) == []
    bye = request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag)
    assert bench.receive(bye) == ["200 BYE"]
    assert bench.events() == [CallEnded(offered.call, End.BYE)]
    assert bench.receive(bye) == ["200 BYE"]
    assert bench.events() == []


def test_a_repeated_invite_is_one_call():
    """§17.2.1: the 100 is repeated, then the final response, never a second offer."""
    bench = Bench()
    call = bench.offer()
    assert bench.receive(request("INVITE", body=SDP)) == ["100 INVITE"]
    bench.endpoint.reject(call, 486, "Busy Here", bench.now)
    assert bench.sent() == ["486 INVITE"]
    assert bench.receive(request("INVITE", body=SDP)) == ["486 INVITE"]
    assert bench.receive(request("ACK", to_tag=tag_of(bench.last))) == []
    assert bench.later(60) == []
    assert bench.events() == []


def test_a_success_is_repeated_until_the_ack_and_then_given_up_with_bye():
    """§13.3.1.4: 0.5, 1.5, 3.5, 7.5 … and at 32 s BYE."""
    bench = Bench()
    call = bench.offer()
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    sent = bench.later(31.9)
    assert sent[:5] == [(t, "200 INVITE") for t in (0.5, 1.5, 3.5, 7.5, 11.5)]
    assert bench.events() == []
    assert bench.later(0.2) == [(0.1, "BYE")]
    assert bench.events() == [CallEnded(call, End.NO_ACK)]


def test_a_lost_ack_costs_nothing():
    """The repeated 200 brings the ACK again; the call is told up once."""
    bench = Bench()
    call = bench.offer()
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    tag = tag_of(bench.last)
    assert bench.later(0.5) == [(0.5, "200 INVITE")]
    for _ in range(2):
        bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert bench.events() == [CallAcknowledged(call, b"", first=True)]
    assert bench.later(60) == []


def test_cancel_ends_an_unanswered_call():
    """§9.2: 200 to the CANCEL, 487 to the INVITE, the same To tag on both."""
    bench = Bench()
    call = bench.offer()
    assert bench.receive(request("CANCEL")) == ["200 CANCEL", "487 INVITE"]
    tags = {tag_of(data.decode()) for data, _ in bench.outgoing}
    assert len(tags) == 1
    assert bench.events() == [CallCancelled(call)]
    bench.endpoint.answer(call, ANSWER, bench.now)  # the application was too late
    assert bench.sent() == []
    assert bench.receive(request("ACK", to_tag=tags.pop())) == []
    assert bench.later(60) == []


def test_cancel_after_the_answer_changes_nothing():
    """§9.2: a final response was sent, so only the 200 to the CANCEL."""
    bench = Bench()
    call = bench.offer()
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    assert bench.receive(request("CANCEL")) == ["200 CANCEL"]
    assert bench.events() == []


def test_cancel_of_nothing_is_481():
    assert Bench().receive(request("CANCEL")) == ["481 CANCEL"]


def test_we_hang_up():
    """§15: BYE in the dialog, to the Contact; the answer ends the matter."""
    bench = Bench()
    call, tag = bench.answered()
    bench.endpoint.hang_up(call, bench.now)
    assert bench.sent() == ["BYE"]
    assert bench.last.startswith("BYE sip:core@192.0.2.10:5060 SIP/2.0\r\n")
    assert f"From: <sip:+15551230001@192.0.2.1>;tag={tag}\r\n" in bench.last
    assert 'To: "Alice" <sip:+15559870001@192.0.2.10>;tag=caller\r\n' in bench.last
    assert "CSeq: 1 BYE\r\n" in bench.last
    assert bench.endpoint.asking
    assert bench.receive(response(bench, 200, "OK")) == []
    assert not bench.endpoint.asking
    assert bench.later(60) == []
    assert bench.events() == []


def test_bye_is_repeated_until_it_is_answered_or_given_up():
    """Timer E, then F; nothing is left afterwards."""
    bench = Bench()
    call, _ = bench.answered()
    bench.endpoint.hang_up(call, bench.now)
    bench.sent()
    assert len(bench.later(60)) == 10
    assert not bench.endpoint.asking
    assert bench.endpoint.get_timer() is None


def test_hanging_up_before_the_ack_waits_for_it():
    """§15: a callee sends no BYE before the ACK has come."""
    bench = Bench()
    call = bench.offer()
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    tag = tag_of(bench.last)
    bench.endpoint.hang_up(call, bench.now)
    assert bench.sent() == []
    assert bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag)) == ["BYE"]
    assert bench.events() == []


def test_requests_follow_the_recorded_route():
    """§12.2.1.1: loose routes in order, sent to the first; the 200 echoes Record-Route."""
    bench = Bench()
    routes = "Record-Route: <sip:192.0.2.20:5080;lr>, <sip:192.0.2.21;lr>\r\n"
    call = bench.offer(extra=routes)
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    assert routes in bench.last
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(bench.last)))
    bench.endpoint.hang_up(call, bench.now)
    assert bench.sent() == ["BYE"]
    assert bench.last.startswith("BYE sip:core@192.0.2.10:5060 SIP/2.0\r\n")
    assert bench.last.index("<sip:192.0.2.20:5080;lr>") < bench.last.index("<sip:192.0.2.21;lr>")
    assert bench.hop.address == ("192.0.2.20", 5080)


def test_a_strict_router_gets_its_own_uri():
    """§12.2.1.1: without lr the route is the Request-URI, and the target goes last."""
    bench = Bench()
    call = bench.offer(extra="Record-Route: <sip:192.0.2.20>\r\n")
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(bench.last)))
    bench.endpoint.hang_up(call, bench.now)
    bench.sent()
    assert bench.last.startswith("BYE sip:192.0.2.20 SIP/2.0\r\n")
    assert "Route: <sip:core@192.0.2.10:5060>\r\n" in bench.last


def test_a_target_that_is_a_name_is_reached_through_the_core():
    """No DNS in an engine: a host name in Contact means the address the INVITE came from."""
    bench = Bench()
    data = request("INVITE", body=SDP).replace(b"<sip:core@192.0.2.10:5060>", b"<sip:pbx.local>")
    bench.receive(data, ("192.0.2.10", 6060))
    (offered,) = bench.events()
    bench.endpoint.answer(offered.call, ANSWER, bench.now)
    bench.sent()
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(bench.last)))
    bench.endpoint.hang_up(offered.call, bench.now)
    bench.sent()
    assert bench.hop.address == ("192.0.2.10", 6060)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_the_session_is_changed_in_the_dialog(method):
    """§14.2, RFC 3311: the offer goes up, our answer goes out, the target is refreshed."""
    bench = Bench()
    call, tag = bench.answered()
    data = request(method, branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP)
    data = data.replace(b"<sip:core@192.0.2.10:5060>", b"<sip:new@192.0.2.30:5066>")
    bench.receive(data)
    assert bench.events() == [MediaOffered(call, SDP.encode())]
    bench.endpoint.accept_offer(call, ANSWER, bench.now)
    assert bench.sent() == [f"200 {method}"]
    assert bench.last.endswith("\r\n\r\nv=0\r\n")
    if method == "INVITE":
        bench.receive(request("ACK", branch="z9hG4bKack2", cseq=2, to_tag=tag))
        assert bench.events() == [CallAcknowledged(call, b"", first=False)]
    assert bench.later(60) == []
    bench.endpoint.hang_up(call, bench.now)
    bench.sent()
    assert bench.last.startswith("BYE sip:new@192.0.2.30:5066 SIP/2.0\r\n")
    assert bench.hop.address == ("192.0.2.30", 5066)


def test_a_change_that_does_not_fit_leaves_the_call_as_it_is():
    """§14.2: 488, and the session goes on."""
    bench = Bench()
    call, tag = bench.answered()
    bench.receive(request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP))
    bench.endpoint.refuse_offer(call, 488, "Not Acceptable Here", bench.now)
    assert bench.sent() == ["488 INVITE"]
    bench.receive(request("ACK", branch="z9hG4bKre", cseq=2, to_tag=tag))
    assert bench.receive(request("BYE", branch="z9hG4bKbye", cseq=3, to_tag=tag)) == ["200 BYE"]


def test_an_update_without_sdp_is_a_mere_refresh():
    """RFC 4028 §7.4: answered at once."""
    bench = Bench()
    _, tag = bench.answered()
    assert bench.receive(request("UPDATE", branch="z9hG4bKup", cseq=2, to_tag=tag)) == [
        "200 UPDATE"
    ]


def test_a_change_while_another_waits_is_491():
    """§14.2: our 200 to the first is not acknowledged yet."""
    bench = Bench()
    call = bench.offer()
    bench.endpoint.answer(call, ANSWER, bench.now)
    bench.sent()
    tag = tag_of(bench.last)
    again = request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP)
    assert bench.receive(again) == ["491 INVITE"]


def test_numbers_must_grow_in_a_dialog():
    """§12.2.2: 500 for a request that is out of order; the call goes on."""
    bench = Bench()
    _, tag = bench.answered()
    assert bench.receive(request("BYE", branch="z9hG4bKold", cseq=1, to_tag=tag)) == ["500 BYE"]
    assert bench.events() == []


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"])
def test_what_belongs_to_no_call_is_481(method):
    """§12.2.2: a tag that is not ours."""
    assert Bench().receive(request(method, to_tag="nobody")) == [f"481 {method}"]


def test_a_foreign_caller_tag_does_not_enter_the_dialog():
    """Both tags and Call-ID make the dialog (§12): a BYE by another is 481."""
    bench = Bench()
    _, tag = bench.answered()
    forged = request("BYE", branch="z9hG4bKx", cseq=9, to_tag=tag, from_tag="other")
    assert bench.receive(forged) == ["481 BYE"]


def test_info_in_a_call():
    """RFC 6086: empty is fine, a key press is told once, other bodies and packages are refused."""
    bench = Bench()
    call, tag = bench.answered()

    def info(cseq, body="", extra=""):
        data = request(
            "INFO", branch=f"z9hG4bK{cseq}", cseq=cseq, to_tag=tag, body=body, extra=extra
        )
        return bench.receive(data)

    assert info(2) == ["200 INFO"]
    relay = "Content-Type: application/dtmf-relay\r\n"
    assert info(3, "Signal=1\r\nDuration=160\r\n", relay) == ["200 INFO"]
    assert info(3, "Signal=1\r\nDuration=160\r\n", relay) == ["200 INFO"]  # sent again
    assert info(4, "#", "Content-Type: application/dtmf;x=y\r\n") == ["200 INFO"]
    assert info(5, "Signal=flash", relay) == ["200 INFO"]
    assert info(6, "5", "Content-Type: text/plain\r\n") == ["415 INFO"]
    assert info(7, "", "Info-Package: x\r\n") == ["469 INFO"]
    assert info(8, "Signal=2", f"{relay}Info-Package: x\r\n") == ["469 INFO"]
    assert bench.events() == [DigitSignalled(call, "1"), DigitSignalled(call, "#")]


def test_options_tells_what_we_can():
    """§11: 200 with Allow and Accept."""
    bench = Bench()
    assert bench.receive(request("OPTIONS")) == ["200 OPTIONS"]
    allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, SUBSCRIBE, NOTIFY, PRACK"
    assert f"Allow: {allowed}\r\n" in bench.last
    assert "Supported: 100rel, timer\r\n" in bench.last
    assert "Accept: application/sdp\r\n" in bench.last


@pytest.mark.parametrize(
    ("method", "extra", "expected"),
    [
        ("REGISTER", "", "405"),
        ("PUBLISH", "", "405"),
        ("REFER", "", "405"),
        ("MESSAGE", "", "405"),
        ("TELEPORT", "", "501"),
        ("INVITE", "Require: replaces\r\n", "420"),
        ("INVITE", "Content-Type: application/isup\r\n", "415"),
        ("INVITE", "Content-Encoding: gzip\r\n", "415"),
        ("INVITE", "Accept: text/plain\r\n", "406"),
        ("BYE", "", "481"),
    ],
)
def test_what_we_cannot_do_is_refused(method, extra, expected):
    """§8.2, in its order; no call comes of it, and an ACK ends the repetition."""
    bench = Bench()
    body = SDP if method == "INVITE" else ""
    sent = bench.receive(request(method, extra=extra, body=body))
    assert sent == [f"{expected} {method}"]
    assert bench.events() == []


def test_the_same_request_by_two_paths_is_482():
    """§8.2.2.2: merged requests; a caller's second call is no merge."""
    bench = Bench()
    bench.offer()
    assert bench.receive(request("INVITE", branch="z9hG4bKtwo", body=SDP)) == ["482 INVITE"]
    other = request("INVITE", branch="z9hG4bKthree", call_id="call-2@core", body=SDP)
    assert bench.receive(other) == ["100 INVITE"]


def test_draining_refuses_new_calls_and_keeps_those_in_progress():
    """503 with Retry-After for INVITE and OPTIONS; a re-INVITE and BYE work."""
    bench = Bench()
    call, tag = bench.answered()
    bench.endpoint.draining = True
    new = request("INVITE", branch="z9hG4bKnew", call_id="new", body=SDP)
    assert bench.receive(new) == ["503 INVITE"]
    assert "Retry-After: 30\r\n" in bench.last
    assert bench.receive(request("OPTIONS", branch="z9hG4bKo", call_id="o")) == ["503 OPTIONS"]
    bench.receive(request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP))
    assert bench.events() == [MediaOffered(call, SDP.encode())]


def test_answers_go_where_the_request_came_from():
    """RFC 3581 with rport; §18.2.2 without: the Via's port at the true address."""
    bench = Bench()
    bench.receive(request("OPTIONS"), ("198.51.100.7", 33333))
    assert bench.hop.address == ("198.51.100.7", 33333)
    assert ";rport=33333;received=198.51.100.7\r\n" in bench.last
    plain = request("OPTIONS", branch="z9hG4bKplain", call_id="p").replace(b";rport", b"")
    bench.receive(plain, ("198.51.100.7", 33333))
    assert bench.hop.address == ("198.51.100.7", 5060)
    assert ";received=198.51.100.7\r\n" in bench.last


def test_a_peer_of_rfc_2543_can_call():
    """No branch, no From tag, no Contact: ACK and BYE find the call all the same."""
    bench = Bench()

    def old(method, cseq=1, to_tag=""):
        data = request(method, cseq=cseq, to_tag=to_tag, body=SDP if method == "INVITE" else "")
        data = data.replace(b";branch=z9hG4bKone;rport", b"").replace(b";tag=caller", b"")
        return data.replace(b"Contact: <sip:core@192.0.2.10:5060>\r\n", b"")

    assert bench.receive(old("INVITE")) == ["100 INVITE"]
    assert bench.receive(old("INVITE")) == ["100 INVITE"]
    (offered,) = bench.events()
    bench.endpoint.answer(offered.call, ANSWER, bench.now)
    bench.sent()
    tag = tag_of(bench.last)
    bench.receive(old("ACK", to_tag=tag))
    assert bench.events() == [CallAcknowledged(offered.call, b"", first=True)]
    assert bench.receive(old("BYE", cseq=2, to_tag=tag)) == ["200 BYE"]
    assert bench.events() == [CallEnded(offered.call, End.BYE)]


def test_keepalives_and_stray_responses_get_no_answer():
    """RFC 5626 §3.5.1, RFC 3261 §8.1.3.3."""
    bench = Bench()
    assert bench.receive(b"\r\n\r\n") == []
    assert bench.receive(b"\0\0\0\0") == []
    assert bench.metrics.counts == {}
    stray = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\nFrom: <sip:a@b>;tag=1\r\n"
    stray += b"To: <sip:a@b>;tag=2\r\nCall-ID: q\r\nCSeq: 1 BYE\r\n\r\n"
    assert bench.receive(stray) == []
    assert bench.metrics.counts == {"sip_stray_responses": 1}


def test_too_many_transactions_are_not_taken():
    """A flood is dropped and counted; what is in progress goes on."""
    settings = EndpointSettings("192.0.2.1", 5070, max_transactions=3)
    endpoint = Endpoint(settings, random.Random(1), NoMetrics())
    for number in range(10):
        data = request("OPTIONS", branch=f"z9hG4bK{number}", call_id=str(number))
        endpoint.receive_datagram(data, ("192.0.2.10", 5060), 0.0)
    assert len(endpoint.datagrams_to_send()) == 3


def test_nothing_is_left_when_all_is_over():
    """No timer, no transaction, no dialog outlives its call."""
    bench = Bench()
    _, tag = bench.answered()
    bench.receive(request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag))
    bench.later(120)
    assert bench.endpoint.get_timer() is None
    assert bench.receive(request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag)) == ["481 BYE"]


@pytest.mark.parametrize("field", ["Require", "Supported"])
def test_reliable_provisional_responses_are_welcome_and_never_needed(field):
    """RFC 3262 §3: a caller may require them; we send none but 100, so no PRACK is awaited."""
    bench = Bench()
    call = bench.offer(extra=f"{field}: 100rel\r\n")
    assert "Require" not in bench.last
    assert "RSeq" not in bench.last
    bench.endpoint.answer(call, ANSWER, bench.now)
    assert bench.sent() == ["200 INVITE"]
    tag = tag_of(bench.last)
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert bench.events() == [CallAcknowledged(call, b"", first=True)]


def test_a_prack_that_matches_nothing_is_481():
    """RFC 3262 §3: in a call and outside; the call goes on."""
    bench = Bench()
    _, tag = bench.answered()
    rack = "RAck: 1 1 INVITE\r\n"
    prack = request("PRACK", branch="z9hG4bKp", cseq=2, to_tag=tag, extra=rack)
    assert bench.receive(prack) == ["481 PRACK"]
    assert Bench().receive(request("PRACK", extra=rack)) == ["481 PRACK"]
    assert bench.receive(request("BYE", branch="z9hG4bKbye", cseq=3, to_tag=tag)) == ["200 BYE"]


@pytest.mark.parametrize(
    ("field", "protocol", "cause", "elsewhere"),
    [
        ('SIP ;cause=200 ;text="Call completed elsewhere"', "SIP", 200, True),
        ('Q.850;cause=26;text="x"', "Q.850", 26, False),
        ("SIP;cause=600", "SIP", 600, False),
        ("sip;text=bare", "SIP", 0, False),
        ("SIP;cause=99999999999", "SIP", 0, False),
    ],
)
def test_the_reason_of_an_end_is_read(field, protocol, cause, elsewhere):
    """RFC 3326: of a CANCEL and of a BYE; a fork's CANCEL says that another telephone answered."""
    extra = f"Reason: {field}\r\n"
    bench = Bench()
    call = bench.offer()
    bench.receive(request("CANCEL", extra=extra))
    (cancelled,) = bench.events()
    (reason,) = cancelled.reasons
    assert (cancelled.call, reason.protocol, reason.cause) == (call, protocol, cause)
    assert reason.elsewhere is elsewhere
    bench = Bench()
    call, tag = bench.answered()
    bench.receive(request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag, extra=extra))
    assert bench.events() == [CallEnded(call, End.BYE, (reason,))]


@pytest.mark.parametrize("field", [",", ";cause=1", "SIP;cause=", 'SIP;text="open', "@;cause=200"])
def test_a_reason_that_does_not_parse_is_none(field):
    """It is information: the BYE counts all the same."""
    bench = Bench()
    call, tag = bench.answered()
    bye = request("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag, extra=f"Reason: {field}\r\n")
    assert bench.receive(bye) in (["200 BYE"], ["400 BYE"])
    for event in bench.events():
        assert event.call == call
        assert not any(each.elsewhere for each in event.reasons)


NAMES = [
    "Require",
    "Supported",
    "Allow",
    "Reason",
    "Session-Expires",
    "Min-SE",
    "Event",
    "Subscription-State",
    "Contact",
    "Expires",
    "Accept",
    "Content-Type",
    "WWW-Authenticate",
    "Min-Expires",
    "Record-Route",
    "RAck",
    "Refer-To",
]
VALUES = [
    ",", ";", "a,", "timer", "100rel", "x;y=", '"', "SIP;cause=200", "<>", "<sip:a@b>", "sip:",
    "600;refresher=uas", "90;refresher", "99999999999", "-1", "refer", "terminated", "Digest ,",
    'Digest realm="a", nonce="b"', "%", 'a=b,c="d',
]  # fmt: skip
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)
METHODS = ("UPDATE", "INVITE", "NOTIFY", "BYE", "PRACK", "INFO", "OPTIONS", "CANCEL", "ACK")
BODIES = ("", SDP, "SIP/2.0 200 OK", "SIP/2.0 99")
TURNS = st.tuples(
    FIELDS,
    st.sampled_from(METHODS),
    st.sampled_from(BODIES),
    st.sampled_from((200, 202, 401, 407, 405, 422, 481, 491)),
    st.sampled_from((0, 50, 900)),
)


@given(FIELDS, st.lists(TURNS, max_size=4))
@hypothesis_settings(max_examples=150, deadline=None)
def test_no_peer_can_make_the_endpoint_fail(offered, turns):
    """Whatever fields, in whatever order, inside a call that we refer and refresh: nothing raises."""

    def lines(fields):
        return "".join(f"{name}: {value}\r\n" for name, value in fields)

    bench = Bench()
    bench.receive(request("INVITE", body=SDP, extra=lines(offered)))
    calls = [event.call for event in bench.events()]
    if not calls:
        assert int(bench.last.split()[1]) >= 400
        return
    bench.endpoint.answer(calls[0], SDP.encode(), bench.now)
    bench.sent()
    tag = tag_of(bench.last)
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag))
    bench.endpoint.refer(calls[0], "100", bench.now)
    bench.sent()
    for cseq, (fields, method, body, status, seconds) in enumerate(turns, start=2):
        if bench.outgoing and not bench.last.startswith("SIP/2.0"):
            bench.receive(replied(bench.last, status, "x", extra=lines(fields)))
        extra = lines(fields)
        bench.receive(
            request(method, branch=f"z9hG4bK{cseq}", cseq=cseq, to_tag=tag, extra=extra, body=body)
        )
        bench.later(seconds)
    ends = [event for event in bench.events() if isinstance(event, CallEnded)]
    assert len(ends) <= 1


def test_a_call_by_a_secure_path_stays_on_it():
    """§12.1.1, §12.2.1.1: a sips Request-URI gets a sips Contact, in our answer and in all that follows."""
    bench = Bench()
    bench.endpoint.settings = EndpointSettings("192.0.2.1", 5061, transport="TLS")
    bench.receive(request("INVITE", uri="sips:+15551230001@192.0.2.1", body=SDP))
    (offered,) = bench.events()
    bench.endpoint.answer(offered.call, ANSWER, bench.now)
    bench.sent()
    secure = "Contact: <sips:um@192.0.2.1:5061>\r\n"
    assert secure in bench.last
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag_of(bench.last)))
    assert bench.endpoint.offer(offered.call, ANSWER, bench.now)
    bench.sent()
    assert secure in bench.last
    bench.receive(replied(bench.last, 488, "No"))
    bench.endpoint.refer(offered.call, "100", bench.now)
    bench.sent()
    assert secure in bench.last

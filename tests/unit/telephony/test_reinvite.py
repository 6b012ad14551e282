"""Our own re-INVITEs: acknowledged, refused, crossed, taken back (RFC 3261 §14.1)."""

import pytest

from tests.support.sip_bench import CORE, SDP, Bench, request
from um.telephony.sip.events import CallEnded, MediaOffered, OfferAnswered, OfferRefused

OFFER = b"v=0\r\nours"


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def call(bench):
    """A call that is up; `bench.tag` is our tag."""
    name, bench.tag = bench.answered()
    return name


def offer(bench, call):
    """Our re-INVITE as it left."""
    assert bench.endpoint.offer(call, OFFER, bench.now)
    assert bench.sent() == ["INVITE"]
    return bench.last


def response(invite, status, *, body="", contact="<sip:core@192.0.2.10:5060>"):
    """What the core says to a request of ours."""
    kept = ("Via", "From", "To", "Call-ID", "CSeq")
    lines = [line for line in invite.split("\r\n") if line.partition(":")[0] in kept]
    lines += [f"Contact: {contact}", "Content-Type: application/sdp"] if body else []
    head = "\r\n".join([f"SIP/2.0 {status} X", *lines, f"Content-Length: {len(body)}"])
    return f"{head}\r\n\r\n{body}".encode()


def header(message, name):
    return next(line for line in message.split("\r\n") if line.startswith(f"{name}:"))


def test_a_reinvite_is_taken_and_acknowledged_each_time(bench, call):
    """The 2xx may come again: the ACK goes out again, the user hears once (§13.2.2.4)."""
    invite = offer(bench, call)
    assert OFFER.decode() in invite
    assert f"tag={bench.tag}" in header(invite, "From")
    assert header(invite, "Contact") == "Contact: <sip:um@192.0.2.1:5070>"
    bench.receive(response(invite, 100))
    answer = response(invite, 200, body=SDP, contact="<sip:new@192.0.2.10:5080>")
    for expected in ([OfferAnswered(call, SDP.encode())], []):
        assert bench.receive(answer) == ["ACK"]
        assert bench.last.startswith("ACK sip:new@192.0.2.10:5080 ")
        assert header(bench.last, "CSeq") == header(invite, "CSeq").replace("INVITE", "ACK")
        assert header(bench.last, "Via") != header(invite, "Via")
        assert bench.events() == expected


@pytest.mark.parametrize("status", [488, 415, 491, 603])
def test_a_refusal_leaves_the_call_as_it_was(bench, call, status):
    """It is acknowledged on its own branch, and another offer may follow."""
    invite = offer(bench, call)
    assert bench.receive(response(invite, status)) == ["ACK"]
    assert header(bench.last, "Via") == header(invite, "Via")
    assert bench.events() == [OfferRefused(call, status)]
    assert header(offer(bench, call), "CSeq") == "CSeq: 2 INVITE"


def test_no_answer_at_all_is_told_after_its_time(bench, call):
    """Timer B: 32 s (§17.1.1.2)."""
    offer(bench, call)
    bench.later(33)
    assert bench.events() == [OfferRefused(call, 408)]


def test_glare_is_refused_by_491(bench, call):
    """Their offer crosses ours: 491 to theirs (§14.2); after our answer theirs is taken."""
    invite = offer(bench, call)
    theirs = {"cseq": 2, "to_tag": bench.tag, "body": SDP}
    assert bench.receive(request("INVITE", branch="z9hG4bK2", **theirs)) == ["491 INVITE"]
    assert bench.receive(request("UPDATE", branch="z9hG4bK3", **theirs | {"cseq": 3})) == [
        "491 UPDATE"
    ]
    assert bench.events() == []
    bench.receive(response(invite, 488))
    bench.events()
    bench.receive(request("INVITE", branch="z9hG4bK4", **theirs | {"cseq": 4}))
    assert bench.events() == [MediaOffered(call, SDP.encode())]


def test_a_refresh_is_no_glare(bench, call):
    """An UPDATE without a description offers nothing (RFC 4028 §7.4)."""
    offer(bench, call)
    update = request("UPDATE", branch="z9hG4bK2", cseq=2, to_tag=bench.tag)
    assert bench.receive(update) == ["200 UPDATE"]


def test_nothing_is_offered_while_an_offer_is_under_way(bench, call):
    """Ours, or theirs until its 2xx is acknowledged (§14.1)."""
    bench.receive(request("INVITE", branch="z9hG4bK2", cseq=2, to_tag=bench.tag, body=SDP))
    assert not bench.endpoint.offer(call, OFFER, bench.now)
    bench.endpoint.accept_offer(call, SDP.encode(), bench.now)
    assert not bench.endpoint.offer(call, OFFER, bench.now)
    bench.receive(request("ACK", branch="z9hG4bKa", cseq=2, to_tag=bench.tag))
    assert bench.sent() == []
    offer(bench, call)
    assert not bench.endpoint.offer(call, OFFER, bench.now)
    assert not bench.endpoint.offer("another", OFFER, bench.now)


def test_an_offer_is_taken_back_once_the_other_side_has_spoken(bench, call):
    """CANCEL only after a provisional answer (§9.1), on the branch of the INVITE; then 487."""
    invite = offer(bench, call)
    bench.endpoint.withdraw_offer(call, bench.now)
    assert bench.sent() == []
    assert bench.receive(response(invite, 100)) == ["CANCEL"]
    cancel = bench.last
    assert header(cancel, "Via") == header(invite, "Via")
    assert header(cancel, "CSeq") == header(invite, "CSeq").replace("INVITE", "CANCEL")
    assert bench.receive(response(invite, 180)) == []
    bench.receive(response(cancel, 200))
    assert bench.events() == []
    assert bench.receive(response(invite, 487)) == ["ACK"]
    assert bench.events() == [OfferRefused(call, 487)]


def test_an_answer_may_cross_the_cancel(bench, call):
    """A 2xx counts though we took the offer back: the other side has changed over."""
    invite = offer(bench, call)
    bench.receive(response(invite, 100))
    bench.endpoint.withdraw_offer(call, bench.now)
    assert bench.sent() == ["CANCEL"]
    assert bench.receive(response(invite, 200, body=SDP)) == ["ACK"]
    assert bench.events() == [OfferAnswered(call, SDP.encode())]


def test_a_call_that_ended_is_told_of_no_answer(bench, call):
    """BYE while our offer waits: its 2xx is acknowledged and nothing more."""
    invite = offer(bench, call)
    bye = request("BYE", branch="z9hG4bK2", cseq=2, to_tag=bench.tag)
    assert bench.receive(bye, CORE) == ["200 BYE"]
    assert [type(event) for event in bench.events()] == [CallEnded]
    assert bench.receive(response(invite, 200, body=SDP)) == ["ACK"]
    assert bench.events() == []

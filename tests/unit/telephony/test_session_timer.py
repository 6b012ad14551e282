"""Session timers (RFC 4028): who refreshes, when, and what happens if nobody does."""

import itertools

import pytest

from tests.support.sip_bench import SDP, Bench, replied, request, tag_of
from um.telephony.sip.events import CallEnded, End, MediaOffered, OfferAnswered, OfferRefused
from um.telephony.sip.parser import parse_message
from um.telephony.sip.session_timer import Terms, agree

UPDATES = "Allow: INVITE, ACK, BYE, UPDATE\r\n"
ANSWER = SDP.replace("o=core 1 1", "o=um 7 1")
EXPIRED = 'Reason: Q.850;cause=102;text="Session timer expired"\r\n'


def up(extra=""):
    """A call that is up, begun by an INVITE with `extra`: bench, its name, our tag, our 200."""
    bench = Bench()
    call = bench.offer(extra=extra)
    bench.endpoint.answer(call, ANSWER.encode(), bench.now)
    assert bench.sent() == ["200 INVITE"]
    accepted = bench.last
    tag = tag_of(accepted)
    bench.receive(request("ACK", branch="z9hG4bKack", to_tag=tag))
    bench.events()
    return bench, call, tag, accepted


def asked(session_expires="", *, supported=True, more=""):
    """Header lines of an INVITE."""
    lines = "Supported: timer\r\n" if supported else ""
    return lines + (f"Session-Expires: {session_expires}\r\n" if session_expires else "") + more


TABLE_2 = [
    # (they know it, refresher they ask) -> refresher of our 2xx
    (False, "", "uas"),
    (True, "", "uac"),
    (True, ";refresher=uac", "uac"),
    (True, ";refresher=uas", "uas"),
]


@pytest.mark.parametrize(("known", "refresher", "expected"), TABLE_2)
def test_table_2(known, refresher, expected):
    """§9: whom the 2xx names, and Require only for who knows the extension."""
    _, _, _, accepted = up(asked(f"600{refresher}", supported=known))
    assert f"Session-Expires: 600;refresher={expected}\r\n" in accepted
    assert ("Require: timer\r\n" in accepted) is known


@pytest.mark.parametrize("extra", ["", asked(), "Require: timer\r\n"])
def test_we_ask_for_a_timer_where_nobody_did(extra):
    """§9: by our wish 30 minutes; a caller that knows the extension refreshes."""
    refresher = "uac" if extra else "uas"
    assert f"Session-Expires: 1800;refresher={refresher}\r\n" in up(extra)[3]


def test_a_shorter_session_than_ours_is_taken_and_a_longer_one_reduced():
    """§9: never increased; reduced to ours, but not below the Min-SE of the path."""
    assert "Session-Expires: 90;refresher=uac\r\n" in up(asked("90"))[3]
    assert "Session-Expires: 1800;refresher=uac\r\n" in up(asked("86400"))[3]
    path = asked("86400", more="Min-SE: 3600\r\n")
    assert "Session-Expires: 3600;refresher=uac\r\n" in up(path)[3]


def test_a_session_too_short_is_422():
    """§9: with our Min-SE, and the call is not offered; a second try with it is."""
    bench = Bench()
    short = request("INVITE", body=SDP, extra=asked("60"))
    assert bench.receive(short) == ["422 INVITE"]
    assert "Min-SE: 90\r\n" in bench.last
    assert bench.events() == []
    bench.receive(request("ACK", to_tag=tag_of(bench.last)))
    again = request("INVITE", branch="z9hG4bKtwo", cseq=2, body=SDP, extra=asked("90"))
    assert bench.receive(again) == ["100 INVITE"]


def test_a_proxy_that_wants_too_short_a_session_gets_none():
    """§9: without `timer` in Supported a 422 would be understood by nobody."""
    assert "Session-Expires" not in up(asked("60", supported=False))[3]


@pytest.mark.parametrize(
    "extra",
    [
        asked("soon"),
        asked("4294967296"),
        asked("600;refresher"),
        asked("600", more="Min-SE: -1\r\n"),
        "Supported: ,\r\nSession-Expires: 600\r\n",
    ],
)
def test_fields_that_do_not_parse_are_harmless(extra):
    """400, or as if no refresher had been named; nothing raises."""
    bench = Bench()
    sent = bench.receive(request("INVITE", body=SDP, extra=extra))
    assert sent in (["400 INVITE"], ["100 INVITE"])


def test_a_peer_that_does_not_refresh_is_left():
    """§10: BYE 32 s before the end, or by a third of it; the call's end is told once."""
    bench, call, _, _ = up(asked("600;refresher=uac"))
    assert bench.later(567) == []
    assert bench.later(1) == [(1.0, "BYE")]
    assert EXPIRED in bench.last
    assert bench.events() == [CallEnded(call, End.EXPIRED)]
    bench, call, _, _ = up(asked("90;refresher=uac"))
    assert bench.later(61) == [(60.0, "BYE"), (60.5, "BYE")]
    assert bench.events() == [CallEnded(call, End.EXPIRED)]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_a_peer_that_refreshes_keeps_the_call(method):
    """§9: each 2xx begins the time anew, and names the refresher again."""
    bench, call, tag, _ = up(asked("90;refresher=uac"))
    for cseq in range(2, 6):
        assert bench.later(45) == []
        body = SDP if method == "INVITE" else ""
        again = request(
            method,
            branch=f"z9hG4bK{cseq}",
            cseq=cseq,
            to_tag=tag,
            body=body,
            extra=asked("90;refresher=uac"),
        )
        bench.receive(again)
        if method == "INVITE":
            assert bench.events() == [MediaOffered(call, SDP.encode())]
            bench.endpoint.accept_offer(call, ANSWER.encode(), bench.now)
            bench.sent()
            refreshed = bench.last
            bench.receive(request("ACK", branch=f"z9hG4bKa{cseq}", cseq=cseq, to_tag=tag))
            bench.events()
        else:
            refreshed = bench.last
        assert refreshed.startswith("SIP/2.0 200 OK")
        assert "Session-Expires: 90;refresher=uac\r\n" in refreshed
    assert bench.later(59) == []


def test_we_refresh_by_update():
    """§7.4: at half the time, without SDP, again after each 2xx; both sides keep their roles."""
    bench, call, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    for number in (1, 2):
        assert bench.later(300) == [(300.0, "UPDATE")]
        assert f"CSeq: {number} UPDATE\r\n" in bench.last
        assert "Session-Expires: 600;refresher=uac\r\n" in bench.last
        assert "Supported: timer\r\n" in bench.last
        assert bench.last.endswith("Content-Length: 0\r\n\r\n")
        more = "Require: timer\r\nSession-Expires: 600;refresher=uac\r\n"
        assert bench.receive(replied(bench.last, 200, "OK", extra=more)) == []
    assert bench.events() == []
    assert bench.endpoint.asking is False
    bench.endpoint.hang_up(call, bench.now)
    assert bench.sent() == ["BYE"]
    assert "CSeq: 3 BYE\r\n" in bench.last


def test_we_refresh_by_reinvite_with_what_we_said_last():
    """§7.4: a peer without UPDATE gets our unchanged SDP, the same version of it; its 2xx an ACK."""
    bench, call, _, _ = up(asked("600;refresher=uas"))
    assert bench.later(300) == [(300.0, "INVITE")]
    assert bench.last.endswith("\r\n\r\n" + ANSWER)
    accepted = replied(
        bench.last,
        200,
        "OK",
        body=SDP,
        extra="Contact: <sip:moved@192.0.2.30:5066>\r\nContent-Type: application/sdp\r\n"
        "Session-Expires: 600;refresher=uac\r\n",
    )
    assert bench.receive(accepted) == ["ACK"]
    assert bench.last.startswith("ACK sip:moved@192.0.2.30:5066 SIP/2.0\r\n")
    assert "CSeq: 1 ACK\r\n" in bench.last
    assert bench.events() == [OfferAnswered(call, SDP.encode())]
    assert bench.receive(accepted) == ["ACK"]  # its ACK was lost
    assert bench.events() == []
    assert bench.later(290) == []


def test_the_peer_may_take_the_refreshing_over():
    """§7.2: the 2xx says who does it from now on, and how often."""
    bench, call, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    bench.later(300)
    bench.receive(replied(bench.last, 200, "OK", extra="Session-Expires: 300;refresher=uas\r\n"))
    assert bench.later(267) == []
    assert bench.later(1) == [(1.0, "BYE")]
    assert bench.events() == [CallEnded(call, End.EXPIRED)]


def test_a_peer_without_the_extension_is_refreshed_all_the_same():
    """§7.2: its 2xx says nothing of it; a call on hold whose peer has died is found so."""
    bench, call, _, _ = up(UPDATES)
    for _ in range(3):
        assert bench.later(900) == [(900.0, "UPDATE")]
        bench.receive(replied(bench.last, 200, "OK"))
    sent = bench.later(932)
    assert [line for _, line in sent] == ["UPDATE"] * 11 + ["BYE"]
    assert bench.events() == [CallEnded(call, End.EXPIRED)]


@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_that_finds_no_call_ends_it(status):
    """§10: BYE at once."""
    bench, call, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    bench.later(300)
    assert bench.receive(replied(bench.last, status, "Gone")) == ["BYE"]
    assert EXPIRED in bench.last
    assert bench.events() == [CallEnded(call, End.EXPIRED)]


def test_a_refresh_by_reinvite_that_is_never_answered_ends_the_call():
    """§10: nor does a lone 100 keep it; nothing is left afterwards."""
    bench, call, _, _ = up(asked("600;refresher=uas"))
    bench.later(300)
    assert bench.receive(replied(bench.last, 100, "Trying")) == []
    assert bench.later(32) == [(32.0, "BYE")]
    assert bench.events() == [CallEnded(call, End.EXPIRED)]
    bench.receive(replied(bench.last, 200, "OK"))
    bench.later(60)
    assert bench.endpoint.get_timer() is None


def test_an_interval_too_small_for_the_peer_is_raised():
    """§7.3: again at once with its Min-SE, which goes with every refresh from then on."""
    bench, _, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    bench.later(300)
    small = replied(bench.last, 422, "Session Interval Too Small", extra="Min-SE: 900\r\n")
    assert bench.receive(small) == ["UPDATE"]
    assert "Session-Expires: 900;refresher=uac\r\n" in bench.last
    assert "Min-SE: 900\r\n" in bench.last
    bench.receive(replied(bench.last, 200, "OK", extra="Session-Expires: 900;refresher=uac\r\n"))
    assert bench.later(450) == [(450.0, "UPDATE")]
    assert "Min-SE: 900\r\n" in bench.last


@pytest.mark.parametrize("minimum", ["", "Min-SE: 90\r\n", "Min-SE: x\r\n", "Min-SE: {}\r\n"])
def test_a_422_is_not_followed_for_ever(minimum):
    """§10: no continuous retries, though the peer raises its wish each time; the end stays."""
    bench, call, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    bench.later(300)
    end, refreshes = bench.now + 300, 1
    while not (events := bench.events()):
        if bench.outgoing and "UPDATE" in bench.last:
            more = minimum.format(900 + refreshes)
            refreshes += len(bench.receive(replied(bench.last, 422, "Too Small", extra=more)))
        else:
            refreshes += len(bench.later(bench.endpoint.get_timer() - bench.now))
    assert events == [CallEnded(call, End.EXPIRED)]
    assert bench.now == pytest.approx(end)
    assert refreshes < 25


@pytest.mark.parametrize("status", [405, 501])
def test_a_peer_that_lied_about_update_gets_a_reinvite(status):
    """§7.4: at once."""
    bench, _, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    bench.later(300)
    assert bench.receive(replied(bench.last, status, "No")) == ["INVITE"]


def test_other_refusals_are_tried_again_in_time():
    """§10: at half of what is left; the last BYE at the end of the session."""
    bench, call, _, _ = up(asked("600;refresher=uas", more=UPDATES))
    bench.later(300)
    assert bench.receive(replied(bench.last, 503, "Busy")) == []
    assert bench.later(150) == [(150.0, "UPDATE")]
    bench.receive(replied(bench.last, 200, "OK", extra="Session-Expires: 600;refresher=uac\r\n"))
    assert bench.later(299) == []
    assert bench.events() == []
    assert call


def test_glare():
    """§14.1 of RFC 3261: 491 to theirs while ours waits; after a 491 ours comes again within 2 s."""
    bench, _, tag, _ = up(asked("600;refresher=uas"))
    bench.later(300)
    ours = bench.last
    theirs = request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP)
    assert bench.receive(theirs) == ["491 INVITE"]
    bare = request("UPDATE", branch="z9hG4bKup", cseq=3, to_tag=tag)
    assert bench.receive(bare) == ["200 UPDATE"]
    assert bench.receive(replied(ours, 491, "Request Pending")) == ["ACK"]
    (at, line), *_ = bench.later(2)
    assert line == "UPDATE"  # theirs showed that they take it
    assert 0 <= at <= 2


def test_a_refresh_waits_for_an_offer_that_is_under_way():
    """§14.1: no INVITE while theirs waits for our user; a second later, again."""
    bench, call, tag, _ = up(asked("600;refresher=uas"))
    bench.later(299)
    bench.receive(request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP))
    bench.events()
    assert bench.later(3) == []
    bench.endpoint.refuse_offer(call, 488, "Not Acceptable Here", bench.now)
    bench.sent()
    bench.receive(request("ACK", branch="z9hG4bKre", cseq=2, to_tag=tag))
    (at, line), *_ = bench.later(1)
    assert (at, line) == (1.0, "INVITE")


def test_an_offer_of_our_user_refreshes_the_session():
    """RFC 4028 §7.4: any re-INVITE does; what was agreed by it is what a refresh repeats."""
    bench, call, _, _ = up(asked("600;refresher=uas"))
    bench.later(200)
    assert bench.endpoint.offer(call, b"v=0\r\n", bench.now)
    assert bench.sent() == ["INVITE"]
    assert "Session-Expires: 600;refresher=uac\r\n" in bench.last
    taken = "Session-Expires: 600;refresher=uac\r\nContent-Type: application/sdp\r\n"
    bench.receive(replied(bench.last, 200, "OK", extra=taken, body=SDP))
    assert bench.events() == [OfferAnswered(call, SDP.encode())]
    assert bench.later(300) == [(300.0, "INVITE")]
    assert bench.last.endswith("\r\n\r\nv=0\r\n")


def test_an_offer_that_was_refused_changes_no_refresh():
    """§14.1: the session stays as it was, and so does what a refresh repeats."""
    bench, call, _, _ = up(asked("600;refresher=uas"))
    assert bench.endpoint.offer(call, b"v=0\r\n", bench.now)
    bench.sent()
    bench.receive(replied(bench.last, 488, "Not Acceptable Here"))
    assert bench.events() == [OfferRefused(call, 488)]
    assert bench.later(300) == [(300.0, "INVITE")]
    assert bench.last.endswith("\r\n\r\n" + ANSWER)


def test_a_timer_that_was_not_renewed_is_gone():
    """§9: the last 2xx counts; a re-INVITE of a peer that drops the extension is ours to refresh."""
    bench, call, tag, _ = up(asked("90;refresher=uac"))
    bench.receive(request("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP))
    bench.endpoint.accept_offer(call, ANSWER.encode(), bench.now)
    bench.sent()
    assert "Session-Expires: 1800;refresher=uas\r\n" in bench.last
    bench.receive(request("ACK", branch="z9hG4bKa2", cseq=2, to_tag=tag))
    assert bench.later(800) == []


@pytest.mark.parametrize(
    ("known", "wanted", "value", "refresher", "minimum"),
    list(
        itertools.product(
            (True, False),
            (0, 90, 1800),
            (None, 0, 89, 90, 600, 1800, 7200),
            ("", "uac", "uas", "x"),
            (None, 90, 3600),
        )
    ),
)
def test_terms_keep_the_rules(known, wanted, value, refresher, minimum):
    """For every request: never longer than asked, never below 90 s, nobody but Table 2's refresher."""
    tail = f";refresher={refresher}" if refresher else ""
    extra = asked(
        "" if value is None else f"{value}{tail}",
        supported=known,
        more="" if minimum is None else f"Min-SE: {minimum}\r\n",
    )
    message = parse_message(request("INVITE", body=SDP, extra=extra))
    terms = agree(message, wanted=wanted, least=90)
    if not isinstance(terms, Terms):
        assert terms is None or (known and value is not None and value < 90)
        return
    assert terms.seconds >= 90
    assert value is None or 90 <= terms.seconds <= value
    assert value is None or terms.seconds == value or terms.seconds >= (minimum or 90)
    assert terms.required is known
    allowed = {"uas"} if not known else {refresher} if refresher in {"uac", "uas"} else {"uac"}
    assert terms.refresher in (allowed if value is not None else {"uac", "uas"})

"""Subscriptions to message waiting, as their notifier keeps them (RFC 6665 §4.2, RFC 3842)."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sip_bench import CORE, Bench, request, tag_of
from um.core.errors import InvalidError
from um.telephony.sip.admission import Reply
from um.telephony.sip.events import RequestAnswered, RequestOffered
from um.telephony.sip.layer import Hop
from um.telephony.sip.notifier import GONE, MAX_OF_RESOURCE, RETRY_SECONDS, Notifier
from um.telephony.sip.parser import parse_message
from um.telephony.sip.subscription import (
    MAX_SECONDS,
    MIN_SECONDS,
    Asked,
    Package,
    from_record,
    read_subscribe,
    to_record,
)

NUMBER = "+15551230001"
PACKAGE = Package("message-summary", "application/simple-message-summary", 3600)
SOURCE = Hop("UDP", CORE)
TODAY = datetime(2026, 3, 4, tzinfo=UTC)


def subscribe(extra="Event: message-summary\r\n", **parts):
    return parse_message(request("SUBSCRIBE", extra=extra, **parts))


class Desk:
    """A notifier with one resource, and what it sends."""

    def __init__(self):
        self.now = 1000.0
        self.notifier = Notifier(PACKAGE)
        self.sent = []

    def open(self, seconds=600, state=b"0", **parts) -> Reply:
        reply = self.notifier.open(
            subscribe(**parts),
            Asked("", seconds),
            self.now,
            tag="ours",
            source=SOURCE,
            resource=NUMBER,
            owner="anna",
            state=state,
        )
        self.work()
        return reply

    def refresh(self, seconds=600, cseq=2, **parts) -> Reply:
        again = subscribe(to_tag="ours", cseq=cseq, **parts)
        reply = self.notifier.refresh(again, Asked("", seconds), self.now, source=SOURCE)
        self.work()
        return reply

    def state(self, state: bytes) -> None:
        self.notifier.update(NUMBER, state)
        self.work()

    def work(self):
        self.sent += self.notifier.due(self.now)

    def answer(self, status=200, **more):
        self.notifier.answered(self.sent[-1].name, status, self.now, **more)
        self.work()

    def later(self, seconds):
        end = self.now + seconds
        while (timer := self.notifier.get_timer()) is not None and timer <= end:
            self.now = max(self.now, timer)
            self.work()
        self.now = end

    @property
    def told(self):
        return [(each.body, dict(each.fields)["subscription-state"]) for each in self.sent]


# ---- what a SUBSCRIBE asks


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("Event: message-summary\r\n", Asked("", 3600)),
        ("o: Message-Summary;id=a7\r\nExpires: 0\r\n", Asked("a7", 0)),
        ("Event: message-summary\r\nExpires: 4294967295\r\n", Asked("", MAX_SECONDS)),
        ("Event: message-summary\r\nAccept: application/*\r\n", Asked("", 3600)),
        ("", 489),
        ("Event: presence\r\n", 489),
        ("Event: message-summary.winfo\r\n", 489),
        ("Event: message-summary\r\nEvent: message-summary\r\n", 489),
        (f"Event: message-summary\r\nExpires: {MIN_SECONDS - 1}\r\n", 423),
        ("Event: message-summary\r\nExpires: soon\r\n", 400),
        ("Event: message-summary;;\r\n", 400),
        ("Event: message-summary\r\nAccept: application/pidf+xml\r\n", 406),
    ],
)
def test_what_is_asked(extra, expected):
    """RFC 6665 §4.2.1.1 and §3.1.3; RFC 3842 §3.4 for the default."""
    asked = read_subscribe(subscribe(extra), PACKAGE)
    assert (asked.status if isinstance(asked, Reply) else asked) == expected


def test_refusals_say_what_would_be_taken():
    brief = read_subscribe(subscribe("Event: message-summary\r\nExpires: 1\r\n"), PACKAGE)
    assert brief.fields == (("min-expires", "60"),)
    other = read_subscribe(subscribe("Event: dialog\r\n"), PACKAGE)
    assert other.fields == (("allow-events", "message-summary"),)


# ---- the life of a subscription


def test_a_subscriber_is_told_at_once_and_at_each_change():
    desk = Desk()
    reply = desk.open(600, b"0")
    assert (reply.status, reply.fields) == (200, (("expires", "600"),))
    desk.answer()
    desk.state(b"0")
    desk.state(b"1")
    desk.state(b"2")  # the NOTIFY is under way
    desk.answer()
    desk.answer()
    assert desk.told == [(body, "active;expires=600") for body in (b"0", b"1", b"2")]


def test_a_refresh_is_confirmed_by_a_notify_even_without_news():
    """§4.2.1.2; and its time counts anew."""
    desk = Desk()
    desk.open(600)
    desk.answer()
    desk.later(500)
    assert desk.refresh(300).status == 200
    desk.answer()
    assert desk.told[1] == (b"0", "active;expires=300")
    desk.later(299)
    assert len(desk.told) == 2
    desk.later(2)
    assert desk.told[2] == (b"0", "terminated;reason=timeout")
    desk.answer()
    assert desk.refresh(300, cseq=3).status == 481
    assert desk.notifier.get_timer() is None or len(desk.notifier) == 0


def test_expires_0_ends_it_and_on_a_new_dialog_asks_once():
    """§4.2.1.4, §4.4.3."""
    desk = Desk()
    desk.open()
    desk.answer()
    assert desk.refresh(0).fields == (("expires", "0"),)
    assert desk.told[-1] == (b"0", "terminated;reason=timeout")
    desk.answer(481)
    assert desk.open(0, b"5", call_id="poll").status == 200
    assert desk.told[-1] == (b"5", "terminated;reason=timeout")
    desk.answer()
    assert len(desk.notifier) == 0


def test_an_old_or_unknown_refresh_is_refused():
    """§12.2.2 of RFC 3261: 500 for a number that is not higher; 481 for no such dialog."""
    desk = Desk()
    desk.open(cseq=5)
    assert desk.refresh(cseq=5).status == 500
    assert desk.refresh(cseq=6, call_id="other").status == 481
    assert desk.refresh(cseq=6).status == 200


@pytest.mark.parametrize("status", sorted(GONE))
def test_an_answer_that_says_it_is_gone_ends_it(status):
    """§4.2.2: nothing more is sent there."""
    desk = Desk()
    desk.open()
    desk.answer(status)
    desk.state(b"1")
    assert len(desk.sent) == 1
    assert len(desk.notifier) == 0
    assert "anna" in desk.notifier.changed


@pytest.mark.parametrize("status", [None, 408, 500, 503])
def test_one_that_does_not_answer_is_tried_again_and_then_given_up(status):
    desk = Desk()
    desk.open(MAX_SECONDS)
    times = [desk.now]
    for _ in RETRY_SECONDS:
        desk.answer(status)
        before = len(desk.sent)
        while len(desk.sent) == before:
            desk.now = desk.notifier.get_timer()
            desk.work()
        times.append(desk.now)
    assert [later - times[i] for i, later in enumerate(times[1:])] == list(RETRY_SECONDS)
    desk.answer(status)
    assert len(desk.notifier) == 0


def test_retry_after_is_heeded():
    desk = Desk()
    desk.open()
    desk.answer(503, wait=50)
    desk.later(49)
    assert len(desk.sent) == 1
    desk.later(2)
    assert len(desk.sent) == 2


def test_a_number_that_is_gone_ends_its_subscriptions():
    desk = Desk()
    desk.open()
    desk.notifier.end(NUMBER)
    desk.answer()  # the first NOTIFY was under way
    assert desk.told[-1] == (b"0", "terminated;reason=noresource")
    desk.answer()
    assert len(desk.notifier) == 0


def test_a_crowd_pushes_the_oldest_out():
    """A telephone that reboots for ever must not fill our memory."""
    desk = Desk()
    for index in range(MAX_OF_RESOURCE + 1):
        desk.open(call_id=f"call-{index}")
        desk.answer()
        desk.later(1)
    assert len(desk.notifier) == MAX_OF_RESOURCE
    ended = [each for each in desk.sent if "terminated" in dict(each.fields)["subscription-state"]]
    assert [each.dialog.call_id for each in ended] == ["call-0"]


def test_the_event_id_is_echoed():
    desk = Desk()
    desk.notifier.open(
        subscribe("Event: message-summary;id=9\r\n"),
        Asked("9", 60),
        desk.now,
        tag="ours",
        source=SOURCE,
        resource=NUMBER,
        owner="anna",
        state=b"0",
    )
    desk.work()
    assert dict(desk.sent[0].fields)["event"] == "message-summary;id=9"


# ---- records


def test_a_subscription_outlives_the_process():
    """The same dialog and end, by the time of day; numbers beyond all that were used."""
    desk = Desk()
    desk.open(600, extra="Event: message-summary\r\nRecord-Route: <sip:192.0.2.10;lr>\r\n")
    desk.answer()
    (record,) = json.loads(json.dumps(desk.notifier.records("anna", desk.now, TODAY)))
    later = TODAY + timedelta(seconds=100)
    restored = from_record(record, owner="anna", wanted=b"7", now=5.0, today=later)
    assert restored.expires_at == pytest.approx(505.0)
    assert restored.dialog.route_set == ("<sip:192.0.2.10;lr>",)
    fresh = Desk()
    fresh.now = 5.0
    fresh.notifier.adopt(restored)
    fresh.work()
    assert fresh.told == [(b"7", "active;expires=500")]
    fresh.answer()
    assert fresh.refresh(cseq=2).status == 200
    number = fresh.sent[-1].dialog.request("NOTIFY", "v", "c").cseq.number
    assert number > 100_000


def test_one_that_ended_while_we_were_down_is_told_so():
    desk = Desk()
    desk.open(600)
    (record,) = desk.notifier.records("anna", desk.now, TODAY)
    late = TODAY + timedelta(hours=1)
    fresh = Desk()
    fresh.notifier.adopt(from_record(record, owner="anna", wanted=b"7", now=1000.0, today=late))
    fresh.work()
    assert fresh.told[-1][1] == "terminated;reason=timeout"


def example() -> dict[str, Any]:
    desk = Desk()
    desk.open()
    return to_record(desk.notifier.of(NUMBER)[0], desk.now, TODAY)


RECORD = example()


@given(
    st.sampled_from(sorted(RECORD)),
    st.one_of(st.none(), st.integers(), st.text(max_size=20), st.lists(st.integers(), max_size=3)),
)
def test_no_record_breaks_the_start(key, value):
    """A record that was tampered with is read or refused, nothing else."""
    with suppress(InvalidError):
        from_record(RECORD | {key: value}, owner="anna", wanted=b"", now=0.0, today=TODAY)


ACTIONS = st.one_of(
    st.tuples(st.just("state"), st.sampled_from([b"0", b"1", b"2"])),
    st.tuples(st.just("answer"), st.sampled_from([200, 200, 500, 503, None])),
    st.tuples(st.just("refresh"), st.sampled_from([60, 600])),
    st.tuples(st.just("pass"), st.floats(0, 100)),
)


@settings(max_examples=200)
@given(st.lists(ACTIONS, max_size=30))
def test_while_it_lives_its_last_notify_is_right(actions):
    """Any order of changes, answers, refreshes and time: the last NOTIFY taken says what is so."""
    desk, wanted, answered, cseq = Desk(), b"0", 0, 1
    desk.open(MAX_SECONDS)
    for action, value in actions:
        if action == "state":
            wanted = value
            desk.state(value)
        elif action == "answer" and len(desk.sent) > answered:
            answered += 1
            assert len(desk.sent) == answered  # never two under way
            desk.answer(value)
        elif action == "refresh":
            cseq += 1
            desk.refresh(MAX_SECONDS, cseq=cseq)
        elif action == "pass":
            desk.later(value)
    for _ in range(5):
        while len(desk.sent) > answered:
            answered += 1
            desk.answer()
        desk.later(RETRY_SECONDS[-1])
    if len(desk.notifier):
        assert desk.sent[-1].body == wanted
    else:
        assert actions.count(("answer", 500)) + actions.count(("answer", 503)) + actions.count(
            ("answer", None)
        ) > len(RETRY_SECONDS)


# ---- at the endpoint


def test_a_subscribe_is_offered_once_and_its_answer_repeated():
    """§17.2.2 of RFC 3261; the 200 names us and the routes, so that the dialog stands."""
    bench = Bench()
    extra = "Event: message-summary\r\nRecord-Route: <sip:192.0.2.10;lr>\r\n"
    data = request("SUBSCRIBE", extra=extra)
    assert bench.receive(data) == []
    assert bench.receive(data) == []
    (offered,) = bench.events()
    assert isinstance(offered, RequestOffered)
    bench.endpoint.respond(offered.name, 200, "OK", bench.now, fields=(("expires", "60"),))
    assert bench.sent() == ["200 SUBSCRIBE"]
    assert "Expires: 60\r\n" in bench.last
    assert "Record-Route: <sip:192.0.2.10;lr>\r\n" in bench.last
    assert "Contact: <sip:um@192.0.2.1:5070>\r\n" in bench.last
    assert tag_of(bench.last) == offered.tag
    assert bench.receive(data) == ["200 SUBSCRIBE"]
    assert bench.events() == []
    bench.endpoint.respond(offered.name, 404, "Not Found", bench.now)  # too late
    assert bench.sent() == []


def test_a_draining_endpoint_sends_subscribers_away_for_a_while():
    bench = Bench()
    bench.endpoint.draining = True
    assert bench.receive(request("SUBSCRIBE", extra="Event: message-summary\r\n")) == [
        "503 SUBSCRIBE"
    ]
    assert "Retry-After: 30\r\n" in bench.last


def outgoing(bench):
    """A NOTIFY of ours is sent."""
    hop = Hop("UDP", CORE)
    fields = (
        ("via", bench.endpoint.new_via(hop)),
        ("from", "<sip:um@192.0.2.1>;tag=a"),
        ("to", "<sip:core@192.0.2.10>"),
        ("call-id", "x"),
        ("cseq", "1 NOTIFY"),
    )
    notify = parse_message(request("NOTIFY"))
    bench.endpoint.send_request(
        "me",
        type(notify)(type(notify.headers)(fields), b"", "NOTIFY", "sip:core@192.0.2.10"),
        hop,
        bench.now,
    )
    assert bench.sent() == ["NOTIFY"]


def response(bench, status):
    lines = [
        line
        for line in bench.last.split("\r\n")
        if line.split(":")[0] in {"Via", "From", "To", "Call-ID", "CSeq"}
    ]
    text = "\r\n".join([f"SIP/2.0 {status} x", *lines, "Content-Length: 0\r\n\r\n"])
    return text.encode()


def test_a_request_of_ours_gets_one_final_answer():
    """Provisional ones are not told, repeated ones neither."""
    bench = Bench()
    outgoing(bench)
    provisional, final = response(bench, 100), response(bench, 202)
    bench.receive(provisional)
    assert bench.events() == []
    bench.receive(final)
    (answered,) = bench.events()
    assert isinstance(answered, RequestAnswered)
    assert (answered.owner, answered.response.status) == ("me", 202)
    bench.receive(final)
    assert bench.events() == []


def test_a_request_that_nobody_answers_is_over_after_32_seconds():
    """Timer F; sent again meanwhile by timer E."""
    bench = Bench()
    outgoing(bench)
    assert [at for at, _ in bench.later(20)] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5]
    assert bench.events() == []
    bench.later(13)
    assert bench.events() == [RequestAnswered("me", None)]

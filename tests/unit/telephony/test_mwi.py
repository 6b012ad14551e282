"""The parts of message waiting that have no dialog: body, bursts, what a core was told."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from um.core.errors import InvalidError
from um.core.ids import E164, AccountId
from um.core.waiting import Lamp, Waiting
from um.telephony.mwi import summary
from um.telephony.mwi_burst import CEILING_SECONDS, QUIET_SECONDS, Bursts
from um.telephony.mwi_requests import (
    Sender,
    notification,
    parse_target,
    ping,
    retry_after,
)
from um.telephony.mwi_target import (
    PING,
    PING_SECONDS,
    RATE,
    REFRESH_SECONDS,
    SUSPECT_SECONDS,
    WINDOW,
    Ping,
    Target,
)
from um.telephony.sip.layer import Hop
from um.telephony.sip.message import Headers, Response
from um.telephony.sip.parser import parse_message

ANNA = AccountId("a" * 32)
SENDER = Sender("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;rport", "<sip:um@192.0.2.1>", "c", "t")


def lamp(new=0, old=0, *, number=1, fax=0):
    return Lamp(E164(f"+1555123{number:04}"), ANNA, Waiting(new, old), Waiting(fax))


def test_the_body_has_the_four_lines():
    """RFC 3842 §5.2, with the fax line that no open-source peer writes."""
    waiting = Lamp(E164("+15551230001"), ANNA, Waiting(2, 8, 1, 0), Waiting(0, 3))
    assert summary(waiting, "um.example.net") == (
        b"Messages-Waiting: yes\r\n"
        b"Message-Account: sip:+15551230001@um.example.net\r\n"
        b"Voice-Message: 2/8 (1/0)\r\n"
        b"Fax-Message: 0/3 (0/0)\r\n"
    )
    assert summary(lamp(0, 5), "d").startswith(b"Messages-Waiting: no\r\n")
    assert summary(lamp(fax=1), "d").startswith(b"Messages-Waiting: yes\r\n")


# ---- bursts


def test_a_burst_is_one():
    """Changes closer than the quiet time are told of once, after the last."""
    bursts: Bursts[str] = Bursts()
    for step in range(3):
        bursts.touch("a", step * 0.1)
    bursts.touch("b", 0.0)
    assert bursts.get_timer() == pytest.approx(QUIET_SECONDS)
    assert bursts.due(QUIET_SECONDS) == ["b"]
    assert bursts.due(0.2 + QUIET_SECONDS - 0.01) == []
    assert bursts.due(0.2 + QUIET_SECONDS) == ["a"]
    assert bursts.get_timer() is None


@given(st.lists(st.floats(0.0, 0.3), min_size=1, max_size=40))
def test_no_burst_waits_longer_than_the_ceiling(gaps):
    """However the changes come, each is told of within the ceiling."""
    bursts: Bursts[str] = Bursts()
    now, oldest = 0.0, None
    for gap in gaps:
        now += gap
        while (timer := bursts.get_timer()) is not None and timer <= now:
            assert bursts.due(timer) == ["a"]
            assert oldest is not None
            assert timer - oldest <= CEILING_SECONDS + 1e-9
            oldest = None
        bursts.touch("a", now)
        oldest = now if oldest is None else oldest
    last = bursts.get_timer()
    assert last is not None
    assert last - now <= QUIET_SECONDS + 1e-9


# ---- requests


def test_a_target_without_a_user_is_asked_for_the_number():
    """So a proxy can find the number's telephones; a target with one is taken as it is."""
    place = parse_target("sip:192.0.2.7:5062")
    assert place.hop == Hop("UDP", ("192.0.2.7", 5062))
    sent = parse_message(notification(place, lamp(1), "um.example.net", SENDER).encode())
    assert sent.uri == "sip:+15551230001@192.0.2.7:5062"
    assert sent.to.uri.text == sent.uri
    assert sent.from_.uri.text == "sip:+15551230001@um.example.net"
    assert sent.headers.get("event") == "message-summary"
    assert sent.headers.get("subscription-state") == "active"
    named = parse_target("sip:mwi@[2001:db8::7];transport=udp")
    assert named.hop == Hop("UDP", ("2001:db8::7", 5060))
    sent = parse_message(notification(named, lamp(1), "um.example.net", SENDER).encode())
    assert sent.uri == "sip:mwi@[2001:db8::7];transport=udp"
    assert parse_message(ping(named, "um.example.net", SENDER).encode()).method == "OPTIONS"


@pytest.mark.parametrize("text", ["", "pbx", "tel:+1", "sip:192.0.2.7;transport=sctp", "sip:a b@c"])
def test_a_target_that_cannot_be_reached_is_refused(text):
    with pytest.raises(InvalidError):
        parse_target(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, 0), ("5", 5), ("18000;duration=3600", 3600), ("7 (soon)", 7), ("x", 0), ("-1", 0)],
)
def test_retry_after_is_read_or_nothing(value, seconds):
    fields = () if value is None else (("retry-after", value),)
    assert retry_after(Response(Headers(fields), b"", 503, "x")) == seconds


# ---- what a core was told


class Core:
    """A core on the bench: answers or not, forgets when it restarts."""

    def __init__(self):
        self.now = 100.0
        self.target = Target()
        self.flying = []
        self.knows = {}
        self.sent = []
        self.pings = 0

    def work(self):
        for each in self.target.due(self.now):
            if isinstance(each, Ping):
                self.pings += 1
            else:
                self.sent.append(each)
                assert each.number not in {other.number for other in self.flying}
                self.flying.append(each)
        return self

    def want(self, each, **more):
        self.target.want(each, self.now, **more)
        return self.work()

    def answer(self, status=200, **more):
        """The oldest NOTIFY under way is answered."""
        each = self.flying.pop(0)
        if status is not None and status < 300:
            self.knows[each.number] = each
        self.target.answered(each.number, status, self.now, **more)
        return self.work()

    def until(self, end, status=200):
        """Let time pass; NOTIFYs are answered at once and pings never unless `status` is given."""
        while (timer := self.target.get_timer()) is not None and timer <= end:
            self.now = max(self.now, timer)
            pings = self.pings
            self.work()
            while self.flying:
                self.answer(status)
            if self.pings > pings:
                self.target.ping_answered(200, self.now)
        self.now = end


def test_a_change_is_told_once():
    """And not again while nothing changes, not even if it is said again."""
    core = Core().want(lamp(1)).answer()
    core.want(lamp(1))
    core.until(core.now + 60)
    assert core.sent == [lamp(1)]
    assert core.target.settled
    core.want(lamp(0, 1))
    assert core.sent == [lamp(1), lamp(0, 1)]


def test_changes_meanwhile_are_told_as_one():
    """One NOTIFY under way a number; what changed since is told after its answer, once."""
    core = Core().want(lamp(1)).want(lamp(2)).want(lamp(3))
    assert core.sent == [lamp(1)]
    core.answer()
    assert core.sent == [lamp(1), lamp(3)]
    # Back to what the core took: nothing more to say.
    core.want(lamp(1)).want(lamp(3)).answer()
    assert core.sent == [lamp(1), lamp(3)]


def test_a_lost_answer_may_hide_that_it_was_taken():
    """The core may show what it never confirmed: even the old state is told again."""
    core = Core().want(lamp(1)).answer().want(lamp(2)).want(lamp(1)).answer(None)
    core.until(core.now + 5)
    assert core.sent[-1] == lamp(1)
    assert len(core.sent) == 3


def test_a_core_that_is_away_is_tried_one_by_one_and_then_told_everything():
    """32 s without an answer: one try at a time, at growing intervals; then all lamps."""
    core = Core()
    for number in range(20):
        core.want(lamp(1, number=number))
    assert len(core.flying) == WINDOW
    core.now += 32
    while core.flying:
        core.answer(None)
    assert core.target.away
    tries = []
    for _ in range(6):
        core.now = core.target.get_timer()
        core.work()
        assert len(core.flying) == 1
        tries.append(core.now)
        core.now += 32
        core.answer(None)
    gaps = [later - earlier - 32 for earlier, later in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > gaps[0]
    core.until(core.now + 40)
    assert not core.target.away
    assert set(core.knows.values()) == {lamp(1, number=number) for number in range(20)}


def test_a_core_that_says_503_is_left_alone_as_long_as_it_asks():
    core = Core().want(lamp(1)).answer(503, wait=20)
    core.until(core.now + 19.9)
    assert len(core.sent) == 1
    core.until(core.now + 1)
    assert core.knows == {lamp(1).number: lamp(1)}


def test_a_silent_core_is_asked_whether_it_is_there():
    """A ping that is not answered after others were: it is away, and has forgotten."""
    core = Core().want(lamp(1)).answer()
    core.now += PING_SECONDS
    assert core.target.due(core.now) == [PING]
    core.target.ping_answered(404, core.now)  # any answer is one
    core.now += PING_SECONDS
    assert core.target.due(core.now) == [PING]
    core.target.ping_answered(None, core.now + 32)
    core.now += 32
    assert core.target.away
    core.until(core.now + 10)
    assert core.sent == [lamp(1), lamp(1)]


def test_a_core_that_never_answers_pings_is_not_away():
    core = Core().want(lamp(1)).answer()
    core.now += PING_SECONDS
    assert core.target.due(core.now) == [PING]
    core.target.ping_answered(None, core.now + 32)
    assert not core.target.away
    assert core.target.settled


def test_a_late_answer_is_a_restart_perhaps():
    """It took two retransmissions: everything is told again, but not more often than in 30 s."""
    core = Core().want(lamp(1)).answer()
    core.now += PING_SECONDS
    core.work()
    core.target.ping_answered(200, core.now, took=SUSPECT_SECONDS + 0.1)
    core.until(core.now + 20)
    assert len(core.sent) == 1
    core.until(core.now + 20)
    assert len(core.sent) == 2


def test_a_broken_connection_is_a_restart_perhaps():
    """It may have come back before the next ping: all again, within 30 s of the last round."""
    core = Core().want(lamp(1)).answer()
    core.until(core.now + 31)
    sent = len(core.sent)
    core.target.suspect(core.now)
    core.until(core.now + 0.1)
    assert len(core.sent) == sent + 1
    core.target.suspect(core.now)
    core.until(core.now + 20)
    assert len(core.sent) == sent + 1


def test_a_refused_number_is_tried_again_ever_later():
    """Another number is none the worse for it; a change is tried at once."""
    core = Core().want(lamp(1)).answer(404)
    core.want(lamp(1, number=2)).answer()
    start = core.now
    core.until(start + 100, status=404)
    first = [each for each in core.sent if each.number == lamp(1).number]
    assert 3 <= len(first) <= 6
    count = len(core.sent)
    core.want(lamp(2)).answer()
    assert len(core.sent) == count + 1


def test_everything_is_told_again_now_and_then():
    """A restart that no ping noticed costs at most so long."""
    core = Core().want(lamp(1)).answer()
    core.until(core.now + REFRESH_SECONDS + 1)
    assert core.sent == [lamp(1)] * 2


def test_a_number_that_serves_no_more_goes_dark_and_is_forgotten():
    core = Core().want(lamp(1)).answer()
    core.want(lamp(0), gone=True).answer()
    assert core.knows[lamp().number] == lamp(0)
    core.until(core.now + REFRESH_SECONDS * 2)
    assert len(core.sent) == 2
    assert Core().want(lamp(0), gone=True).sent == []


def test_a_full_round_leaves_room():
    """Not more than RATE a second, and a change is told before the rest of the round."""
    core = Core()
    for number in range(1000):
        core.want(lamp(1, number=number))
    start = core.now
    while core.flying:
        core.answer()
    core.until(start + 1)
    assert len(core.sent) <= RATE + 60
    core.want(lamp(7, number=999))
    core.until(start + 1.1)
    assert core.knows[lamp(number=999).number] == lamp(7, number=999)
    core.until(start + 10)
    assert len(core.knows) == 1000


ACTIONS = st.one_of(
    st.tuples(st.just("want"), st.integers(0, 3), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("answer"), st.sampled_from([200, 202, 404, 480, 500, 503, None, "lost"])),
    st.tuples(st.just("pass"), st.floats(0, 40)),
    st.tuples(st.just("ping"), st.sampled_from([200, 404, 503, None])),
)


@settings(max_examples=300)
@given(st.lists(ACTIONS, max_size=40))
def test_whatever_happens_the_last_word_is_right(actions):
    """Any order of changes, answers, silences and time: in the end the core knows what is so."""
    core, wanted = Core(), {}
    for action, *values in actions:
        if action == "want":
            number, new, gone = values
            each = lamp(0 if gone else new, number=number)
            if not gone or each.number in wanted:
                wanted[each.number] = each
            core.want(each, gone=gone)
        elif action == "answer" and core.flying:
            status = values[0]
            if status == "lost":  # taken, but its answer never came
                core.knows[core.flying[0].number] = core.flying[0]
                status = None
            core.answer(status, took=1.0)
        elif action == "pass":
            core.now += values[0]
            core.work()
        elif action == "ping" and core.pings:
            core.pings -= 1
            core.target.ping_answered(values[0], core.now)
    while core.flying:
        core.answer()
    core.until(core.now + REFRESH_SECONDS)
    assert core.knows == wanted
    assert core.target.settled

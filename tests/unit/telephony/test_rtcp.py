"""RTCP (RFC 3550 §6): reports out and in, what they say, and what hostile ones cannot do."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_bench import CountedMetrics
from tests.support.telephone_rtp import Impairments, RtpSender, tone
from um.telephony.offer import Agreed
from um.telephony.rtp.g711 import G711
from um.telephony.rtp.packet import RtpError, RtpPacket
from um.telephony.rtp.reception import Reception
from um.telephony.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    description,
    middle,
    ntp_time,
    parse_compound,
)
from um.telephony.rtp.session import MediaLost, RtpSession
from um.telephony.rtp.speaker import StreamState

PHONE = ("192.0.2.10", 40_000)
REPORTS = ("192.0.2.10", 40_001)
OURS = 77

block = st.builds(
    ReportBlock,
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.integers(-(2**23), 2**23 - 1),
    *[st.integers(0, 2**32 - 1)] * 4,
)
blocks = st.lists(block, max_size=3).map(tuple)
word = st.integers(0, 2**32 - 1)
report = (
    st.builds(SenderReport, word, st.integers(0, 2**64 - 1), word, word, word, blocks)
    | st.builds(ReceiverReport, word, blocks)
    | st.builds(Goodbye, st.lists(word, max_size=4).map(tuple))
)


class Bed:
    """A session with its clock; reports are read."""

    def __init__(self, **changes):
        facts = {"sends": True, "receives": True, "rtcp": None}
        agreed = Agreed(PHONE, G711.numbered(0), 0, 101, 20, **{**facts, **changes})
        self.now, self.reports, self.metrics = 1000.0, [], CountedMetrics()
        self.session = RtpSession(
            agreed,
            core=PHONE[0],
            stream=StreamState(1, 2, OURS),
            now=self.now,
            metrics=self.metrics,
        )

    def tick(self, count=1, *, sender=None):
        for _ in range(count):
            for data in sender.frame(tone(440, 0.02)) if sender else ():
                self.session.receive_datagram(data, PHONE, self.now)
            self.now += 0.02
            self.session.tick(self.now)
            self.session.datagrams_to_send()
            self.reports += [(self.now, *each) for each in self.session.reports_to_send()]

    def events(self):
        events = []
        while (event := self.session.next_event()) is not None:
            events.append(event)
        return events


@given(st.lists(report, min_size=1, max_size=4))
def test_what_is_encoded_is_read_again(reports):
    data = b"".join(each.encode() for each in reports)
    assert parse_compound(data) == reports


@given(
    st.binary(max_size=120) | st.binary(max_size=80).map(lambda tail: b"\x81\xc9\x00\x07" + tail)
)
def test_any_octets_give_reports_or_the_one_error(data):
    try:
        parse_compound(data)
    except RtpError:
        return


@pytest.mark.parametrize("cut", range(1, 52))
def test_a_truncated_report_is_refused(cut):
    """Lengths that lie never reach beyond the datagram."""
    whole = SenderReport(1, 2, 3, 4, 5, (ReportBlock(6, 7, 8, 9, 10),)).encode()
    with pytest.raises(RtpError):
        parse_compound(whole[:-cut])


def test_what_means_nothing_to_us_is_passed_over():
    """Descriptions, feedback, extended reports."""
    feedback = b"\x81\xcd\x00\x02" + bytes(8)
    data = description(5) + feedback + Goodbye((5,)).encode()
    assert parse_compound(data) == [Goodbye((5,))]


def test_reports_leave_about_every_five_seconds_to_the_port_above():
    """Half to one and a half of 5 s (§6.2), sender reports with a description each."""
    bed, sender = Bed(), RtpSender(0)
    bed.tick(50 * 60, sender=sender)
    times = [at for at, _, _ in bed.reports]
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert all(2.5 <= pause <= 7.6 for pause in pauses)
    assert 8 <= len(times) <= 20
    assert len({round(pause, 1) for pause in pauses}) > 3
    assert {place for _, _, place in bed.reports} == {REPORTS}
    (first, *_) = parse_compound(bed.reports[-1][1])
    assert isinstance(first, SenderReport)
    assert first.ssrc == OURS
    assert first.octets == 160 * first.packets
    (about,) = first.blocks
    assert (about.ssrc, about.lost, about.fraction_lost) == (sender.ssrc, 0, 0)
    assert b"\x81\xca" in bed.reports[-1][1]


def test_reports_go_where_the_description_says():
    """a=rtcp (RFC 3605)."""
    bed = Bed(rtcp=("192.0.2.10", 53_020))
    bed.tick(500, sender=RtpSender(0))
    assert {place for _, _, place in bed.reports} == {("192.0.2.10", 53_020)}


def test_loss_and_jitter_are_reported():
    """A tenth lost: in the fraction, the count and the statistics."""
    bed, sender = Bed(), RtpSender(0, Impairments(loss=0.1, seed=4))
    bed.tick(1000, sender=sender)
    (first, *_) = parse_compound(bed.reports[-1][1])
    (about,) = first.blocks
    assert 10 <= about.fraction_lost <= 45
    assert 60 <= bed.session.statistics.lost <= 140


def test_one_who_only_listens_reports_as_a_receiver():
    bed = Bed(sends=False)
    bed.tick(500, sender=RtpSender(0))
    assert isinstance(parse_compound(bed.reports[0][1])[0], ReceiverReport)


def test_nothing_is_reported_before_anything_flows():
    bed = Bed(sends=False)
    bed.tick(1000)
    assert bed.reports == []


def test_the_end_is_told():
    """§6.6: a report, then BYE."""
    bed = Bed()
    bed.tick(10, sender=RtpSender(0))
    bed.session.finish(bed.now)
    ((data, place),) = bed.session.reports_to_send()
    assert place == REPORTS
    assert parse_compound(data)[-1] == Goodbye((OURS,))


def test_their_report_tells_of_our_stream():
    """§6.4.1: what they lost, and the time there and back."""
    bed, sender = Bed(), RtpSender(0)
    bed.tick(50 * 8, sender=sender)
    (at, data, _) = bed.reports[0]
    (ours, *_) = parse_compound(data)
    bed.now = at + 0.35
    about = ReportBlock(OURS, 0, 12, 0, 0, middle(ours.ntp), int(0.3 * 65_536))
    theirs = SenderReport(sender.ssrc, ntp_time(5.0), 0, 1, 1, (about,))
    bed.session.receive_report(theirs.encode(), REPORTS, bed.now)
    facts = bed.session.statistics
    assert facts.remote_lost == 12
    assert facts.round_trip_ms == pytest.approx(50, abs=2)
    bed.now += 1.0
    bed.reports.clear()
    bed.tick(400, sender=sender)
    (at, data, _) = bed.reports[0]
    (answer,) = parse_compound(data)[0].blocks
    assert answer.last_report == middle(theirs.ntp)
    assert answer.delay / 65_536 == pytest.approx(at - (bed.now - 400 * 0.02) + 1.0, abs=0.01)


def test_a_report_is_a_sign_of_life_and_nothing_else():
    """A muted listener is not lost; reports from strangers and rubbish are dropped and counted."""
    bed, sender = Bed(), RtpSender(0)
    bed.tick(10, sender=sender)
    alive = ReceiverReport(sender.ssrc).encode()
    for _ in range(4):
        bed.tick(50 * 20)
        bed.session.receive_report(alive, REPORTS, bed.now)
    assert MediaLost() not in bed.events()
    remote = bed.session.remote
    for _ in range(2):
        bed.tick(50 * 20)
        bed.session.receive_report(alive, ("203.0.113.9", 40_001), bed.now)
        bed.session.receive_report(b"\x80\xc8\x00\x99", REPORTS, bed.now)
    assert MediaLost() in bed.events()
    assert bed.session.remote == remote
    assert bed.metrics.counts["rtcp_foreign_packets"] == 2
    assert bed.metrics.counts["rtcp_malformed_packets"] == 2


def test_after_a_goodbye_the_next_stream_is_heard_at_once():
    """BYE of the present SSRC: no probation for its successor. It does not end the call."""
    bed, sender = Bed(), RtpSender(0)
    bed.tick(10, sender=sender)
    bed.session.receive_report(Goodbye((sender.ssrc,)).encode(), REPORTS, bed.now)
    bed.events()
    bed.tick(1, sender=RtpSender(0))
    assert bed.events()


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(0, 65_535))
def test_reception_counts_over_the_wrap(steps, first):
    """A.1, A.3: expected is the span of the extended numbers, lost the rest."""
    numbers = [first]
    for step in steps:
        numbers.append(numbers[-1] + step)
    packets = [RtpPacket(0, False, n % 65_536, 160 * n % 2**32, 1, b"") for n in numbers]
    reception = Reception.of(packets[0])
    for each, number in zip(packets, numbers, strict=True):
        reception.count(each, number * 0.02, timed=True)
    assert reception.expected == numbers[-1] - first + 1
    assert reception.lost == reception.expected - len(numbers)
    assert 0 <= reception.interval_fraction_lost() <= 255

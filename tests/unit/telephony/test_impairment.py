"""A bad line at the engine, with a clock moved by hand: true length, each key once, no crash."""

import bisect
import heapq
import itertools
from array import array

import pytest

from tests.support.relay import Network, Profile
from tests.support.sip_bench import CountedMetrics
from tests.support.telephone_rtp import RtpSender, tone
from um.telephony.beats import EASE_BEATS
from um.telephony.offer import Agreed
from um.telephony.rtp.g711 import G711
from um.telephony.rtp.session import Audio, Digit, RtpSession
from um.telephony.rtp.speaker import StreamState

PHONE = ("192.0.2.10", 40_000)
KEYS = "159*#0D2"
SECONDS = 20.0


def carried(profile, ticks):
    """Arrivals of packets that are sent every 20 ms, in order of time."""
    network, arrivals, numbers = Network(profile), [], itertools.count()
    for number, packets in enumerate(ticks):
        for data in packets:
            for at, each in network.carry(data, 0.02 * number):
                heapq.heappush(arrivals, (at, next(numbers), each))
    return [heapq.heappop(arrivals) for _ in range(len(arrivals))]


def heard_through(profile, ticks, *, after=0.5, look=1):
    """Samples and keys that the engine tells of; what came is taken in every `look`-th beat."""
    agreed = Agreed(PHONE, G711.numbered(0), 0, 101, 20, sends=True, receives=True)
    session = RtpSession(
        agreed, core=PHONE[0], stream=StreamState(1, 2, 3), now=0.0, metrics=CountedMetrics()
    )
    arrivals, heard, keys, now = carried(profile, ticks), [], "", 0.0
    end = 0.02 * len(ticks) + after
    while now < end:
        now = round(now + 0.02 * look, 6)
        come = bisect.bisect_left(arrivals, (now,))
        session.speak(look)
        session.receive([(data, PHONE, at) for at, _, data in arrivals[:come]])
        del arrivals[:come]
        session.listen(now)
    session.finish(now)
    while (event := session.next_event()) is not None:
        if isinstance(event, Audio):
            heard.append(event.samples)
        elif isinstance(event, Digit):
            keys += event.digit
    return b"".join(heard), keys, session.statistics


def script(seconds=SECONDS, keys=KEYS):
    """Speech with pauses, the keys in its middle; a list of packets for each 20 ms."""
    sender, ticks = RtpSender(0, sequence=65_000, timestamp=2**32 - 40_000), []

    def speak(length):
        loud = tone(440, 0.02)
        frames = range(round(length / 0.02))
        ticks.extend(sender.frame(loud if number % 50 < 35 else b"") for number in frames)

    keyed = 0.2 * len(keys)
    speak((seconds - keyed) / 2)
    for key in keys:
        ticks.extend(sender.press(key))
        ticks.extend(sender.frame(b"") for _ in range(5))
    speak((seconds - keyed) / 2)
    return ticks


def events_of(profile, ticks, *, short_way):
    """All that the engine tells, with its statistics."""
    agreed = Agreed(PHONE, G711.numbered(0), 0, 101, 20, sends=True, receives=True, noise_type=13)
    session = RtpSession(
        agreed, core=PHONE[0], stream=StreamState(1, 2, 3), now=0.0, metrics=CountedMetrics()
    )
    if not short_way:
        session._follows = lambda *_: False
    told, arrivals = [], carried(profile, ticks)
    for number in range(len(ticks) + 50):
        while arrivals and arrivals[0][0] <= 0.02 * number:
            session.receive_datagram(arrivals.pop(0)[2], PHONE, 0.02 * number)
        session.tick(0.02 * number)
        while (event := session.next_event()) is not None:
            told.append((number, event))
    session.finish(0.02 * (len(ticks) + 50))
    return told, session.statistics, session.reports_to_send()


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize(
    "profile",
    [
        Profile(),
        Profile(loss=0.02, reorder=0.02, duplicate=0.02),
        Profile(loss=0.05, jitter_seconds=0.1, new_ssrc_after=400),
        Profile(jitter_seconds=0.01, stall_at=3.0, stall_seconds=1.7),
    ],
)
def test_the_short_way_leads_where_the_long_way_leads(profile, seed):
    """Every event, in the same 20 ms, and every figure of the reports."""
    facts = {each: getattr(profile, each) for each in Profile.__slots__}
    profile, ticks = Profile(**{**facts, "seed": seed}), script()
    assert events_of(profile, ticks, short_way=True) == events_of(profile, ticks, short_way=False)


PROFILES = {
    "perfect": Profile(),
    "loss 1": Profile(loss=0.01),
    "loss 3": Profile(loss=0.03),
    "loss 5": Profile(loss=0.05),
    "loss 7": Profile(loss=0.07),
    "loss 10": Profile(loss=0.10),
    "loss 5 in bursts": Profile(loss=0.05, burst=3),
    "loss 10 in bursts": Profile(loss=0.10, burst=6),
    "reorder 1": Profile(reorder=0.2, reorder_by=1),
    "reorder 5": Profile(reorder=0.2, reorder_by=5),
    "jitter 50": Profile(jitter_seconds=0.05),
    "jitter 200": Profile(jitter_seconds=0.2),
    "duplicates": Profile(duplicate=0.02),
    "new SSRC": Profile(new_ssrc_after=300),
    "new SSRC, jitter 100": Profile(new_ssrc_after=300, jitter_seconds=0.1),
    "all at 5": Profile(
        loss=0.05, reorder=0.1, jitter_seconds=0.2, duplicate=0.02, new_ssrc_after=250
    ),
    "all at 10": Profile(
        loss=0.10, reorder=0.2, jitter_seconds=0.2, duplicate=0.02, new_ssrc_after=250
    ),
}


@pytest.mark.parametrize("look", [1, EASE_BEATS])
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("name", PROFILES)
def test_a_bad_line_keeps_length_and_keys(name, seed, look):
    """Within 2 % or 100 ms; keys exact up to 5 % loss, never one too many; also at ease."""
    facts = {each: getattr(PROFILES[name], each) for each in Profile.__slots__}
    profile = Profile(**{**facts, "seed": seed})
    after = profile.jitter_seconds + 0.3
    heard, keys, _ = heard_through(profile, script(), after=after, look=look)
    error = len(heard) / 16_000 - SECONDS
    assert abs(error) <= max(0.1, 0.02 * SECONDS), f"{error * 1000:.0f} ms"
    if profile.loss <= 0.05:
        assert keys == KEYS
    else:
        assert len(keys) <= len(KEYS)


@pytest.mark.parametrize("look", [1, EASE_BEATS])
@pytest.mark.parametrize("stall", [0.3, 0.9, 1.5, 3.0])
def test_a_network_that_stands_still_and_bursts_adds_nothing(stall, look):
    """All that was said arrives late: the silence that was made up is taken back from pauses."""
    profile = Profile(stall_at=5.0, stall_seconds=stall)
    heard, keys, _ = heard_through(profile, script(), look=look)
    assert len(heard) / 16_000 == pytest.approx(SECONDS, abs=0.1)
    assert keys == KEYS
    loud = sum(
        max(map(abs, array("h", heard[at : at + 320]))) > 500 for at in range(0, len(heard), 320)
    )
    sent = sum(number % 50 < 35 for number in range(round((SECONDS - 0.2 * len(KEYS)) / 0.04))) * 2
    assert loud == pytest.approx(sent, abs=8)


def test_what_is_heard_does_not_hang_on_when_it_was_read():
    """At ease the samples are the same, octet by octet, and so is the jitter that is reported."""
    profile = Profile(jitter_seconds=0.015, seed=4)
    soon, late = (heard_through(profile, script(), look=look) for look in (1, EASE_BEATS))
    assert soon[0] == late[0]
    assert soon[2].jitter_ms == late[2].jitter_ms > 0


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_is_dead_for_a_while_is_silence(seed):
    """Two seconds of packets lost are two seconds of silence."""
    ticks = script()
    ticks[300:400] = [[] for _ in range(100)]
    heard, _, statistics = heard_through(Profile(jitter_seconds=0.05, seed=seed), ticks)
    assert len(heard) / 16_000 == pytest.approx(SECONDS, abs=0.1)
    assert statistics.lost >= 100


def test_what_was_lost_and_doubled_is_counted():
    """The statistics of the log agree with what the network did."""
    profile = Profile(loss=0.05, duplicate=0.02, seed=9)
    ticks = script(keys="")
    network = Network(profile)
    arrived = sum(
        len(network.carry(data, 0.02 * at)) for at, packets in enumerate(ticks) for data in packets
    )
    _, _, statistics = heard_through(profile, ticks)
    assert statistics.received == arrived
    assert statistics.lost == pytest.approx(network.lost, abs=2)
    assert statistics.discarded == arrived + network.lost - network.passed
    assert statistics.jitter_ms < 5

"""A caller is sent to somebody else by REFER (RFC 3515, RFC 5589 §6): transcripts, table, hostile answers."""

import asyncio
import itertools

import pytest

from tests.support.sip_bench import Bench, replied, request, tag_of
from tests.unit.telephony.test_server import House
from um.telephony.sip.events import CallEnded, End, TransferEnded
from um.telephony.sip.transfer import LONGEST_SECONDS, TRANSITIONS, Cue, Transfer, next_state

OPERATOR = "100"


def notify(tag, body, *, state="active;expires=60", cseq=2, event="refer"):
    """The core's NOTIFY of how the referred call fares."""
    extra = (
        f"Event: {event}\r\nSubscription-State: {state}\r\n"
        "Content-Type: message/sipfrag;version=2.0\r\n"
    )
    return request(
        "NOTIFY", branch=f"z9hG4bKn{cseq}", cseq=cseq, to_tag=tag, extra=extra, body=body
    )


def referred(bench):
    """A call whose REFER was accepted: its name and our tag."""
    call, tag = bench.answered()
    bench.endpoint.refer(call, OPERATOR, bench.now)
    assert bench.sent() == ["REFER"]
    assert bench.receive(replied(bench.last, 202, "Accepted")) == []
    return call, tag


def test_a_blind_transfer():
    """REFER 202, NOTIFY 200 twice; then our user may hang up."""
    bench = Bench()
    call, tag = bench.answered()
    bench.endpoint.refer(call, OPERATOR, bench.now)
    assert bench.sent() == ["REFER"]
    assert bench.last.startswith("REFER sip:core@192.0.2.10:5060 SIP/2.0\r\n")
    assert "Refer-To: <sip:100@192.0.2.10>\r\n" in bench.last
    assert "Referred-By: <sip:+15551230001@192.0.2.1>\r\n" in bench.last
    assert bench.receive(replied(bench.last, 202, "Accepted")) == []
    assert bench.receive(notify(tag, "SIP/2.0 100 Trying\r\n")) == ["200 NOTIFY"]
    assert bench.events() == []
    done = notify(tag, "SIP/2.0 200 OK\r\n", state="terminated;reason=noresource", cseq=3)
    assert bench.receive(done) == ["200 NOTIFY"]
    assert bench.events() == [TransferEnded(call, done=True, status=200)]
    bench.endpoint.hang_up(call, bench.now)
    assert bench.sent() == ["BYE"]


def test_the_notify_may_overtake_the_answer():
    """RFC 3515 §2.4.4: what the 202 says afterwards changes nothing."""
    bench = Bench()
    call, tag = bench.answered()
    bench.endpoint.refer(call, OPERATOR, bench.now)
    bench.sent()
    refer = bench.last
    assert bench.receive(notify(tag, "SIP/2.0 200 OK\r\n")) == ["200 NOTIFY"]
    assert bench.events() == [TransferEnded(call, done=True, status=200)]
    bench.receive(replied(refer, 202, "Accepted"))
    assert bench.events() == []


@pytest.mark.parametrize("status", [403, 404, 405, 501, 503, 603])
def test_a_refused_refer_leaves_the_call(status):
    """The core takes no REFER: told once, and the call goes on."""
    bench = Bench()
    call, tag = bench.answered()
    bench.endpoint.refer(call, OPERATOR, bench.now)
    bench.sent()
    bench.receive(replied(bench.last, status, "No"))
    assert bench.events() == [TransferEnded(call, done=False, status=status)]
    assert bench.receive(request("BYE", branch="z9hG4bKb", cseq=2, to_tag=tag)) == ["200 BYE"]
    assert bench.events() == [CallEnded(call, End.BYE)]


@pytest.mark.parametrize(
    ("body", "state", "status"),
    [
        ("SIP/2.0 486 Busy Here\r\n", "terminated;reason=noresource", 486),
        ("SIP/2.0 603 Decline", "active", 603),
        ("SIP/2.0 100 Trying\r\n", "terminated;reason=timeout", 100),
        ("", "terminated", 0),
        ("nonsense", "terminated", 0),
    ],
)
def test_a_referred_call_that_fails_leaves_ours(body, state, status):
    """Refused, or given up without a word (§2.4.7): told once, whatever follows."""
    bench = Bench()
    call, tag = referred(bench)
    assert bench.receive(notify(tag, body, state=state)) == ["200 NOTIFY"]
    assert bench.events() == [TransferEnded(call, done=False, status=status)]
    assert bench.receive(notify(tag, "SIP/2.0 200 OK\r\n", cseq=3)) == ["200 NOTIFY"]
    assert bench.events() == []
    assert bench.later(LONGEST_SECONDS) == []
    assert bench.events() == []


def test_a_transfer_that_is_never_told_of_ends():
    """No NOTIFY in two minutes: the caller is not left in the dark for ever."""
    bench = Bench()
    call, _ = referred(bench)
    bench.later(LONGEST_SECONDS - 1)
    assert bench.events() == []
    bench.later(2)
    assert bench.events() == [TransferEnded(call, done=False, status=0)]


def test_a_transferee_that_leaves_at_once_was_transferred():
    """RFC 5589 §6.1: BYE after the 202 is no hang-up; before it, it is one."""
    bench = Bench()
    call, tag = referred(bench)
    bench.receive(request("BYE", branch="z9hG4bKb", cseq=2, to_tag=tag))
    assert bench.events() == [CallEnded(call, End.TRANSFERRED)]
    bench = Bench()
    call, tag = bench.answered()
    bench.endpoint.refer(call, OPERATOR, bench.now)
    bench.sent()
    bench.receive(request("BYE", branch="z9hG4bKb", cseq=2, to_tag=tag))
    assert bench.events() == [CallEnded(call, End.BYE)]


def test_a_notify_that_nobody_asked_for_is_refused():
    """RFC 6665 §4.1.3: no REFER, another event, or no call at all."""
    bench = Bench()
    _, tag = bench.answered()
    assert bench.receive(notify(tag, "SIP/2.0 200 OK\r\n")) == ["481 NOTIFY"]
    bench = Bench()
    _, tag = referred(bench)
    other = notify(tag, "SIP/2.0 200 OK\r\n", event="message-summary")
    assert bench.receive(other) == ["481 NOTIFY"]
    assert bench.events() == []
    assert Bench().receive(notify("nobody", "SIP/2.0 200 OK\r\n")) == ["481 NOTIFY"]
    assert Bench().receive(request("NOTIFY", extra="Event: refer\r\n")) == ["481 NOTIFY"]


def test_a_target_may_be_a_uri_and_an_extension_any_key():
    """What the operator configured goes out as it is; `#` is escaped (RFC 3261 §25.1)."""
    for target, uri in [
        ("sip:desk@192.0.2.77;transport=tcp", "sip:desk@192.0.2.77;transport=tcp"),
        ("tel:+15550000000", "tel:+15550000000"),
        ("*9#", "sip:*9%23@192.0.2.10"),
    ]:
        bench = Bench()
        call, _ = bench.answered()
        bench.endpoint.refer(call, target, bench.now)
        bench.sent()
        assert f"Refer-To: <{uri}>\r\n" in bench.last


@pytest.mark.parametrize(("state", "cue"), list(itertools.product(Transfer, Cue)))
def test_every_state_and_cue_is_defined(state, cue):
    """What is over stays so; what is not in the table changes nothing."""
    after = next_state(state, cue)
    assert after is (state if state.over else TRANSITIONS[state, cue])


class Transferring:
    """The application's side of a transfer, in a server without a network."""

    def __init__(self, house):
        self.house, self.refused = house, 0

    def ask(self):
        self.house.application.call.transfer(OPERATOR, self.count)

    def count(self):
        self.refused += 1


def test_an_application_transfers_its_caller():
    """`transfer`, NOTIFY 200: BYE, and `ended(transferred)` once."""

    async def story():
        house = House()
        await house.up()
        side = Transferring(house)
        side.ask()
        assert house.sent() == ["REFER"]
        house.receive(replied(house.last, 202, "Accepted"))
        house.receive(notify(house.tag, "SIP/2.0 200 OK\r\n"))
        assert house.sent() == ["200 NOTIFY", "BYE"]
        assert 'Reason: Q.850;cause=16;text="Normal clearing"\r\n' in house.last
        house.reactor.pass_time(0.1)
        assert house.story == ["made", "answered", "ended transferred"]
        assert (side.refused, house.server.calls) == (0, 0)

    asyncio.run(story())


def test_an_application_goes_on_when_its_transfer_is_refused():
    """`refused` once for each try; a second transfer meanwhile is refused at once."""

    async def story():
        house = House()
        await house.up()
        side, other = Transferring(house), Transferring(house)
        side.ask()
        assert house.sent() == ["REFER"]
        refer = house.last
        other.ask()
        house.reactor.pass_time(0.01)
        assert (house.sent(), side.refused, other.refused) == ([], 0, 1)
        house.receive(replied(refer, 603, "Decline"))
        assert side.refused == 1
        side.ask()
        assert house.sent() == ["REFER"]
        house.bye()
        house.reactor.pass_time(0.1)
        assert house.story == ["made", "answered", "ended caller"]
        assert side.refused == 1

    asyncio.run(story())


def test_a_call_that_is_not_up_is_not_transferred():
    """Before the ACK there is no dialog to refer in."""

    async def story():
        house = House()
        assert await house.invite() == ["100 INVITE", "200 INVITE"]
        tag = tag_of(house.last)
        side = Transferring(house)
        side.ask()
        house.reactor.pass_time(0.01)
        assert (house.sent(), side.refused) == ([], 1)
        house.receive(request("ACK", branch="z9hG4bKack", to_tag=tag))
        assert house.story == ["made", "answered"]

    asyncio.run(story())

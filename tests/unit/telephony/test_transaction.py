"""The transaction machines: every pair of state and cue is defined, timers are the RFC's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from um.telephony.sip.transaction import (
    INITIAL,
    TRANSITIONS,
    Act,
    Cue,
    Kind,
    State,
    Transaction,
)

TIMER_CUES = {cue for cue in Cue if cue.value.startswith("timer-")}


def fed(kind, *cues, reliable=False, now=0.0):
    machine = Transaction(kind, reliable)
    for cue in cues:
        acts = machine.feed(cue, now, cue.value.encode())
    return machine, acts


def alarms(machine, until):
    """(time, acts) of every timer up to `until`."""
    happened = []
    while (timer := machine.get_timer()) is not None and timer <= until:
        happened.append((timer, machine.handle_timer(timer)))
    return happened


def resends(happened):
    return [time for time, acts in happened if Act.RESEND in acts]


@given(
    st.sampled_from(Kind),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(Cue), st.floats(0, 10)), max_size=20),
)
def test_any_cues_in_any_order_are_survived(kind, reliable, cues):
    """Nothing raises; a machine that ended stays ended, without timers."""
    machine, now = Transaction(kind, reliable), 0.0
    for cue, seconds in cues:
        now += seconds
        machine.handle_timer(now)
        machine.feed(cue, now, b"x")
        if machine.state is State.TERMINATED:
            assert machine.get_timer() is None
            assert machine.feed(cue, now) == ()


@pytest.mark.parametrize("kind", Kind)
def test_every_machine_comes_to_its_end(kind):
    """Left alone after its first answer, no transaction lives on (no leak)."""
    first = Cue.REQUEST if kind in {Kind.INVITE_CLIENT, Kind.CLIENT} else Cue.FAILURE
    machine, _ = fed(kind, first)
    alarms(machine, 1000)
    assert machine.state is State.TERMINATED


@pytest.mark.parametrize("kind", Kind)
def test_every_state_in_the_table_is_reached(kind):
    """The table holds no dead rows."""
    reached, frontier = {INITIAL[kind]}, [INITIAL[kind]]
    while frontier:
        here = frontier.pop()
        for (state, _), (following, _, _) in TRANSITIONS[kind].items():
            if state is here and following not in reached:
                reached.add(following)
                frontier.append(following)
    assert {state for state, _ in TRANSITIONS[kind]} <= reached
    started = {timer for _, _, timers in TRANSITIONS[kind].values() for timer in timers}
    awaited = {cue for _, cue in TRANSITIONS[kind] if cue in TIMER_CUES}
    assert started == awaited


def test_invite_server_repeats_a_failure_until_the_ack():
    """§17.2.1: G at 0.5, 1, 2, 4, 4 s; the ACK stops it; I holds it 5 s more."""
    machine, acts = fed(Kind.INVITE_SERVER, Cue.FAILURE)
    assert acts == (Act.SEND,)
    assert resends(alarms(machine, 12)) == [0.5, 1.5, 3.5, 7.5, 11.5]
    assert machine.feed(Cue.ACK, 12.0) == ()
    assert machine.state is State.CONFIRMED
    assert alarms(machine, 17.0) == [(17.0, ())]
    assert machine.state is State.TERMINATED


def test_invite_server_gives_up_after_32_seconds_without_ack():
    """Timer H."""
    machine, _ = fed(Kind.INVITE_SERVER, Cue.FAILURE)
    assert alarms(machine, 40)[-1] == (32.0, (Act.TIMEOUT,))


def test_invite_server_absorbs_invites_after_a_success():
    """RFC 6026 §7.1: Accepted eats retransmissions, passes ACKs, lives 64*T1."""
    machine, acts = fed(Kind.INVITE_SERVER, Cue.PROVISIONAL, Cue.SUCCESS)
    assert acts == (Act.SEND,)
    assert machine.feed(Cue.REQUEST, 1.0) == ()
    assert machine.feed(Cue.ACK, 1.0) == (Act.TELL,)
    assert machine.feed(Cue.FAILURE, 1.0) == ()
    assert alarms(machine, 40) == [(32.0, ())]


def test_invite_server_answers_a_retransmission_with_what_it_sent_last():
    """§17.2.1; before anything was sent there is nothing to send again."""
    machine = Transaction(Kind.INVITE_SERVER)
    assert machine.feed(Cue.REQUEST, 0.0) == ()
    machine.feed(Cue.PROVISIONAL, 0.0, b"trying")
    assert machine.feed(Cue.REQUEST, 0.1) == (Act.RESEND,)
    assert machine.last_sent == b"trying"


def test_server_repeats_its_answer_for_32_seconds():
    """§17.2.2: timer J; in Trying a retransmission is dropped."""
    machine = Transaction(Kind.SERVER)
    assert machine.feed(Cue.REQUEST, 0.0) == ()
    assert machine.feed(Cue.SUCCESS, 0.0, b"ok") == (Act.SEND,)
    assert machine.feed(Cue.REQUEST, 31.0) == (Act.RESEND,)
    assert machine.feed(Cue.FAILURE, 31.0, b"other") == ()
    assert alarms(machine, 40) == [(32.0, ())]


def test_reliable_transports_repeat_nothing_and_do_not_linger():
    """§17.2.1, §17.2.2: no G, I and J of zero."""
    machine, _ = fed(Kind.INVITE_SERVER, Cue.FAILURE, reliable=True)
    assert machine.get_timer() == 32.0
    machine.feed(Cue.ACK, 1.0)
    assert machine.get_timer() == 1.0
    machine, _ = fed(Kind.SERVER, Cue.SUCCESS, reliable=True)
    assert machine.get_timer() == 0.0


def test_invite_client_doubles_without_a_cap_and_times_out():
    """§17.1.1.2: A at 0.5, 1.5, 3.5, 7.5, 15.5, 31.5; B at 32."""
    machine, acts = fed(Kind.INVITE_CLIENT, Cue.REQUEST)
    assert acts == (Act.SEND,)
    happened = alarms(machine, 60)
    assert resends(happened) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert happened[-1] == (32.0, (Act.TIMEOUT,))


def test_invite_client_acknowledges_every_copy_of_a_failure():
    """§17.1.1.2: the ACK goes out again, the user is told once."""
    machine, acts = fed(Kind.INVITE_CLIENT, Cue.REQUEST, Cue.PROVISIONAL, Cue.FAILURE)
    assert acts == (Act.ACK, Act.TELL)
    assert machine.feed(Cue.FAILURE, 1.0) == (Act.ACK,)
    assert alarms(machine, 40) == [(32.0, ())]


def test_invite_client_passes_every_copy_of_a_success():
    """RFC 6026 §7.2: so that each is acknowledged by the user."""
    machine, acts = fed(Kind.INVITE_CLIENT, Cue.REQUEST, Cue.SUCCESS)
    assert acts == (Act.TELL,)
    assert machine.feed(Cue.SUCCESS, 1.0) == (Act.TELL,)


def test_client_slows_down_and_keeps_its_time_out_when_proceeding():
    """§17.1.2.2: E doubles to T2; after a provisional it is T2; F runs on."""
    machine, _ = fed(Kind.CLIENT, Cue.REQUEST)
    assert resends(alarms(machine, 8)) == [0.5, 1.5, 3.5, 7.5]
    assert machine.feed(Cue.PROVISIONAL, 8.0) == (Act.TELL,)
    happened = alarms(machine, 60)
    assert resends(happened) == [12.0, 16.0, 20.0, 24.0, 28.0]
    assert happened[-1] == (32.0, (Act.TIMEOUT,))

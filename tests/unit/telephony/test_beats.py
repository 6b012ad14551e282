"""Whose turn it is in a beat."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from um.telephony.beats import CALM_BEATS, EASE_BEATS, Beats


class Call:
    name = "call"

    def speak(self, now):
        raise AssertionError("not by the beats themselves")

    def listen(self, now):
        raise AssertionError("not by the beats themselves")


def at_ease(beats, *, silent=True):
    """A call that is at ease, and its turn."""
    call = Call()
    turn = beats.join(call)
    turn.want(ease=True)
    for _ in range(CALM_BEATS + 1):
        assert not turn.at_ease
        turn.judge(calm=True, silent=silent)
    assert turn.at_ease
    return call, turn


def pass_beats(beats, count):
    """How often each spoke and listened."""
    spoke, listened = Counter(), Counter()
    for _ in range(count):
        spoke.update(beats.begin())
        listened.update(beats.listeners())
    return spoke, listened


def test_a_call_has_each_beat():
    """Until it is at ease, and none when it has gone."""
    beats, call = Beats(), Call()
    turn = beats.join(call)
    assert pass_beats(beats, 10) == ({call: 10}, {call: 10})
    turn.leave()
    turn.leave()
    assert pass_beats(beats, 10) == ({}, {})


def test_who_has_left_does_not_come_back():
    """Whatever is said of the call after its end."""
    beats = Beats()
    for change in (lambda turn: turn.rouse(), lambda turn: turn.judge(calm=True, silent=False)):
        _, turn = at_ease(beats)
        turn.leave()
        change(turn)
        assert pass_beats(beats, 10) == ({}, {})


def test_calls_at_ease_share_the_beats_evenly():
    """Each in every fifth, as many in one as in another."""
    beats = Beats()
    calls = [at_ease(beats)[0] for _ in range(60)]
    for _ in range(10):
        assert beats.begin() == []
        assert len(beats.listeners()) == 60 // EASE_BEATS
    assert pass_beats(beats, EASE_BEATS) == ({}, dict.fromkeys(calls, 1))


def test_who_speaks_at_ease_listens_at_ease():
    """A prompt leaves in time, and costs no reading."""
    beats = Beats()
    call, turn = at_ease(beats, silent=False)
    assert pass_beats(beats, 10) == ({call: 10}, {call: 2})
    turn.judge(calm=True, silent=True)
    assert pass_beats(beats, 10) == ({}, {call: 2})
    turn.speak_up()
    assert turn.at_ease
    assert pass_beats(beats, 10) == ({call: 10}, {call: 2})


def test_what_is_not_calm_ends_the_ease_for_half_a_second():
    """And what the application says ends it with the next look."""
    beats = Beats()
    for unsettle in (
        lambda turn: turn.judge(calm=False, silent=True),
        lambda turn: turn.rouse(),
        lambda turn: [turn.want(ease=False), turn.judge(calm=True, silent=True)],
    ):
        call, turn = at_ease(beats)
        unsettle(turn)
        assert not turn.at_ease
        assert pass_beats(beats, 10) == ({call: 10}, {call: 10})
        turn.want(ease=True)
        turn.leave()


STEPS = st.sampled_from(["beat", "calm", "odd", "speaks", "rouse", "speak up", "want", "want not"])


@given(st.lists(STEPS, max_size=200))
def test_no_beat_is_forgotten(steps):
    """Whatever happens: those that passed are owed once, and none waits for longer than five for its turn."""
    beats, call = Beats(), Call()
    turn, owed, waited = beats.join(call), 0, 0
    for step in ["want", *["calm"] * CALM_BEATS, *steps]:
        match step:
            case "beat":
                speaks = beats.begin() == [call]
                turns = beats.listeners()
                assert turns in ([], [call])
                assert speaks or turn.at_ease
                waited = 0 if turns else waited + 1
                assert waited < EASE_BEATS
                owed += turn.owed() if speaks or turns else 0
            case "calm" | "odd" | "speaks":
                turn.judge(calm=step != "odd", silent=step != "speaks")
            case "rouse":
                turn.rouse()
            case "speak up":
                turn.speak_up()
            case _:
                turn.want(ease=step == "want")
    assert owed + turn.owed() == beats.number

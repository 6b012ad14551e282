"""The deposit dialogue: what a caller hears, what is recorded, and when it ends."""

from array import array
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.deposit_call import GREETING, LOUD, QUIET, Telephone
from voicemail import dialogue
from voicemail.dialogue import Limits
from voicemail.events import (
    Answered,
    AudioReceived,
    DigitPressed,
    Ended,
    Failed,
    Finish,
    HangUp,
    Play,
    PlaybackFinished,
    Record,
    Saved,
    StartRecording,
    StopPlaying,
    TimerExpired,
)
from voicemail.transitions import TRANSITIONS, Signal, State


def test_a_whole_deposit_in_order():
    """Greeting, beep, recording, `#`, saved, goodbye, hang-up: in this order and no other."""
    phone = Telephone()
    assert phone(Answered()) == [Play(GREETING)]
    assert phone.hear_all() == [Play(("beep",))]
    assert phone.hear_all() == [StartRecording()]
    phone.speak(LOUD * 3)
    assert phone(DigitPressed("#")) == [StopPlaying(), Finish(keep=True)]
    assert phone(Saved()) == [Play(dialogue.MESSAGE_SAVED)]
    assert phone.hear_all() == [HangUp()]
    assert phone(Ended()) == []
    assert phone.state is State.ENDED
    assert phone.recorded == LOUD * 3


def test_pound_skips_the_greeting_to_the_beep():
    """`#` while the greeting plays: silence, then the beep, then the recording."""
    phone = Telephone()
    phone(Answered())
    assert phone(DigitPressed("#")) == [StopPlaying(), Play(("beep",))]
    assert phone.hear_all() == [StartRecording()]


@pytest.mark.parametrize("digit", list("0123456789*ABCD"))
def test_other_keys_change_nothing(digit):
    """No key but `#` means anything to a caller, in any state."""
    phone = Telephone()
    phone(Answered())
    assert phone(DigitPressed(digit)) == []
    phone.hear_all()
    assert phone(DigitPressed(digit)) == []
    phone.hear_all()
    phone.speak(LOUD)
    assert phone(DigitPressed(digit)) == []
    assert phone.state is State.RECORDING


def test_nothing_is_recorded_before_the_beep_is_over():
    """What is said into the greeting or the beep is not part of the message."""
    phone = Telephone()
    phone(Answered())
    phone.speak(LOUD)
    phone.hear_all()
    phone.speak(LOUD)
    assert phone.recorded == b""


def test_a_hang_up_keeps_what_was_said():
    """The caller hangs up in mid-word: the message is finished, nothing else is sent."""
    phone = Telephone().to_recording()
    phone.speak(LOUD * 2)
    assert phone(Ended()) == [Finish(keep=True)]
    assert phone.state is State.ENDED


@pytest.mark.parametrize("heard", [0, 1, 2])
def test_a_hang_up_before_anything_was_said_is_a_missed_call(heard):
    """Hanging up in greeting, beep or silence stores nothing, and is told once."""
    phone = Telephone()
    phone(Answered())
    for _ in range(heard):
        phone.hear_all()
    assert phone(Ended()) == [Finish(keep=False)]


@pytest.mark.parametrize(
    ("samples", "keep"), [(160, False), (7840, False), (8000, True), (16000, True)]
)
def test_a_second_of_sound_makes_a_message(samples, keep):
    """Less than 1 s of sound is a missed call, 1 s is a message; the silence after it is no sound."""
    phone = Telephone().to_recording()
    phone.speak((LOUD * 2)[: 2 * samples])
    phone.speak(QUIET * 3)
    phone(Ended())
    assert phone.all_of(Finish) == [Finish(keep=keep)]


def test_too_short_is_said_and_the_call_ends():
    """`#` without a word: the caller learns that nothing was saved."""
    phone = Telephone().to_recording()
    assert phone(DigitPressed("#")) == [
        StopPlaying(),
        Finish(keep=False),
        Play(dialogue.TOO_SHORT),
    ]
    assert phone.hear_all() == [HangUp()]


@pytest.mark.parametrize("ms", [10, 20, 30, 7, 1000])
def test_eight_seconds_of_silence_end_it_exactly(ms):
    """The recording ends with the sample that completes 8 s of silence, however packets are cut."""
    phone = Telephone().to_recording()
    phone.speak(LOUD * 2 + QUIET * 10, ms=ms)
    assert len(phone.recorded) == len(LOUD) * 10
    assert phone.all_of(Finish) == [Finish(keep=True)]


def test_a_word_restarts_the_silence():
    """7.98 s of silence, 20 ms of sound, then the 8 s count anew."""
    phone = Telephone().to_recording()
    phone.speak(LOUD + (QUIET * 8)[: -2 * 160] + LOUD[: 2 * 160])
    assert phone.state is State.RECORDING
    phone.speak(QUIET * 9)
    assert phone.all_of(Finish) == [Finish(keep=True)]
    assert len(phone.recorded) == len(LOUD) * 17


def test_the_level_of_silence_is_200():
    """A mean absolute level of 199 is silence, 200 is not."""
    for level, state in ((199, State.CLOSING), (200, State.RECORDING)):
        phone = Telephone().to_recording()
        phone.speak(array("h", [level, -level] * 4000).tobytes() * 9)
        assert phone.state is state


def test_two_minutes_at_most_with_a_warning_at_110():
    """The beep comes in the packet that reaches 110 s, the end at the sample that makes 120 s."""
    phone = Telephone().to_recording()
    phone.speak(LOUD * 109)
    before = len(phone.all_of(Play))
    phone.speak(LOUD)
    assert phone.all_of(Play)[before:] == [Play(("beep",))]
    phone.speak(LOUD * 9 + LOUD[:-320])
    assert phone.state is State.RECORDING
    phone.speak(LOUD * 2)
    assert phone.state is State.SAVING
    assert len(phone.recorded) == len(LOUD) * 120
    assert len(phone.all_of(Play)) == before + 1


def test_a_limit_below_the_warning_has_no_warning():
    """An operator's limit of 5 s: no beep into the first word."""
    phone = Telephone(limits=Limits(max_seconds=5)).to_recording()
    before = phone.all_of(Play)
    phone.speak(LOUD * 6)
    assert phone.all_of(Play) == before
    assert phone.recorded == LOUD * 5


def test_full_mailbox_is_said_before_any_beep():
    """A refusal is spoken instead of the greeting; nothing is recorded, then we hang up."""
    phone = Telephone(refusal=("vm-mailboxfull", "vm-goodbye"))
    assert phone(Answered()) == [Play(("vm-mailboxfull", "vm-goodbye"))]
    phone.speak(LOUD)
    assert phone.hear_all() == [HangUp()]
    phone(Ended())
    assert not phone.all_of(Record)
    assert not phone.all_of(Finish)


@pytest.mark.parametrize("when", ["greeting", "beep", "recording", "saving"])
def test_trouble_with_the_disk_is_apologised_for(when):
    """A failing spool at any point: an apology, hang-up, and never "message saved"."""
    phone = Telephone()
    phone(Answered())
    if when != "greeting":
        phone.hear_all()
    if when in {"recording", "saving"}:
        phone.hear_all()
        phone.speak(LOUD * 2)
    if when == "saving":
        phone(DigitPressed("#"))
    assert phone(Failed()) == [StopPlaying(), Play(dialogue.APOLOGY)]
    assert phone(Saved()) == []
    assert phone.hear_all() == [HangUp()]
    assert Play(dialogue.MESSAGE_SAVED) not in phone.out


def test_last_words_can_be_skipped():
    """`#` during "message saved" hangs up at once."""
    phone = Telephone().to_recording()
    phone.speak(LOUD * 2)
    phone(DigitPressed("#"))
    phone(Saved())
    assert phone(DigitPressed("#")) == [StopPlaying(), HangUp()]


def test_media_that_falls_silent_is_ended_by_the_clock():
    """No packet at all counts as silence: 8 s and a grace of 2 s, by the timer."""
    phone = Telephone().to_recording()
    phone.speak(LOUD * 2)
    due = phone.dialogue.get_timer()
    assert due == pytest.approx(phone.now + 10)
    assert phone(TimerExpired(), after=9.9) == []
    assert phone(TimerExpired(), after=0.11)[-1] == Finish(keep=True)


def test_saving_that_takes_too_long_is_apologised_for():
    """A disk that does not answer for 10 s: the caller is not left in silence."""
    phone = Telephone().to_recording()
    phone.speak(LOUD * 2)
    phone(DigitPressed("#"))
    assert phone(TimerExpired(), after=9.9) == []
    assert phone(TimerExpired(), after=0.2) == [StopPlaying(), Play(dialogue.APOLOGY)]


def test_every_signal_is_defined_in_every_state():
    """The table is total, and ENDED is left by nothing."""
    assert set(TRANSITIONS) == {(state, signal) for state in State for signal in Signal}
    assert {TRANSITIONS[State.ENDED, signal].state for signal in Signal} == {State.ENDED}
    assert not any(TRANSITIONS[State.ENDED, signal].effects for signal in Signal)


EVENTS = st.one_of(
    st.just(Answered()),
    st.just(PlaybackFinished()),
    st.just(TimerExpired()),
    st.just(Saved()),
    st.just(Failed()),
    st.just(Ended()),
    st.sampled_from("0123456789*#ABCD").map(DigitPressed),
    st.binary(max_size=700).map(AudioReceived),
    st.tuples(st.sampled_from([LOUD, QUIET]), st.integers(1, 16000)).map(
        lambda pair: AudioReceived(pair[0][: pair[1]])
    ),
)
SHORT = Limits(max_seconds=3, warning_seconds=1, silence_seconds=1, minimum_seconds=0.5)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 3)), max_size=60), st.booleans())
def test_any_sequence_of_events_ends_at_most_once(events, refused):
    """Whatever happens in whatever order: one Finish, one HangUp, nothing recorded after it."""
    phone = Telephone(limits=SHORT, refusal=("vm-mailboxfull",) if refused else ())
    phone(Answered())
    for event, after in events:
        phone(event, after=after)
    phone(Ended())
    assert phone.state is State.ENDED
    assert len(phone.all_of(Finish)) <= 1
    assert len(phone.all_of(HangUp)) <= 1
    assert len(phone.recorded) <= 3 * 16000
    kinds = [type(each) for each in phone.out]
    assert not any(
        earlier in {Finish, HangUp} and later is Record for earlier, later in pairwise(kinds)
    )
    assert kinds.count(StartRecording) <= 1
    if Record in kinds:
        assert kinds.index(StartRecording) < kinds.index(Record)
    assert phone(Ended()) == []
    assert phone.dialogue.get_timer() is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40))
def test_what_is_recorded_does_not_depend_on_how_packets_are_cut(sizes):
    """Any split of the same audio gives the same recording."""
    said = LOUD + (QUIET * 2)[: 16000 + 4321 * 2] + LOUD
    whole = Telephone(limits=SHORT).to_recording()
    whole(AudioReceived(said))
    split = Telephone(limits=SHORT).to_recording()
    rest, turn = said, 0
    while rest:
        size = 2 * sizes[turn % len(sizes)]
        split(AudioReceived(rest[:size]))
        rest, turn = rest[size:], turn + 1
    assert split.recorded == whole.recorded
    assert split.all_of(Finish) == whole.all_of(Finish)

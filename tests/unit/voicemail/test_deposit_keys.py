"""Every key in every state of a deposit, for every map; and the way to the operator."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.deposit_call import GREETING, LOUD, Telephone
from voicemail.dialogue import APOLOGY, CONNECTING, MESSAGE_SAVED, NOBODY_THERE, Limits, Offers
from voicemail.events import (
    Answered,
    AudioReceived,
    DigitPressed,
    Ended,
    Failed,
    Finish,
    HangUp,
    LogIn,
    Play,
    PlaybackFinished,
    Record,
    Saved,
    StartRecording,
    StopPlaying,
    TimerExpired,
    Transfer,
    TransferRefused,
)
from voicemail.keymaps import ASTERISK, KEYS, MAPS
from voicemail.menu import Action, Context
from voicemail.transitions import State

NONE, ALL = Offers(), Offers(review=True, urgent=True, log_in=True, operator=True)
SHORT = Limits(max_seconds=3, warning_seconds=1, silence_seconds=1, minimum_seconds=0.5)


def key_for(keys, context, action):
    return next(key for key, each in keys[context].items() if each is action)


def in_state(state, keys, offers, *, said=LOUD * 2):
    """A call that has come to `state`, by keys of the map where it takes one."""
    phone = Telephone(keys=keys, offers=offers)

    def press(context, action):
        phone(DigitPressed(key_for(keys, context, action)))

    if state is State.OFFERED:
        return phone
    phone(Answered())
    if state is State.BEEP:
        phone.hear_all()
    elif state is State.LOGGED_IN:
        press(Context.GREETING, Action.LOG_IN)
    elif state is State.ASKING_OPERATOR:
        press(Context.GREETING, Action.OPERATOR)
    elif state is not State.GREETING:
        phone.hear_all()
        phone.hear_all()
        phone.speak(said)
        match state:
            case State.REVIEW | State.HEARING:
                press(Context.RECORDING, Action.FINISH)
                if state is State.HEARING:
                    press(Context.CALLER_REVIEW, Action.HEAR)
            case State.SAVING_FIRST | State.SAVED_ASKING_OPERATOR:
                press(Context.RECORDING, Action.OPERATOR)
                if state is State.SAVED_ASKING_OPERATOR:
                    phone(Saved())
            case State.SAVING | State.CLOSING | State.HANGING_UP:
                press(Context.RECORDING, Action.FINISH)
                if phone.state is State.REVIEW:
                    press(Context.CALLER_REVIEW, Action.ACCEPT)
                if state is not State.SAVING:
                    phone(Saved())
                if state is State.HANGING_UP:
                    phone.hear_all()
            case State.ENDED:
                phone(Ended())
    assert phone.state is state
    return phone


CONTEXTS = {
    State.GREETING: Context.GREETING,
    State.RECORDING: Context.RECORDING,
    State.REVIEW: Context.CALLER_REVIEW,
    State.HEARING: Context.CALLER_REVIEW,
    State.CLOSING: Context.CLOSING,
}
"""Where keys mean anything; everywhere else none does."""
NEXT = {
    (Context.GREETING, Action.SKIP): State.BEEP,
    (Context.GREETING, Action.LOG_IN): State.LOGGED_IN,
    (Context.GREETING, Action.OPERATOR): State.ASKING_OPERATOR,
    (Context.RECORDING, Action.FINISH): State.REVIEW,
    (Context.RECORDING, Action.OPERATOR): State.SAVING_FIRST,
    (Context.CALLER_REVIEW, Action.ACCEPT): State.SAVING,
    (Context.CALLER_REVIEW, Action.HEAR): State.HEARING,
    (Context.CALLER_REVIEW, Action.RECORD_AGAIN): State.BEEP,
    (Context.CALLER_REVIEW, Action.URGENT): State.REVIEW,
    (Context.CALLER_REVIEW, Action.OPERATOR): State.SAVING_FIRST,
    (Context.CLOSING, Action.SKIP): State.HANGING_UP,
}
UNOFFERED = {
    State.REVIEW,
    State.HEARING,
    State.LOGGED_IN,
    State.ASKING_OPERATOR,
    State.SAVING_FIRST,
    State.SAVED_ASKING_OPERATOR,
}
"""States that a caller who was offered nothing cannot come to."""


@pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_in_every_state(keys, state, key):
    """With all that can be offered: a key goes where its action leads, any other changes nothing."""
    phone = in_state(state, keys, ALL)
    context = CONTEXTS.get(state)
    action = keys[context].get(key) if context else None
    out = phone(DigitPressed(key))
    if action is None:
        assert out == []
        assert phone.state is state
    else:
        assert phone.state is NEXT[context, action]
        assert StopPlaying() in out


@pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("state", [each for each in State if each not in UNOFFERED])
@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_where_nothing_is_offered(keys, state, key):
    """Only skipping and ending mean anything: no review, no login, and nothing that dials out."""
    phone = in_state(state, keys, NONE)
    context = CONTEXTS.get(state)
    action = keys[context].get(key) if context else None
    out = phone(DigitPressed(key))
    if action in {Action.SKIP, Action.FINISH}:
        assert phone.state in {State.BEEP, State.SAVING, State.HANGING_UP}
    else:
        assert out == []
        assert phone.state is state
    assert not phone.all_of(Transfer)
    assert not phone.all_of(LogIn)


def test_the_operator_from_the_greeting():
    """Nothing was said: the core is asked, and a caller who is connected is a missed call."""
    phone = in_state(State.GREETING, ASTERISK, ALL)
    assert phone(DigitPressed("0")) == [StopPlaying(), Play(CONNECTING), Transfer()]
    assert phone.hear_all() == []
    assert phone(Ended()) == [Finish(keep=False)]


def test_an_operator_who_is_not_there_leaves_the_beep():
    """The caller is told, and may leave a message as before."""
    phone = in_state(State.ASKING_OPERATOR, ASTERISK, ALL)
    assert phone(TransferRefused()) == [StopPlaying(), Play(NOBODY_THERE)]
    assert phone.hear_all() == [StartRecording()]
    phone.speak(LOUD)
    assert phone(Ended()) == [Finish(keep=True)]


@pytest.mark.parametrize("state", [State.RECORDING, State.REVIEW, State.HEARING])
def test_what_was_said_is_safe_before_the_operator_is_called(state):
    """Saved first; then the core is asked; if it does not connect them, "saved" and goodbye."""
    phone = in_state(state, ASTERISK, ALL)
    assert phone(DigitPressed("0")) == [StopPlaying(), Finish(keep=True)]
    assert phone(Saved()) == [Play(CONNECTING), Transfer()]
    assert phone(TransferRefused()) == [StopPlaying(), Play(MESSAGE_SAVED)]
    assert phone.hear_all() == [HangUp()]


def test_a_recording_without_words_is_no_message_on_the_way_to_the_operator():
    """It goes on if nobody is there."""
    phone = in_state(State.RECORDING, ASTERISK, ALL, said=b"")
    assert phone(DigitPressed("0")) == [StopPlaying(), Play(CONNECTING), Transfer()]
    phone(TransferRefused())
    assert phone.state is State.BEEP


@pytest.mark.parametrize("trouble", [Failed(), TimerExpired()])
def test_a_disk_that_fails_on_the_way_to_the_operator_is_apologised_for(trouble):
    """What was promised to be kept is not: the caller is told, not sent on."""
    phone = in_state(State.SAVING_FIRST, ASTERISK, ALL)
    assert phone(trouble, after=11) == [StopPlaying(), Play(APOLOGY)]
    assert not phone.all_of(Transfer)


def test_the_review_offers_the_operator_only_where_there_is_one():
    """In the words of the map."""
    with_operator = in_state(State.REVIEW, ASTERISK, ALL).all_of(Play)[-1].prompts
    assert with_operator == ("vm-review", "vm-review-urgent", "vm-reachoper")
    without = in_state(State.REVIEW, ASTERISK, Offers(review=True)).all_of(Play)[-1].prompts
    assert without == ("vm-review",)
    other = in_state(State.REVIEW, MAPS["freeswitch"], ALL).all_of(Play)[-1].prompts
    assert other[-3:] == ("um-to-operator", "vm-press", "digits/9")


EVENTS = st.one_of(
    st.sampled_from(
        [Answered(), PlaybackFinished(), TimerExpired(), Saved(), Failed(), TransferRefused()]
    ),
    st.sampled_from(sorted(KEYS)).map(DigitPressed),
    st.integers(1, 16000).map(lambda octets: AudioReceived(LOUD[:octets])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.floats(0, 3)), max_size=60), st.sampled_from(list(MAPS)))
def test_any_events_with_everything_offered_end_once(events, keys):
    """Reviews, logins and transfers in any order: one Finish at most, nothing recorded after it."""
    phone = Telephone(limits=SHORT, offers=ALL, keys=MAPS[keys])
    phone(Answered())
    for event, after in events:
        phone(event, after=after)
    phone(Ended())
    assert phone.state is State.ENDED
    kinds = [type(each) for each in phone.out]
    assert kinds.count(Finish) + kinds.count(LogIn) <= 1
    assert kinds.count(HangUp) <= 1
    if Finish in kinds:
        assert Record not in kinds[kinds.index(Finish) :]
    assert phone.out[0] == Play(GREETING)
    assert phone(Ended()) == []

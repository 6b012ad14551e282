"""The conversation engine: every key in every place of the map, and every timer."""

import pytest

from um.core.errors import NotFoundError
from voicemail.conversation import Conversation
from voicemail.events import (
    Answered,
    AudioReceived,
    Clip,
    DigitPressed,
    Ended,
    HangUp,
    Perform,
    Play,
    PlaybackFinished,
    Refused,
    Replied,
    StopPlaying,
    TimerExpired,
)
from voicemail.keymaps import ASTERISK, KEYS, MAPS
from voicemail.menu import ALLOWED, FOLDERS, Action, Context
from voicemail.running import DEFAULT_TIMERS
from voicemail.scripts.mailbox import ACTIONS
from voicemail.steps import Capture, Choice, Choose, Collect, Do, Hear, Say

MENUS = [
    Context.MAIN,
    Context.MESSAGE,
    Context.ADVANCED,
    Context.FOLDERS,
    Context.OPTIONS,
    Context.TEMPORARY,
    Context.REVIEW,
    Context.FORWARD,
]
"""Where a `Choose` waits for a key."""
SECOND = Clip(b"\1\0" * 8000)


class Line:
    """A conversation of one step; `result` is what the script got."""

    def __init__(self, *steps, keys=ASTERISK):
        self.results = []
        self.conversation = Conversation(self._script(steps), keys=keys)
        self.now = 100.0
        self.out = self.conversation.receive(Answered(), self.now)

    def _script(self, steps):
        for step in steps:
            try:
                self.results.append((yield step))
            except NotFoundError as error:
                self.results.append(error)

    def give(self, event, after=0.0):
        self.now += after
        self.out = self.conversation.receive(event, self.now)
        return self.out

    def press(self, digits, after=0.0):
        for digit in digits:
            self.give(DigitPressed(digit), after)
        return self.out

    def wait(self):
        """Let the timer that is due expire."""
        self.now = self.conversation.get_timer()
        return self.give(TimerExpired())


every_map = pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS)
every_key = pytest.mark.parametrize("key", sorted(KEYS))


@every_map
@pytest.mark.parametrize("context", MENUS)
@every_key
def test_every_key_in_every_menu(keys, context, key):
    """A key of the map is its action; any other is not understood and the menu comes again."""
    line = Line(Choose(context, ("menu",)), keys=keys)
    line.press(key)
    action = keys[context].get(key)
    if action is None:
        assert line.out == [StopPlaying(), Play(("vm-sorry", "menu"))]
        assert not line.results
    else:
        assert line.results == [Choice(action, key)]
        assert line.out == [StopPlaying(), HangUp()]


@every_map
@every_key
def test_every_key_while_a_message_plays(keys, key):
    """Pause, rewind, skip and restart stay in the message; menu keys leave it; others do nothing."""
    line = Line(Hear(SECOND), keys=keys)
    line.press(key, after=0.5)
    match keys[Context.PLAYING].get(key):
        case None:
            assert line.out == []
        case Action.PAUSE:
            assert line.out == [StopPlaying()]
            assert line.press(key) == [Play((Clip(SECOND.samples[8000:]),))]
        case Action.REWIND | Action.RESTART:
            assert line.out == [StopPlaying(), Play((SECOND,))]
        case Action.SKIP_AHEAD | Action.SKIP:
            assert line.results == [None]
        case action:
            assert line.results == [Choice(action, key)]


@every_map
@every_key
def test_every_key_during_the_envelope(keys, key):
    """Any key goes on to the message; one that only skips is not taken for the next step."""
    line = Line(
        Say(("envelope",), context=Context.ENVELOPE), Choose(Context.MAIN, ("menu",)), keys=keys
    )
    line.press(key)
    if keys[Context.ENVELOPE].get(key) is Action.SKIP:
        assert line.out == [StopPlaying(), Play(("menu",))]
    elif action := keys[Context.MAIN].get(key):
        assert line.results == [None, Choice(action, key)]
    else:
        assert line.out == [StopPlaying(), Play(("vm-sorry", "menu"))]


@every_map
@every_key
def test_every_key_while_an_owner_records(keys, key):
    """Only the key that ends it ends it; during the beep none does."""
    line = Line(Capture(60.0), keys=keys)
    line.press(key)
    assert not line.results
    line.give(PlaybackFinished())
    line.press(key)
    assert bool(line.results) is (keys[Context.RECORDING].get(key) is Action.FINISH)


@every_map
def test_a_map_asks_only_for_what_is_answered(keys):
    """Every place is there; each key's action is one that the place answers."""
    assert set(keys) == set(Context) == set(ALLOWED)
    for context, table in keys.items():
        assert set(table) <= KEYS
        assert set(table.values()) <= ALLOWED[context]
    picks = {key for key, action in keys[Context.FOLDERS].items() if action is Action.PICK}
    assert picks == set(FOLDERS)


def test_the_menus_have_a_function_for_each_action():
    """Also for those that a key pressed in a message can ask for."""
    staying = {Action.PAUSE, Action.REWIND, Action.SKIP_AHEAD, Action.RESTART, Action.SKIP}
    asked = ALLOWED[Context.MAIN] | ALLOWED[Context.MESSAGE] | ALLOWED[Context.PLAYING]
    assert asked - staying == set(ACTIONS)


def test_skipping_moves_four_seconds_each_way():
    """The place is told by the clock, through pauses too."""
    sound = Clip(bytes(2 * 8000 * 20))
    line = Line(Hear(sound))

    def left():
        (clip,) = line.out[-1].prompts
        return len(clip.samples) / 16000

    line.press("#", after=1)
    assert left() == 15
    line.press("*", after=2)
    assert left() == 17
    line.press("0", after=1)
    line.press("0", after=60)
    assert left() == 16
    line.press("2")
    assert left() == 20


def test_the_third_silence_gives_up():
    """The menu is spoken three times, six seconds between."""
    line = Line(Choose(Context.MAIN, ("menu",)))
    for _ in range(2):
        line.give(PlaybackFinished())
        assert line.conversation.get_timer() == line.now + DEFAULT_TIMERS.menu_seconds
        assert line.wait() == [Play(("menu",))]
    line.give(PlaybackFinished())
    line.wait()
    assert line.results == [None]


def test_digits_end_by_pound_by_a_pause_and_by_the_time_for_all():
    """3 s between digits, 10 s for all of them."""
    line = Line(Collect(("pin",)))
    line.press("12#")
    assert line.results == ["12"]
    line = Line(Collect(("pin",)))
    line.press("12")
    line.wait()
    assert line.results == ["12"]
    assert line.now == 100 + 3
    line = Line(Collect(("pin",)))
    line.press("12345", after=2.5)
    line.wait()
    assert line.now == 102.5 + 10
    line = Line(Collect(("pin",)))
    line.give(PlaybackFinished())
    line.wait()
    assert line.results == [""]
    line = Line(Collect(("pin",)))
    line.press("*")
    assert line.results == ["*"]


def test_keys_typed_ahead_are_kept_for_the_next_steps():
    """Who knows the menu need not wait for what is said or done."""
    line = Line(Do("login"), Say(("hello",)), Choose(Context.MAIN, ("menu",)), Collect(("n",)))
    line.press("812#")
    line.give(Replied(None))
    assert line.results == [None, None, Choice(Action.FORWARD, "8"), "12"]


def test_a_swallowed_key_only_skips():
    """1 during the envelope goes on to the message."""
    line = Line(Say(("envelope",), context=Context.ENVELOPE), Choose(Context.MAIN, ("menu",)))
    assert line.press("1") == [StopPlaying(), Play(("menu",))]


def test_a_key_typed_ahead_that_only_skips_is_used_up_by_what_it_skips():
    """1 1 in one go: listen, without the envelope; not listen twice."""
    line = Line(Do("look"), Say(("envelope",), context=Context.ENVELOPE), Hear(SECOND))
    line.press("1")
    assert line.give(Replied(None)) == [Play((SECOND,))]
    assert line.results == [None, None]


def test_a_recording_ends_by_pound_silence_limit_or_clock():
    """What came before the beep is over does not count; the sound is measured."""
    loud = AudioReceived(b"\x00\x10" * 160)
    line = Line(Capture(1.0))
    assert line.out == [Play(("beep",))]
    line.give(loud)
    line.give(PlaybackFinished())
    for _ in range(10):
        line.give(loud)
    line.press("5#")
    assert len(line.results[0].samples) == 3200
    assert line.results[0].sound_seconds == 0.2
    line = Line(Capture(1.0))
    line.give(PlaybackFinished())
    for _ in range(60):
        line.give(loud)
    assert len(line.results[0].samples) == 16000
    line = Line(Capture(60.0))
    line.give(PlaybackFinished())
    for _ in range(420):
        line.give(AudioReceived(bytes(320)))
    assert line.results[0].sound_seconds == 0
    line = Line(Capture(1.0))
    line.give(PlaybackFinished())
    line.wait()
    assert line.results[0].samples == b""


def test_an_error_is_raised_in_the_script():
    """What could not be done is the script's to tell."""
    line = Line(Do("it"), Say(("sorry",)))
    assert line.out == [Perform("it")]
    line.give(Refused(NotFoundError()))
    assert isinstance(line.results[0], NotFoundError)
    assert line.out == [Play(("sorry",))]


def test_nothing_leaves_after_the_end():
    """A call that is over is silent, whatever still comes."""
    line = Line(Do("it"), Say(("more",)))
    assert line.give(Ended()) == []
    for event in (Replied(1), DigitPressed("1"), TimerExpired(), PlaybackFinished(), Ended()):
        assert line.give(event) == []
    assert line.conversation.get_timer() is None

"""The line between a call and its dialogue: what is reported as spoken, and when."""

from tests.support.clock import FakeClock
from tests.support.fake_call import FakeCall
from tests.support.house import NUMBER
from tests.support.retrieval_call import Prompter
from um.core.account import Account
from um.core.ids import AccountId
from voicemail.events import AudioReceived, DigitPressed, Play, PlaybackFinished, StopPlaying
from voicemail.line import Line


class Echo:
    """A dialogue that is told what to do and keeps what it hears."""

    def __init__(self):
        self.heard = []
        self.next = []

    def receive(self, event, now):
        self.heard.append(event)
        out, self.next = self.next, []
        return out

    def get_timer(self):
        return None


def a_line():
    clock = FakeClock()
    account = Account(AccountId("a"), "alice", "um.example.net", clock.now())
    call = FakeCall.to(account, NUMBER)
    line = Line(call, clock, Prompter(), lambda _: None)
    line.dialogue = Echo()
    return call, line, line.dialogue


def test_words_without_sound_are_over_at_once():
    """A prompt that is missing does not hold the call up."""
    call, line, dialogue = a_line()
    dialogue.next = [Play(())]
    line.feed(AudioReceived(b""))
    call.fire_timers()
    assert dialogue.heard[-1] == PlaybackFinished()


def test_words_without_sound_that_were_cut_off_are_never_over():
    """A key comes before their end is told: it is not taken for the end of what is spoken then."""
    call, line, dialogue = a_line()
    dialogue.next = [Play(())]
    line.feed(AudioReceived(b""))
    dialogue.next = [StopPlaying(), Play(("beep",))]
    line.feed(DigitPressed("#"))
    call.fire_timers()
    assert PlaybackFinished() not in dialogue.heard
    line.playback_finished()
    assert dialogue.heard[-1] == PlaybackFinished()

"""A caller as the deposit dialogue sees one: events in, and all that came out, for a test to read."""

from array import array

from voicemail.dialogue import Deposit
from voicemail.events import Answered, AudioReceived, PlaybackFinished, Record

GREETING = ("vm-theperson", "digits/1", "vm-isunavail", "vm-intro")
LOUD = array("h", [3000, -3000] * 4000).tobytes()
"""One second of sound."""
QUIET = array("h", [150, -150] * 4000).tobytes()
"""One second below the level of silence."""


class Telephone:
    """Talks to the dialogue as a call does and keeps all that comes out."""

    def __init__(self, **options):
        self.dialogue = Deposit(GREETING, **options)
        self.now = 100.0
        self.out = []

    def __call__(self, event, *, after=0.0):
        self.now += after
        new = self.dialogue.receive(event, self.now)
        self.out += new
        return new

    def hear_all(self):
        return self(PlaybackFinished())

    def speak(self, samples, *, ms=20):
        """Send samples in packets, at their own pace, as long as the recording goes on."""
        size = 16 * ms
        for start in range(0, len(samples), size):
            packet = samples[start : start + size]
            self(AudioReceived(packet), after=len(packet) / 16000)

    def to_recording(self):
        self(Answered())
        self.hear_all()
        self.hear_all()
        return self

    @property
    def state(self):
        return self.dialogue.state

    @property
    def recorded(self):
        return b"".join(each.samples for each in self.out if isinstance(each, Record))

    def all_of(self, kind):
        return [each for each in self.out if isinstance(each, kind)]

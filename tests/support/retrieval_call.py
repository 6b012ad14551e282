"""An owner's call over the memory stores: keys in, spoken prompts out, as a test reads them."""

from dataclasses import replace

from tests.support.fake_call import FakeCall
from tests.support.house import NUMBER
from tests.support.speech import packets
from tests.support.voicemail_exchange import Exchange
from um.service.routing import STRANGER
from um.telephony.application import EndReason
from voicemail.events import Clip, Play

ROUNDS = 400


class Prompter:
    """`Prompts` whose samples are the prompt's name, so that a test sees what was said."""

    made = None
    languages = frozenset({"en"})

    def samples(self, name, *, language="en"):
        return f"<{name}>".encode()

    def spoken(self, words, *, language="en"):
        return b"".join(
            word.samples if isinstance(word, Clip) else self.samples(word) for word in words
        )

    def preload(self, names, *, language="en"):
        pass


class OwnerCall:
    """One call to the access code. Threads are real, so that `settle` waits for the tasks."""

    def __init__(
        self, exchange: Exchange, account=None, *, caller=NUMBER, vouched: bool = True
    ) -> None:
        self.exchange = exchange
        self.voicemail = exchange.voicemail
        owner = account or STRANGER.account
        self.call = FakeCall.to(owner, NUMBER)
        self.call.info = replace(
            self.call.info, caller_number=caller, dialled="*98", is_vouched_for=vouched
        )
        make = self.voicemail.retrieval if account else self.voicemail.login
        self.application = make(self.call)

    async def begin(self):
        await self.settle()
        assert self.call.answered
        self.application.answered()
        await self.settle()
        return self

    async def settle(self):
        """Until the conversation waits for the caller."""
        while len(self.voicemail._tasks):
            await self.voicemail.drain()

    @property
    def said(self):
        """The names of all prompts spoken so far; sounds are `~`."""
        text = b"".join(each if each[:1] == b"<" else b"<~>" for each in self.call.played)
        return text.decode(errors="replace").strip("<>").split("><") if text else []

    def forget(self):
        self.call.played.clear()

    async def listen(self):
        """Hear what is being said to its end; returns the prompts."""
        said = self.said
        self.forget()
        self.application.playback_finished()
        await self.settle()
        return said

    async def press(self, keys):
        """Press keys, one after the other; returns what was said since."""
        self.forget()
        for key in keys:
            self.application.digit(key)
            await self.settle()
        return self.said

    async def silence(self, seconds):
        """Let time go by: timers that are due run."""
        self.exchange.house.clock.advance(seconds)
        self.call.fire_timers()
        await self.settle()

    async def speak(self, samples):
        """Talk after the beep."""
        for packet in packets(samples):
            self.exchange.house.clock.advance(len(packet) / 16000)
            self.application.audio(packet)
        await self.settle()

    async def hang_up(self):
        self.application.ended(EndReason.CALLER)
        await self.settle()


def is_about(output, name):
    """Whether an output speaks that prompt."""
    return isinstance(output, Play) and name in output.prompts

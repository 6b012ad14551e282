"""A `Call` without a telephone: what an application does to it can be looked at."""

from dataclasses import dataclass, field
from typing import Any

from um.core.account import Account, Number
from um.core.ids import E164
from um.telephony.application import CallInfo, DivertCause

CALLER = "+15557654321"


@dataclass
class FakeCall:
    """`um.telephony.application.Call`. Nothing happens by itself: the test moves it along."""

    account: Account
    number: Number
    info: CallInfo = field(
        default_factory=lambda: CallInfo(
            call_id="c1@core",
            dialled="15551230001",
            caller_number=CALLER,
            caller_name="Anna",
            cause=DivertCause.NO_ANSWER,
            peer="192.0.2.1:5060",
            is_vouched_for=True,
        )
    )
    waveform: bool = True
    answered: bool = False
    played: list[bytes] = field(default_factory=list)
    stopped: int = 0
    hung_up: int = 0
    timers: list = field(default_factory=list)
    transfers: list = field(default_factory=list)
    media_changed: Any = None
    make_way: Any = None
    t38_offers: int = 0
    at_ease: bool = False

    @classmethod
    def to(cls, account, number, **changes):
        return cls(account, Number(E164(number), account.id), **changes)

    def answer(self):
        assert not self.answered
        self.answered = True

    def reject(self, status, reason):
        raise AssertionError("voicemail answers what the router let in")

    def play(self, samples):
        self.played.append(samples)

    def stop_playing(self):
        self.stopped += 1

    def be_at_ease(self, *, at_ease):
        self.at_ease = at_ease

    def hang_up(self):
        self.hung_up += 1

    def transfer(self, target, refused):
        self.transfers.append((target, refused))

    def call_later(self, seconds, callback):
        timer = (seconds, callback)
        self.timers.append(timer)

        def cancel():
            if timer in self.timers:
                self.timers.remove(timer)

        return cancel

    def hand_over_media(self):
        raise AssertionError("not in a deposit")

    def take_t38(self, changed):
        self.media_changed = changed

    def yield_to_t38(self, make_way):
        self.make_way = make_way

    def offer_t38(self):
        self.t38_offers += 1

    def fire_timers(self):
        """Run what waits now, not what it sets up anew."""
        waiting, self.timers = self.timers, []
        for _, callback in waiting:
            callback()

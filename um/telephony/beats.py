"""Whose turn it is in a beat of 20 ms: every call's, or, of those at ease, one in five.

Laws:
- Who says something has each beat for it, also at ease. What comes to a call at ease is looked at in
  every fifth beat only; the calls at ease are spread over the beats.
- A call is at ease while its application asks for that and what came of late was the plain going on of
  one stream. Whatever is not that (a key, a loss, another stream) ends it for half a second at least.
- No beat is forgotten: those that were rested through are owed.
"""

from itertools import count
from typing import Final, Protocol

EASE_BEATS: Final = 5
"""A tenth of a second: what a key pressed in a recording may wait, once."""
CALM_BEATS: Final = 25


class Member(Protocol):
    """The media of one call."""

    name: str

    def speak(self, now: float) -> None:
        """Send what is due."""
        ...

    def listen(self, now: float) -> None:
        """What came by now was given out, but for what waits at a call at ease."""
        ...


class Beats:
    """Counts the beats of all calls."""

    def __init__(self) -> None:
        self.number = 0
        self._numbers = count()
        self._speaking: dict[Member, None] = {}
        self._listening: dict[Member, None] = {}
        self._at_ease: list[dict[Member, None]] = [{} for _ in range(EASE_BEATS)]

    def begin(self) -> list[Member]:
        """The next beat begins: those who speak in it."""
        self.number += 1
        return list(self._speaking)

    def listeners(self) -> list[Member]:
        """Those who listen in this beat, or have their turn at ease."""
        return [*self._listening, *self._at_ease[self.number % EASE_BEATS]]

    def join(self, member: Member) -> "Turn":
        """A call begins."""
        return Turn(self, member, next(self._numbers) % EASE_BEATS)

    def place(self, member: Member, turn: int, *, speaks: bool, rests: bool) -> None:
        """Have a call in those beats that it needs."""
        _put(self._speaking, member, present=speaks)
        _put(self._listening, member, present=not rests)
        _put(self._at_ease[turn], member, present=rests)

    def remove(self, member: Member, turn: int) -> None:
        """A call needs none."""
        for members in (self._speaking, self._listening, self._at_ease[turn]):
            _put(members, member, present=False)


class Turn:
    """One call's part in the beats; wide awake at first."""

    def __init__(self, beats: Beats, member: Member, number: int) -> None:
        self._beats = beats
        self._member = member
        self._number = number
        self._told = beats.number
        self._calm = 0
        self._wanted = False
        self._speaks = True
        self._has_left = False
        self.at_ease = False
        self._place()

    def want(self, *, ease: bool) -> None:
        """What the application asks for."""
        self._wanted = ease

    def owed(self) -> int:
        """How many beats have passed since this was asked last."""
        owed, self._told = self._beats.number - self._told, self._beats.number
        return owed

    def judge(self, *, calm: bool, silent: bool) -> None:
        """Whether the call is at ease from now on, by what it was like since the last time."""
        self._calm = self._calm + 1 if calm else 0
        at_ease = self._wanted and self._calm > CALM_BEATS
        self._change(at_ease=at_ease, speaks=not (at_ease and silent))

    def speak_up(self) -> None:
        """There is something to say."""
        self._change(at_ease=self.at_ease, speaks=True)

    def rouse(self) -> None:
        """Something is to be looked at at once."""
        self._calm = 0
        self._change(at_ease=False, speaks=True)

    def leave(self) -> None:
        """The call has no more media, for good."""
        self._has_left = True
        self._beats.remove(self._member, self._number)

    def _change(self, *, at_ease: bool, speaks: bool) -> None:
        if (at_ease, speaks) != (self.at_ease, self._speaks):
            self.at_ease, self._speaks = at_ease, speaks
            if not self._has_left:
                self._place()

    def _place(self) -> None:
        self._beats.place(self._member, self._number, speaks=self._speaks, rests=self.at_ease)


def _put(members: dict[Member, None], member: Member, *, present: bool) -> None:
    if present:
        members[member] = None
    else:
        members.pop(member, None)

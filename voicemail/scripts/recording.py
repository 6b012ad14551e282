"""An owner records: a greeting, a name, an introduction; with review."""

from collections.abc import Mapping
from types import MappingProxyType

from um.core.account import GreetingKind
from voicemail.events import Clip, Words
from voicemail.menu import Action, Context
from voicemail.requests import Erase, Keep
from voicemail.scripts.common import choose
from voicemail.steps import Capture, Captured, Do, Say, Script

LONGEST_SECONDS = 60.0
"""Of a greeting or an introduction."""
LEAST_SECONDS = 1.0
LEAST_NAME_SECONDS = 0.3
"""A name may be short."""

INVITATIONS: Mapping[GreetingKind, Words] = MappingProxyType(
    {
        GreetingKind.UNAVAILABLE: ("vm-rec-unv",),
        GreetingKind.BUSY: ("vm-rec-busy",),
        GreetingKind.NAME: ("vm-rec-name",),
        GreetingKind.TEMPORARY: ("vm-rec-temp",),
    }
)


def record_greeting(kind: GreetingKind) -> Script[None]:
    """Record one greeting and keep it if it is accepted."""
    least = LEAST_NAME_SECONDS if kind is GreetingKind.NAME else LEAST_SECONDS
    samples = yield from record(INVITATIONS[kind], least_seconds=least)
    if samples is not None:
        yield Do(Keep(kind, samples))
        yield Say(("vm-msgsaved",))


def temporary_greeting() -> Script[None]:
    """There is a temporary greeting: record it anew, or erase it."""
    choice = yield from choose(Context.TEMPORARY, ("vm-tempgreeting2",))
    if choice.action is Action.RECORD_AGAIN:
        yield from record_greeting(GreetingKind.TEMPORARY)
    elif choice.action is Action.ERASE:
        yield Do(Erase(GreetingKind.TEMPORARY))
        yield Say(("vm-tempremoved",))


def record(invitation: Words, *, least_seconds: float = LEAST_SECONDS) -> Script[bytes | None]:
    """Record with review: the samples, or None if there is nothing or it was cancelled."""
    samples = yield from _take(invitation, least_seconds)
    while samples is not None:
        choice = yield from choose(Context.REVIEW, ("vm-review", "vm-tocancelmsg"))
        match choice.action:
            case Action.ACCEPT:
                return samples
            case Action.HEAR:
                yield Say((Clip(samples),))
            case Action.RECORD_AGAIN:
                samples = yield from _take(invitation, least_seconds)
            case _:
                return None
    return None


def _take(invitation: Words, least_seconds: float) -> Script[bytes | None]:
    yield Say(invitation)
    captured: Captured = yield Capture(LONGEST_SECONDS)
    if captured.sound_seconds >= least_seconds:
        return captured.samples
    yield Say(("vm-tooshort",))
    return None

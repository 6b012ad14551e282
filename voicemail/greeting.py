"""What a caller hears first, and what a caller hears instead, as lists of prompts. Pure data.

The words are those of Asterisk's sound pack; a number is spoken digit by digit.
"""

from collections.abc import Collection
from types import MappingProxyType

from um.core.account import GreetingKind
from um.core.ids import E164
from um.telephony.application import DivertCause
from voicemail.dialogue import APOLOGY
from voicemail.events import Clip, Words
from voicemail.spoken import digits

MAILBOX_FULL: Words = ("vm-mailboxfull", "vm-goodbye")

_STATE_OF_CALLEE = MappingProxyType({DivertCause.BUSY: "vm-isonphone"})
_NOBODY: Words = ("vm-nobodyavail", "please-try-call-later", "vm-goodbye")
_NO_SERVICE: Words = ("ss-noservice",)

OFF = "voicemail-off"
ANNOUNCEMENTS = MappingProxyType(
    {
        OFF: _NOBODY,
        "account-suspended": _NOBODY,
        "account-closed": _NO_SERVICE,
        "own-account-closed": ("um-account-closed", "vm-goodbye"),
        "not-found": _NO_SERVICE,
        "quota-exceeded": MAILBOX_FULL,
        "unavailable": APOLOGY,
    }
)
"""By the code of the error that refused the call (`um.core.errors`), and `voicemail-off`."""


def wanted(recorded: Collection[GreetingKind], cause: DivertCause) -> GreetingKind | None:
    """Which of the owner's recordings a caller hears: temporary before all, busy for busy.

    None: there is none that fits. A name is spoken within the default greeting.
    """
    order = [GreetingKind.TEMPORARY, GreetingKind.UNAVAILABLE, GreetingKind.NAME]
    if cause is DivertCause.BUSY:
        order.insert(1, GreetingKind.BUSY)
    return next((kind for kind in order if kind in recorded), None)


def greeting(
    number: E164,
    cause: DivertCause,
    *,
    kind: GreetingKind | None = None,
    recording: Clip | None = None,
) -> Words:
    """The owner's own greeting, or the default: "The person at extension … is unavailable …"."""
    if recording is not None and kind is not GreetingKind.NAME:
        return (recording,)
    callee = _STATE_OF_CALLEE.get(cause, "vm-isunavail")
    who: Words = (recording,) if recording is not None else ("vm-theperson", *digits(number))
    return (*who, callee, "vm-intro")


def announcement(name: str) -> Words:
    """What is said to a call that is not taken; an unknown name gets the apology."""
    return ANNOUNCEMENTS.get(name, APOLOGY)

"""What a caller hears first, and what a caller hears instead, as lists of prompts. Pure data.

The words are those of Asterisk's sound pack; a number is spoken digit by digit.
"""

from types import MappingProxyType

from um.core.ids import E164
from um.telephony.application import DivertCause
from voicemail.dialogue import APOLOGY
from voicemail.events import Words

MAILBOX_FULL: Words = ("vm-mailboxfull", "vm-goodbye")

_STATE_OF_CALLEE = MappingProxyType({DivertCause.BUSY: "vm-isonphone"})
_NOBODY: Words = ("vm-nobodyavail", "please-try-call-later", "vm-goodbye")
_NO_SERVICE: Words = ("ss-noservice",)

ANNOUNCEMENTS = MappingProxyType(
    {
        "voicemail-off": _NOBODY,
        "account-suspended": _NOBODY,
        "account-closed": _NO_SERVICE,
        "not-found": _NO_SERVICE,
        "quota-exceeded": MAILBOX_FULL,
        "unavailable": APOLOGY,
    }
)
"""By the code of the error that refused the call (`um.core.errors`), and `voicemail-off`."""


def greeting(number: E164, cause: DivertCause) -> Words:
    """The spoken greeting: "The person at extension … is unavailable. Please leave your message"."""
    callee = _STATE_OF_CALLEE.get(cause, "vm-isunavail")
    return ("vm-theperson", *digits(number), callee, "vm-intro")


def announcement(name: str) -> Words:
    """What is said to a call that is not taken; an unknown name gets the apology."""
    return ANNOUNCEMENTS.get(name, APOLOGY)


def digits(number: str) -> Words:
    """A number digit by digit; what is no digit is not spoken."""
    return tuple(f"digits/{digit}" for digit in number if digit in "0123456789")

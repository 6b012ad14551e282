"""What all scripts share: leaving, choosing, and errors as prompts."""

from collections.abc import Mapping
from types import MappingProxyType

from um.core.errors import UMError
from voicemail.events import Words
from voicemail.menu import Context
from voicemail.steps import Choice, Choose, Script

GOODBYE: Words = ("vm-goodbye",)
TRIES = 3
SUSPENDED: Words = ("um-account-suspended",)

ERRORS: Mapping[str, Words] = MappingProxyType(
    {
        "locked-out": ("um-locked",),
        "account-closed": ("um-account-closed",),
        "account-suspended": SUSPENDED,
        "read-only": SUSPENDED,
        "not-found": ("vm-message", "vm-deleted"),
        "quota-exceeded": ("vm-mailboxfull",),
        "invalid": ("pbx-invalid",),
        "authentication-failed": ("vm-incorrect",),
    }
)
"""By the code of an error (`um.core.errors`); any other gets the apology."""
APOLOGY: Words = ("im-sorry", "please-try-call-later")


class LeaveError(Exception):
    """The caller wants no more: said by `#`, or by silence."""


def sorry(error: UMError) -> Words:
    """What is said of an error."""
    return ERRORS.get(error.code, APOLOGY)


def choose(context: Context, words: Words) -> Script[Choice]:
    """A key of `context`. Raises LeaveError after the third silence."""
    choice: Choice | None = yield Choose(context, words)
    if choice is None:
        raise LeaveError
    return choice

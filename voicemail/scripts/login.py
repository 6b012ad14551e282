"""An owner's call from the welcome to the goodbye: who it is, and the first set-up.

Laws:
- From the own line the mailbox is known; its PIN is asked unless the core vouches for the line and
  the owner switched that off or there is none yet, which is when it is set.
- From any other line mailbox and PIN are asked; which of them was wrong is not told.
- Three tries a call; how long a lock lasts is not this call's business.
"""

from dataclasses import dataclass

from um.core.account import GreetingKind
from um.core.errors import AuthenticationError, UMError
from voicemail.requests import Enter, Knock, Opened
from voicemail.scripts.common import GOODBYE, TRIES, LeaveError, sorry
from voicemail.scripts.mailbox import mailbox
from voicemail.scripts.pin import set_pin
from voicemail.scripts.recording import record_greeting
from voicemail.steps import Collect, Do, Say, Script


@dataclass(frozen=True, slots=True)
class OwnLine:
    """The call comes from a line of one of our accounts."""

    has_pin: bool
    """True where the core does not vouch for the line, too: no PIN is set from there."""
    asks_pin: bool = True
    """The owner has not switched the question off for a line that is vouched for."""


def retrieval(own: OwnLine | None) -> Script[None]:
    """The whole call."""
    try:
        opened = yield from log_in(own)
        yield Say(opened.notice)
        if own is not None and not own.has_pin and not opened.read_only:
            yield from set_up(opened)
        yield from mailbox(opened)
    except LeaveError:
        pass
    except UMError as error:
        yield Say(sorry(error))
    yield Say(GOODBYE)


def log_in(own: OwnLine | None) -> Script[Opened]:
    """Open a mailbox. Raises LeaveError after three tries, LockedOutError, AccountClosedError."""
    opened: Opened
    if own is not None and not (own.has_pin and own.asks_pin):
        opened = yield Do(Enter())
        return opened
    known = own is not None
    for _ in range(TRIES):
        name = "" if known else (yield Collect(("um-mailbox",)))
        pin = yield Collect(("vm-password",))
        if pin == "*":  # another mailbox than the own line's
            known = False
            continue
        try:
            if pin and (known or name.isdigit()):
                opened = yield Do(Knock(name, pin))
                return opened
        except AuthenticationError:
            pass
        yield Say(("vm-incorrect",))
    raise LeaveError


def set_up(opened: Opened) -> Script[None]:
    """The first call: a PIN, then name and greeting, which may be left out."""
    yield Say(("um-welcome",))
    if not (yield from set_pin(opened.numbers)):
        raise LeaveError
    for kind in (GreetingKind.NAME, GreetingKind.UNAVAILABLE):
        yield from record_greeting(kind)

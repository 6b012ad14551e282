"""The owner's options: greetings and PIN."""

from types import MappingProxyType

from um.core.account import GreetingKind
from voicemail.menu import Action, Context
from voicemail.requests import Recorded
from voicemail.scripts.common import choose
from voicemail.scripts.pin import set_pin
from voicemail.scripts.recording import record_greeting, temporary_greeting
from voicemail.scripts.sitting import Sitting, check_writable
from voicemail.steps import Do, Script

_GREETINGS = MappingProxyType(
    {
        Action.UNAVAILABLE: GreetingKind.UNAVAILABLE,
        Action.BUSY: GreetingKind.BUSY,
        Action.NAME: GreetingKind.NAME,
        Action.TEMPORARY: GreetingKind.TEMPORARY,
    }
)


def options(sitting: Sitting) -> Script[None]:
    """Greetings and PIN."""
    check_writable(sitting)
    while True:
        recorded: set[GreetingKind] = yield Do(Recorded())
        temporary = GreetingKind.TEMPORARY in recorded
        active = ("vm-tmpexists",) if temporary else ()
        choice = yield from choose(Context.OPTIONS, (*active, "vm-options"))
        match choice.action:
            case Action.PIN:
                yield from set_pin(sitting.opened.numbers)
            case Action.TEMPORARY if temporary:
                yield from temporary_greeting()
            case Action.CANCEL:
                return None
            case greeting:
                yield from record_greeting(_GREETINGS[greeting])

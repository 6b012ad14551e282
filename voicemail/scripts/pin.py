"""A new PIN, keyed twice."""

from um.core.errors import InvalidError
from um.core.ids import E164
from um.policy.pin import check_pin
from voicemail.requests import SetPin
from voicemail.scripts.common import TRIES
from voicemail.steps import Collect, Do, Say, Script


def set_pin(numbers: tuple[E164, ...]) -> Script[bool]:
    """Ask for a new PIN twice and set it; False if it was not."""
    for _ in range(TRIES):
        pin = yield Collect(("vm-newpassword",))
        if pin == "*":
            return False
        try:
            check_pin(pin, numbers)
            again = yield Collect(("vm-reenterpassword",))
            if again != pin:
                yield Say(("vm-mismatch",))
                continue
            yield Do(SetPin(pin))
        except InvalidError:
            yield Say(("vm-invalid-password", "vm-pls-try-again"))
            continue
        yield Say(("vm-passchanged",))
        return True
    return False

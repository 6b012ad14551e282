"""Messages on their way: to another mailbox of the house, or out of it."""

from um.core.errors import NotFoundError
from voicemail.menu import Action, Context
from voicemail.requests import Forward, Item, Seek, SendOutside
from voicemail.scripts.common import TRIES, choose
from voicemail.scripts.recording import record
from voicemail.steps import Collect, Do, Say, Script


def forward(item: Item) -> Script[None]:
    """Ask whereto and how, then send. Raises QuotaExceededError if their mailbox is full."""
    target = yield from _target()
    if target is None:
        return
    choice = yield from choose(Context.FORWARD, ("vm-forwardoptions",))
    introduction: bytes | None = b""
    if choice.action is Action.INTRODUCE:
        introduction = yield from record(("vm-record-prepend",))
    if choice.action is Action.CANCEL or introduction is None:
        return
    yield Do(Forward(item, target, introduction))
    yield Say(("vm-msgforwarded",))


def send_outside() -> Script[None]:
    """The new faxes and invoices by mail, where the owner has confirmed that they may go."""
    try:
        sent: int = yield Do(SendOutside())
    except NotFoundError:
        yield Say(("um-no-address",))
        return
    yield Say(("um-sent-outside" if sent else "um-nothing-to-send",))


def _target() -> Script[str | None]:
    """The number of a mailbox, or None."""
    for _ in range(TRIES):
        number: str = yield Collect(("um-mailbox",))
        if not number.isdigit():
            return None
        if (yield Do(Seek(number))):
            return number
        yield Say(("pbx-invalid",))
    return None

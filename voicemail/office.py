"""What an owner's call needs of the house."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from um.core.account import Account, Number
from um.core.ports import Clock, Greetings, Store
from um.service.accounts import AccountService
from um.service.authentication import Authenticator
from um.service.delivery import Delivery
from um.service.forward.queue import OutboxQueue
from um.service.mailboxes import MailboxService
from voicemail.settings import VoicemailSettings

FindNumber = Callable[[str], Awaitable[tuple[Account, Number] | None]]


class Office(Protocol):
    """The services (`voicemail.app` has them all)."""

    store: Store
    delivery: Delivery
    clock: Clock
    settings: VoicemailSettings
    greetings: Greetings
    mailboxes: MailboxService
    accounts: AccountService
    authenticator: Authenticator
    find_number: FindNumber
    outbox: OutboxQueue

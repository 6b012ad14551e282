"""What the portal and the API work with, as one value that every request finds."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from um.core.ports import Clock, EventBus
from um.service.accounts import AccountService
from um.service.app_passwords import AppPasswords
from um.service.authentication import Authenticator
from um.service.export import Exporter
from um.service.forward.addresses import AddressBook
from um.service.forward.queue import OutboxQueue
from um.service.forward.rules import ForwardRules
from um.service.forward.trial import WebhookTrials
from um.service.house_records import HouseRecords
from um.service.invoices import InvoiceDrop
from um.service.mailboxes import MailboxService
from um.service.message_list import MessageList
from um.service.message_parts import MessageParts
from um.service.numbering import NumberService
from um.service.operator_tokens import OperatorTokens
from um.service.own_greetings import OwnGreetings
from um.service.password_reset import PasswordReset
from um.service.profile import Profiles
from um.service.purge_clock import PurgeClock
from um.service.retention import Retention
from um.service.views import Views
from um.service.web_sessions import WebSessions
from um.web.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """The use cases that are reached over HTTPS."""

    accounts: AccountService
    address_book: AddressBook
    app_passwords: AppPasswords
    authenticator: Authenticator
    bus: EventBus
    clock: Clock
    exporter: Exporter
    forward_rules: ForwardRules
    greetings: OwnGreetings
    invoices: InvoiceDrop
    mailboxes: MailboxService
    message_list: MessageList
    message_parts: MessageParts
    numbers: NumberService
    outbox: OutboxQueue
    password_reset: PasswordReset
    profiles: Profiles
    purge_clock: PurgeClock
    records: HouseRecords
    retention: Retention
    sessions: WebSessions
    streams: Streams
    tokens: OperatorTokens
    views: Views
    webhook_trials: WebhookTrials


def services_of(request: Request) -> WebServices:
    """Those of the application that serves the request."""
    found: WebServices = request.app.state.services
    return found


Services = Annotated[WebServices, Depends(services_of)]

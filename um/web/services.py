"""What the portal and the API work with, as one value that every request finds."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from um.core.ports import Clock, EventBus
from um.service.accounts import AccountService
from um.service.app_passwords import AppPasswords
from um.service.authentication import Authenticator
from um.service.mailboxes import MailboxService
from um.service.numbering import NumberService
from um.service.operator_tokens import OperatorTokens
from um.service.web_sessions import WebSessions


@dataclass(frozen=True, slots=True, kw_only=True)
class WebServices:
    """The use cases that are reached over HTTPS."""

    accounts: AccountService
    app_passwords: AppPasswords
    authenticator: Authenticator
    bus: EventBus
    clock: Clock
    mailboxes: MailboxService
    numbers: NumberService
    sessions: WebSessions
    tokens: OperatorTokens


def services_of(request: Request) -> WebServices:
    """Those of the application that serves the request."""
    found: WebServices = request.app.state.services
    return found


Services = Annotated[WebServices, Depends(services_of)]

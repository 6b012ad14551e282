"""The password once more: what lets others in for good is done by who knows it, not by a session.

A session may be stolen, or left open on a desk. New ways in (an address outside, a password of a
mail program, another password or PIN) take the account's password beside it.
"""

from fastapi import Request

from um.core.account import Account
from um.core.errors import AuthenticationError
from um.policy.lifecycle import Door
from um.service.web_sessions import Visitor
from um.web.guards import peer
from um.web.services import WebServices


async def check_again(
    services: WebServices, visitor: Visitor, password: str, request: Request
) -> Account:
    """The account whose password that is, as proof of it (`um.service.recipients.check_proof`).

    Raises as a login does: wrong ones are counted and slowed down in the same way.
    """
    login = await services.authenticator.login(
        visitor.account.name, password, peer=peer(request), door=Door.PORTAL
    )
    if login.account.id != visitor.account.id:  # renamed this instant, and the name given away
        raise AuthenticationError
    return login.account

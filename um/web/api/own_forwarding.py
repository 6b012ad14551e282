"""Where copies of messages go: addresses outside, and a rule for each kind of message."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, Field

from um.core.forwarding import AddressState, AfterCopy, CopyMode, CopyRule, ForwardAddress
from um.core.message import MessageKind
from um.web.again import check_again
from um.web.api.documents import Document, Given
from um.web.api.own_account import OWNER, Secret
from um.web.guards import Customer, Writer
from um.web.services import Services

router = APIRouter(prefix="/me/forwarding", tags=["forwarding"])


class AddressDocument(Document):
    """An address outside; nothing but the link goes there before it is confirmed."""

    address: str
    state: AddressState
    created_at: AwareDatetime
    confirmed_at: AwareDatetime | None

    @classmethod
    def of(cls, found: ForwardAddress) -> "AddressDocument":
        """Over the wire."""
        return cls(
            address=found.address,
            state=found.state,
            created_at=found.created_at,
            confirmed_at=found.confirmed_at,
        )


class RuleDocument(Given):
    """What of a message goes out, and what becomes of it in the mailbox then."""

    mode: CopyMode
    after: AfterCopy = AfterCopy.KEEP


class ForwardingDocument(Document):
    """All of it."""

    addresses: list[AddressDocument]
    rules: dict[MessageKind, RuleDocument]


class NewAddress(Given):
    """An address to be confirmed."""

    address: Annotated[str, Field(min_length=3, max_length=254)]
    password: Secret
    """The account's: a stolen session shall not send the mail elsewhere."""


@router.get("")
async def show_forwarding(visitor: Customer, services: Services) -> ForwardingDocument:
    """Show the addresses and the rules."""
    addresses = await services.address_book.every(visitor.account.id)
    rules = await services.forward_rules.every(visitor.account.id)
    return ForwardingDocument(
        addresses=[AddressDocument.of(each) for each in addresses],
        rules={kind: RuleDocument(mode=r.mode, after=r.after) for kind, r in rules.items()},
    )


@router.post("/addresses", status_code=201)
async def add_address(
    given: NewAddress, request: Request, visitor: Writer, services: Services
) -> AddressDocument:
    """Add an address, or ask again for its confirmation: a mail with a link goes there."""
    proof = await check_again(services, visitor, given.password.get_secret_value(), request)
    added = await services.address_book.add(
        visitor.account.id, given.address, actor=OWNER, proof=proof
    )
    return AddressDocument.of(added)


@router.delete("/addresses/{address}", status_code=204)
async def remove_address(
    address: Annotated[str, Path(max_length=254)], visitor: Writer, services: Services
) -> None:
    """Remove an address, with what still waits for it."""
    await services.address_book.remove(visitor.account.id, address, actor=OWNER)


@router.put("/rules/{kind}", status_code=204)
async def set_rule(
    kind: MessageKind, given: RuleDocument, visitor: Writer, services: Services
) -> None:
    """Set the rule of one kind; it holds from the next message on."""
    rule = CopyRule(given.mode, given.after)
    await services.forward_rules.set(visitor.account.id, kind, rule, actor=OWNER)

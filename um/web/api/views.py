"""Into which folders new voice messages, faxes and invoices are put: an owner's choice, or the operator's for one."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from um.core.message import INBOX, MessageKind
from um.service.recipients import by_id
from um.web.api.accounts import Name
from um.web.api.documents import Document, Given
from um.web.api.own_account import OWNER
from um.web.guards import Clerk, Customer, Reader, Writer, actor
from um.web.services import Services, WebServices

own = APIRouter(prefix="/me/views", tags=["account"])
router = APIRouter(prefix="/accounts/{name}/views", tags=["operator"])
ViewedKind = Literal[MessageKind.VOICE, MessageKind.FAX, MessageKind.INVOICE]


class ViewsDocument(Document):
    """The folders."""

    folders: dict[MessageKind, str]
    """Of each kind; `INBOX`: with all other mail."""


class ChosenView(Given):
    """A folder for new messages of one kind."""

    folder: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Made if it is missing; null: one with the usual name in the account's language."""


@own.get("")
async def show_own_views(visitor: Customer, services: Services) -> ViewsDocument:
    """Show into which folders new messages are put."""
    return await _shown(services, by_id(visitor.account.id))


@own.put("/{kind}")
async def choose_own_view(
    kind: ViewedKind, given: ChosenView, visitor: Writer, services: Services
) -> ViewsDocument:
    """Put new messages of one kind into a folder of their own. Those that are there stay."""
    name = by_id(visitor.account.id)
    await services.views.choose(name, kind, given.folder, actor=OWNER)
    return await _shown(services, name)


@own.delete("/{kind}")
async def drop_own_view(kind: ViewedKind, visitor: Writer, services: Services) -> ViewsDocument:
    """Put new messages of one kind into INBOX again."""
    name = by_id(visitor.account.id)
    await services.views.choose(name, kind, INBOX, actor=OWNER)
    return await _shown(services, name)


@router.get("")
async def show_views(name: Name, _: Reader, services: Services) -> ViewsDocument:
    """Show into which folders an account's new messages are put."""
    return await _shown(services, name)


@router.put("/{kind}")
async def choose_view(
    name: Name, kind: ViewedKind, given: ChosenView, token: Clerk, services: Services
) -> ViewsDocument:
    """Put an account's new messages of one kind into a folder of their own."""
    await services.views.choose(name, kind, given.folder, actor=actor(token))
    return await _shown(services, name)


@router.delete("/{kind}")
async def drop_view(
    name: Name, kind: ViewedKind, token: Clerk, services: Services
) -> ViewsDocument:
    """Put an account's new messages of one kind into INBOX again."""
    await services.views.choose(name, kind, INBOX, actor=actor(token))
    return await _shown(services, name)


async def _shown(services: WebServices, name: str) -> ViewsDocument:
    return ViewsDocument(folders=await services.views.chosen(name))

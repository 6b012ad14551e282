"""Bill statements: the invoices of all folders but Trash, by month."""

from itertools import groupby

from fastapi import APIRouter, Request, Response

from um.core.errors import NotFoundError
from um.core.message import TRASH, MessageKind
from um.service.message_list import MAX_PAGE, Listed, Wanted
from um.web.guards import Customer
from um.web.portal.render import page
from um.web.portal.rows import Rows
from um.web.portal.wording import wording
from um.web.services import Services

router = APIRouter()


@router.get("/statements")
async def statements_page(request: Request, visitor: Customer, services: Services) -> Response:
    """The bills."""
    account, words = visitor.account, wording(visitor.account.language)
    rows = Rows(words, account.timezone, services.clock.now())
    found: list[Listed] = []
    for folder in await services.mailboxes.folders(account.id):
        if folder.mailbox.name == TRASH:
            continue
        wanted = Wanted(folder=folder.mailbox.name, kinds=[MessageKind.INVOICE], limit=MAX_PAGE)
        try:
            found += (await services.message_list.page(account.id, wanted)).messages
        except NotFoundError:  # removed by another session meanwhile
            continue
    found.sort(key=lambda each: each.at, reverse=True)
    by_month = groupby(
        found, key=lambda each: (rows.local(each.at).year, rows.local(each.at).month)
    )
    months = [(words.month(*month), [rows.of(each) for each in group]) for month, group in by_month]
    return await page(request, visitor, "statements", months=months)

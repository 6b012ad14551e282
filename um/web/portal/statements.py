"""Bill statements: the invoices of all folders but Trash, by month."""

from itertools import groupby
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from um.core.message import MessageKind
from um.service.message_list import Wanted
from um.web.guards import Customer
from um.web.portal.render import page
from um.web.portal.rows import Rows
from um.web.portal.wording import wording
from um.web.services import Services

router = APIRouter()
PATH = "/statements"
PAGE = 60
"""Five years of bills that come monthly."""


@router.get(PATH)
async def statements_page(
    request: Request,
    visitor: Customer,
    services: Services,
    after: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """The bills, the newest first."""
    account, words = visitor.account, wording(visitor.account.language)
    rows = Rows(words, account.timezone, services.clock.now())
    wanted = Wanted(everywhere=True, kinds=[MessageKind.INVOICE], limit=PAGE, after=after or None)
    found = await services.message_list.page(account.id, wanted)
    by_month = groupby(
        found.messages, key=lambda each: (rows.local(each.at).year, rows.local(each.at).month)
    )
    months = [(words.month(*month), [rows.of(each) for each in group]) for month, group in by_month]
    return await page(
        request,
        visitor,
        "statements",
        path=PATH,
        months=months,
        first_href=PATH if after else "",
        next_href=f"{PATH}?{urlencode({'after': found.next})}" if found.next else "",
    )

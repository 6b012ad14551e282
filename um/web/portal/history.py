"""The history: each call to the account's numbers, what came of it, and mail that came."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from um.core.account import CallRecord
from um.core.errors import NotFoundError
from um.mime.build.caller import minutes_seconds, shown_number
from um.service.core_desk import is_answered
from um.web.guards import Customer
from um.web.portal.listing import Choice
from um.web.portal.render import page
from um.web.portal.rows import Rows, dialled
from um.web.portal.wording import Wording, wording
from um.web.services import Services

router = APIRouter()
PATH = "/history"
LINES = 100
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "calls": ("voice", "missed-voice", "refused"),
        "faxes": ("fax", "missed-fax"),
        "invoices": ("invoice",),
        "mail": ("mail",),
    }
)
"""What can be looked at alone, by the kinds of its lines."""
MAIL = ("invoice", "mail")


@router.get(PATH)
async def history_page(
    request: Request,
    visitor: Customer,
    services: Services,
    only: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """The latest lines, a page at a time."""
    if only not in ("", *GROUPS):
        raise NotFoundError("There is no such list")
    account, words = visitor.account, wording(visitor.account.language)
    rows = Rows(words, account.timezone, services.clock.now())
    found = await services.records.history(
        account.id, limit=LINES, kinds=GROUPS.get(only, ()), after=after or None
    )
    return await page(
        request,
        visitor,
        "history",
        path=PATH,
        lines=[_line(each, rows, words) for each in found.lines],
        groups=_groups(words, only),
        only=only,
        first_href=_href(only) if after else "",
        next_href=_href(only, found.next) if found.next else "",
    )


def _href(only: str = "", after: str = "") -> str:
    query = urlencode({name: text for name, text in (("only", only), ("after", after)) if text})
    return f"{PATH}?{query}" if query else PATH


def _groups(words: Wording, current: str) -> list[Choice]:
    every = [Choice(words("history.all"), _href(), not current)]
    return every + [
        Choice(words(f"history.{group}"), _href(group), group == current) for group in GROUPS
    ]


def _line(line: CallRecord, rows: Rows, words: Wording) -> dict[str, str]:
    mail = line.kind in MAIL
    return {
        "iso": line.at.isoformat(),
        "when": rows.when(line.at),
        "what": _what(line, words),
        "subject": line.detail if line.kind == "invoice" else "",
        "caller": (line.caller if mail else shown_number(line.caller)) or words("message.unknown"),
        "tel": dialled(line.caller) if line.kind in GROUPS["calls"] else "",
        "number": shown_number(line.number) if line.number else "",
        "length": minutes_seconds(round(line.duration_seconds)) if line.duration_seconds else "",
    }


def _what(line: CallRecord, words: Wording) -> str:
    key = "call.answered" if is_answered(line) else f"call.{line.kind.replace('-', '_')}"
    return words(key if words.has(key) else "call.call")

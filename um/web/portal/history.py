"""The history: each call to the account's numbers, and what came of it."""

from fastapi import APIRouter, Request, Response

from um.core.account import CallRecord
from um.mime.build.caller import minutes_seconds, shown_number
from um.web.guards import Customer
from um.web.portal.render import page
from um.web.portal.rows import Rows
from um.web.portal.wording import Wording, wording
from um.web.services import Services

router = APIRouter()
LINES = 200


@router.get("/history")
async def history_page(request: Request, visitor: Customer, services: Services) -> Response:
    """The latest calls."""
    account, words = visitor.account, wording(visitor.account.language)
    rows = Rows(words, account.timezone, services.clock.now())
    calls = await services.records.calls(account.id, limit=LINES)
    return await page(
        request, visitor, "history", calls=[_line(each, rows, words) for each in calls]
    )


def _line(call: CallRecord, rows: Rows, words: Wording) -> dict[str, str]:
    kind = f"call.{call.kind.replace('-', '_')}"
    return {
        "iso": call.at.isoformat(),
        "when": rows.when(call.at),
        "what": words(kind if words.has(kind) else "call.call"),
        "caller": shown_number(call.caller) or words("message.unknown"),
        "number": shown_number(call.number) if call.number else "",
        "length": minutes_seconds(round(call.duration_seconds)) if call.duration_seconds else "",
    }

"""The account's history: one line a call or mail, written once however often it is tried.

A call's line is written after its message, by whoever took the call; a mail's in the transaction that
delivers it. What was deleted since stays in the history, which goes with the account.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from um.core.account import AccountState, CallRecord
from um.core.errors import InvalidError
from um.core.ids import AccountId
from um.core.message import MessageKind
from um.core.ports import Store, Transaction
from um.mime.authors import first_author
from um.mime.clean import clean_text
from um.mime.fields import parse_fields
from um.mime.headers import decode_text
from um.service.call_facts import CallFacts

REFUSED = "refused"

MAX_SUBJECT = 300
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})\.([0-9]{1,6})")
LOOK_BACK = 1000
"""Lines of its kind among which a line that is there already is looked for: a replay comes soon after."""


def line(facts: CallFacts, kind: str, *, seconds: float = 0.0, detail: str = "") -> CallRecord:
    """The history's line of a call."""
    return CallRecord(
        account_id=facts.account_id,
        at=facts.started_at,
        kind=kind,
        number=facts.number or None,
        caller=facts.caller_number or facts.caller_name,
        duration_seconds=seconds,
        detail=detail,
    )


def mail_line(
    account_id: AccountId, kind: MessageKind, header: bytes, *, at: datetime
) -> CallRecord:
    """The history's line of a mail that came.

    Args:
        account_id: whose.
        kind: INVOICE, whose subject is kept, or MAIL, whose subject goes with the message.
        header: its header block.
        at: when it was delivered.
    """
    fields = parse_fields(header)
    name, address = first_author(fields)
    subject = fields.first(b"subject") or b"" if kind is MessageKind.INVOICE else b""
    return CallRecord(
        account_id=account_id,
        at=at,
        kind=kind,
        number=None,
        caller=name if name == address else f"{name} <{address}>",
        duration_seconds=0.0,
        detail=clean_text(decode_text(subject), MAX_SUBJECT),
    )


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Part of a history, the latest first."""

    lines: Sequence[CallRecord]
    next: str | None
    """The cursor of the page that follows; None if this is the last one."""


async def page(
    store: Store,
    account_id: AccountId,
    *,
    limit: int,
    kinds: Collection[str] = (),
    after: str | None = None,
) -> HistoryPage:
    """Lines of these kinds (all, if none is named). Raises InvalidError for a wrong cursor.

    The cursor holds the instant of the last line and how many lines of that instant were shown, so
    that what is written meanwhile neither repeats nor hides another.
    """
    until, skip = _read_cursor(after) if after is not None else (None, 0)
    found = await store.read(
        "history",
        lambda tx: tx.records.calls_of(
            account_id, limit=limit + 1, kinds=kinds, until=until, skip=skip
        ),
    )
    lines = found[:limit]
    if len(found) <= limit:
        return HistoryPage(lines, None)
    last = lines[-1].at
    shown = sum(each.at == last for each in lines) + (skip if last == until else 0)
    return HistoryPage(lines, f"{(last - _EPOCH) // timedelta(microseconds=1)}.{shown}")


def _read_cursor(text: str) -> tuple[datetime, int]:
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise InvalidError("The cursor is none of ours")
    return _EPOCH + timedelta(microseconds=int(match[1])), int(match[2])


async def note(store: Store, record: CallRecord) -> None:
    """Write the line unless it is there; an account that is gone gets none.

    Raises UnavailableError.
    """

    def note_call_txn(tx: Transaction) -> None:
        if not _has_history(tx, record.account_id):
            return
        earlier = tx.records.calls_of(record.account_id, limit=LOOK_BACK, kinds=[record.kind])
        if not any(_same_call(record, each) for each in earlier):
            tx.records.add_call(record)

    await store.run("note-call", note_call_txn)


def _has_history(tx: Transaction, account_id: AccountId) -> bool:
    account = tx.accounts.get(account_id)
    return account is not None and account.state is not AccountState.PURGING


def _same_call(one: CallRecord, other: CallRecord) -> bool:
    """An instant to the microsecond and its parties are one call."""
    return (one.at, one.kind, one.number, one.caller) == (
        other.at,
        other.kind,
        other.number,
        other.caller,
    )

"""The account's call history: one line a call, written once however often it is tried."""

from um.core.account import AccountState, CallRecord
from um.core.ids import AccountId
from um.core.ports import Store, Transaction
from um.service.call_facts import CallFacts

REFUSED = "refused"

LOOK_BACK = 1000
"""Lines among which a line that is there already is looked for: a replay comes soon after."""


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


async def note(store: Store, record: CallRecord) -> None:
    """Write the line unless it is there; an account that is gone gets none.

    Raises UnavailableError.
    """

    def note_call_txn(tx: Transaction) -> None:
        if not _has_history(tx, record.account_id):
            return
        earlier = tx.records.calls_of(record.account_id, limit=LOOK_BACK)
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

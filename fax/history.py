"""The account's call history: one line a fax call, written once however often it is tried."""

from fax.facts import CallFacts
from um.core.account import AccountState, CallRecord
from um.core.ports import Store, Transaction

TAKEN = "fax"
MISSED = "missed-fax"
REFUSED = "refused"

_LOOK_BACK = 1000
"""Lines among which a line that is there already is looked for: a replay comes soon after."""


def line(facts: CallFacts, kind: str, *, seconds: float = 0.0, detail: str = "") -> CallRecord:
    """The history's line of a call."""
    return CallRecord(
        account_id=facts.account_id,
        at=facts.started_at,
        kind=kind,
        number=facts.number,
        caller=facts.caller_number or facts.caller_name,
        duration_seconds=seconds,
        detail=detail,
    )


async def note(store: Store, record: CallRecord) -> None:
    """Write the line unless it is there; an account that is gone gets none. Raises UnavailableError."""

    def note_fax_txn(tx: Transaction) -> None:
        account = tx.accounts.get(record.account_id)
        if account is None or account.state is AccountState.PURGING:
            return
        if record not in tx.records.calls_of(record.account_id, limit=_LOOK_BACK):
            tx.records.add_call(record)

    await store.run("note-fax", note_fax_txn)

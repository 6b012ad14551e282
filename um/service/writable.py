"""Whether an account's owner may change anything now."""

from um.core.account import Account
from um.core.errors import NotFoundError
from um.core.ids import AccountId
from um.core.ports import Transaction
from um.policy.lifecycle import Answer, Door, answer, refusal


def check_writable(account: Account | None) -> None:
    """Raise unless there is such an account whose state lets its owner write."""
    if account is None:
        raise NotFoundError("There is no such account")
    if error := refusal(account, Door.IMAP):
        raise error


def hold_writable_txn(tx: Transaction, account_id: AccountId) -> None:
    """Hold the account's row until the transaction ends. Raises as `check_writable`.

    Only the state is read: the whole account takes three times as long, and says why if refused.
    """
    state = tx.accounts.lock_state(account_id)
    if state is None or answer(state, Door.IMAP) is not Answer.ALLOWED:
        check_writable(tx.accounts.get(account_id))

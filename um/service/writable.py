"""Whether an account's owner may change anything now."""

from um.core.account import Account
from um.core.errors import NotFoundError
from um.policy.lifecycle import Door, refusal


def check_writable(account: Account | None) -> None:
    """Raise unless there is such an account whose state lets its owner write."""
    if account is None:
        raise NotFoundError("There is no such account")
    if error := refusal(account, Door.IMAP):
        raise error

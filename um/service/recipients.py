"""Which account a name, a number or a mail address means.

Laws:
- NAME, NAME@domain, a number in any spelling and NUMBER@domain are one account; case is nothing.
- name+tag@domain is name@domain (RFC 5233's detail part).
- An account whose purge has begun is nobody.
"""

from um.core.account import Account, AccountState
from um.core.errors import AuthenticationError, NotFoundError
from um.core.ids import AccountId
from um.core.ports import Store, Transaction
from um.service.numbers import find_number
from um.service.settings import AccountSettings

MAX_CHARACTERS = 320
"""Of an address (RFC 5321 §4.5.3.1)."""
_ID_MARK = "#"
"""No account's name has one (`um.policy.names`)."""


class Directory:
    """Finds the account behind a mail address."""

    def __init__(self, store: Store, settings: AccountSettings) -> None:
        self._store = store
        self._settings = settings

    async def find(self, address: str) -> Account | None:
        """The account that `address` (addr-spec, brackets removed) belongs to; None if unknown.

        Closed and suspended accounts are found: what they say is `um.policy.lifecycle`'s.
        """
        local, at, domain = address.rpartition("@")
        if not at or domain.lower() != self._settings.domain.lower():
            return None
        return await self._store.read(
            "find-recipient", lambda tx: _by_local_part(tx, _unquoted(local), self._settings)
        )


def by_id(account_id: AccountId) -> str:
    """A name for `named_txn` that means this account whatever it is called by then.

    For owners: while a request of theirs is on its way the account may be renamed, and its old name
    be given to another.
    """
    return f"{_ID_MARK}{account_id}"


def named_txn(tx: Transaction, name: str, domain: str) -> Account:
    """The account of exactly that name, with or without our domain, or `by_id`.

    For operators: accounts whose purge has begun are found. Raises NotFoundError.
    """
    if name.startswith(_ID_MARK):
        found = tx.accounts.get(AccountId(name.removeprefix(_ID_MARK)))
        if found is None:
            raise NotFoundError("There is no such account")
        return found
    local, _, given = name.strip().partition("@")
    if given.lower() in ("", domain.lower()):
        account = tx.accounts.by_name(local, domain)
        if account is not None:
            return account
    raise NotFoundError(f"There is no account {name!r}")


def locked_txn(tx: Transaction, name: str, domain: str) -> Account:
    """As `named_txn`, and nobody else changes the account until this transaction ends.

    For whoever saves it: the row is written whole, and what was read before another's change would
    take that back. Raises NotFoundError.
    """
    account = tx.accounts.lock(named_txn(tx, name, domain).id)
    if account is None:
        raise NotFoundError(f"There is no account {name!r}")
    return account


def check_proof(account: Account, proof: Account | None) -> None:
    """Raise AuthenticationError if the password has been replaced since it was checked.

    For what takes the password first: `account` is as it is in this transaction, locked, `proof` as
    it was when the password was right. None: nobody's password was asked for.
    """
    if proof is not None and account.password_hash != proof.password_hash:
        raise AuthenticationError


def login_txn(tx: Transaction, login: str, settings: AccountSettings) -> Account | None:
    """The account that a login name means: a name or number, with or without our domain."""
    local, at, domain = login.strip().rpartition("@")
    if at and domain.lower() != settings.domain.lower():
        return None
    return _by_name_or_number(tx, local if at else login.strip(), settings)


def _by_local_part(tx: Transaction, local: str, settings: AccountSettings) -> Account | None:
    account = _by_name_or_number(tx, local, settings)
    # A number may begin with `+`; a tag never does.
    base, plus, _ = local.partition("+")
    if account is None and plus and base:
        return _by_name_or_number(tx, base, settings)
    return account


def _by_name_or_number(tx: Transaction, text: str, settings: AccountSettings) -> Account | None:
    if not text or len(text) > MAX_CHARACTERS:
        return None
    account = tx.accounts.by_name(text, settings.domain)
    if account is None:
        number = find_number(tx, text, settings.default_region)
        if number is not None and number.account_id is not None:
            account = tx.accounts.get(number.account_id)
    if account is None or account.state is AccountState.PURGING:
        return None
    return account


def _unquoted(local: str) -> str:
    """A quoted local part without its quotes (RFC 5321 §4.1.2)."""
    if len(local) >= 2 and local[0] == local[-1] == '"':
        return local[1:-1].replace("\\", "")
    return local

"""Which rows of the house's own tables name an account, so that its purge finds them."""

import re
from collections.abc import Collection

from um.core.account import Account
from um.core.ids import E164

_SEPARATOR = re.compile(r"[\s:/|,;=]+")


def names_account(subject: str, account: Account, numbers: Collection[E164]) -> bool:
    """Whether a free-form subject (`imap:alice@example.net`) is about this account or its numbers."""
    if account.id in subject:
        return True
    name, domain = account.name.casefold(), account.domain.casefold()
    own = {name, f"{name}@{domain}"}
    for number in numbers:
        digits = number.removeprefix("+")
        own |= {number, digits, f"{number}@{domain}", f"{digits}@{domain}"}
    return not own.isdisjoint(_SEPARATOR.split(subject.casefold()))

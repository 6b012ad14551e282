"""Which rows of the house's own tables name an account, so that its purge finds them."""

import re
from collections.abc import Collection

from um.core.account import Account
from um.core.ids import E164

_SEPARATOR = re.compile(r"[\s:/|,;=]+")
_ID = re.compile(r"[0-9a-f]{32}")


def own_words(account: Account, numbers: Collection[E164]) -> set[str]:
    """What a free-form subject (`imap:alice@example.net`) about this account has among its words."""
    name, domain = account.name.casefold(), account.domain.casefold()
    own = {account.id, name, f"{name}@{domain}"}
    for number in numbers:
        digits = number.removeprefix("+")
        own |= {number, digits, f"{number}@{domain}", f"{digits}@{domain}"}
    return own


def names(subject: str, words: set[str]) -> bool:
    """Whether one of the words stands alone in the subject, or an id anywhere in it."""
    folded = subject.casefold()
    return not (
        words.isdisjoint(_SEPARATOR.split(folded)) and words.isdisjoint(_ID.findall(folded))
    )

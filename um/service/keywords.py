"""How many keywords messages and folders may have: they count towards no quota."""

from collections.abc import Iterable

from um.core.errors import InvalidError
from um.core.message import Entry

MAX_KEYWORDS = 100
"""Of one message; programs use a handful."""
MAX_KEYWORDS_TOLD = 1000
"""Of one folder: sessions are told of so many, in FLAGS, and of each new one as long as there are fewer."""


class TooManyKeywordsError(InvalidError):
    """A message has all the keywords it may have."""

    code = "too-many-keywords"
    default = "The message has too many keywords"


def check_keywords(entries: Iterable[Entry]) -> None:
    """Raise TooManyKeywordsError if one of these, as they shall be, has more than MAX_KEYWORDS."""
    for flags in {entry.flags for entry in entries}:
        if len(flags) > MAX_KEYWORDS and sum(f[0] != "\\" for f in flags) > MAX_KEYWORDS:
            raise TooManyKeywordsError

"""Account names, in the one spelling that is stored.

A name is an IMAP atom (RFC 3501 §9) and a dot-atom local part (RFC 5322 §3.2.3), and it cannot be
taken for a telephone number.
"""

import re

from um.core.errors import InvalidError

MAX_CHARACTERS = 64
"""RFC 5321 §4.5.3.1.1."""

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


def account_name(text: str) -> str:
    """The name as it is stored: lower case. Raises InvalidError with the reason.

    `+` is left out because it begins a tag in an address (name+tag@domain).
    """
    name = text.strip().lower()
    if not name or len(name) > MAX_CHARACTERS:
        raise InvalidError(
            f"An account name has 1 to {MAX_CHARACTERS} characters",
            why="name_length",
            most=MAX_CHARACTERS,
        )
    if not _NAME.fullmatch(name):
        raise InvalidError(
            "An account name has letters a-z and digits, with single '.', '-' or '_' between them",
            why="name_letters",
        )
    if not any(character.isalpha() for character in name):
        raise InvalidError(
            "An account name needs a letter: digits alone are a telephone number", why="name_digits"
        )
    return name

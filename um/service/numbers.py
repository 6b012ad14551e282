"""Telephone numbers in any spelling, and the short extensions by which a core may name them.

Laws:
- 10 digits, 1 and 10 digits, 011, 00 or + and the full number mean the same (for the region).
- A number need not be assigned to anyone today, only be one that could be: test numbers serve.
"""

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, ValidationResult

from um.core.account import Number
from um.core.errors import InvalidError
from um.core.ids import E164
from um.core.ports import Transaction

MAX_CHARACTERS = 40
_SPELLING = re.compile(r"\+?[0-9 ().\-/]+")
_ALIAS = re.compile(r"[0-9A-Za-z*#._-]{1,32}")


def parse_number(text: str, region: str) -> E164:
    """The number that `text` means in `region` (ISO 3166, "CA"). Raises InvalidError."""
    text = text.strip()
    if len(text) <= MAX_CHARACTERS and _SPELLING.fullmatch(text):
        for spelling in _readings(text):
            if number := _possible(spelling, region):
                return number
    raise InvalidError("That is not a telephone number")


def normal_number(text: str, region: str) -> str:
    """`text` in E.164 where it is a number, else as it is (a caller's number, for display)."""
    try:
        return parse_number(text, region)
    except InvalidError:
        return text


def check_alias(text: str) -> str:
    """A short extension as a core may dial it. Raises InvalidError."""
    if not _ALIAS.fullmatch(text):
        raise InvalidError("An alias has 1 to 32 letters, digits, '*', '#', '.', '_' or '-'")
    return text


def find_number(tx: Transaction, dialled: str, region: str) -> Number | None:
    """The number of ours that `dialled` names: an alias first, as the operator chose it.

    A number that is only held is nobody's: None.
    """
    number = tx.numbers.by_alias(dialled)
    if number is None:
        try:
            number = tx.numbers.get(parse_number(dialled, region))
        except InvalidError:
            return None
    if number is None or number.account_id is None:
        return None
    return number


def _readings(text: str) -> list[str]:
    # The region's own international prefix is phonenumbers' business and comes first (0011 in
    # Australia); 00 is understood everywhere, since cores write it everywhere.
    digits = re.sub(r"[^0-9+]", "", text)
    prefixes = [prefix for prefix in ("00", "011") if digits.startswith(prefix)]
    return [text, *("+" + digits.removeprefix(prefix) for prefix in prefixes)]


def _possible(text: str, region: str) -> E164 | None:
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return E164(phonenumbers.format_number(number, PhoneNumberFormat.E164))

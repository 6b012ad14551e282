"""Who called, as subjects, addresses and file names show it."""

import re
from datetime import UTC, datetime

from um.mime.clean import clean_local_part, clean_text

ANONYMOUS = "anonymous"

_NANP = re.compile(r"\+1(\d{3})(\d{3})(\d{4})")


def shown_number(number: str) -> str:
    """A number for people: grouped if it is of the North American plan, else as it is."""
    match = _NANP.fullmatch(number)
    return f"+1 {match[1]} {match[2]} {match[3]}" if match else clean_text(number, 40)


def shown_caller(name: str, number: str) -> str:
    """`Anna, +1 555 123 4567`, what there is of it, or `anonymous`."""
    caller_name = clean_text(name)
    if caller_name.lower() == ANONYMOUS or caller_name == number:
        caller_name = ""
    return ", ".join(part for part in (caller_name, shown_number(number)) if part) or ANONYMOUS


def local_part(number: str) -> str:
    """The local part of the From address: the number, or `anonymous`."""
    return clean_local_part(number) or ANONYMOUS


def file_stem(kind: str, at: datetime, number: str) -> str:
    """`voice-20261123T021500Z-15551234567`."""
    who = clean_local_part(number).lstrip("+") or ANONYMOUS
    return f"{kind}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{who}"


def minutes_seconds(seconds: int) -> str:
    """`0:42`."""
    return f"{seconds // 60}:{seconds % 60:02d}"
